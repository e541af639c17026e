"""Shared anonymous memory as a file: what its mappings refer to (engine/resources/memory/shared.py)."""

from __future__ import annotations

from engine.errors import Obstacle
from engine.resources.memory import shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.images import pb
    from engine.images.directory import ImageDir
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree
    from engine.resources.files.descriptor import Descriptor
    from engine.resources.files.opener import Opener

TYPE = 18  # fd_types.MEMFD


def claims(file: Descriptor) -> bool:
    """Descriptors of memfds are not handled yet; only mappings of shared anonymous memory are."""
    return False


def check(opener: Opener, file: pb.file_entry) -> Obstacle | None:
    """Whether it is anonymous memory indeed."""
    inode = opener.once(_load).get(file.memfd.inode_id)
    if inode is None or inode.name == shared.ANONYMOUS:
        return None  # a missing one is an error of its own, as soon as it is opened
    return Obstacle(f"memory file {inode.name}", "memory files (memfd_create) are not supported")


def _load(images: ImageDir) -> dict[int, pb.memfd_inode_entry]:
    return {inode.inode_id: inode for inode in images.read("MEMFD_INODE")}


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """Makes the segment, contents and all."""
    return shared.open_segment(tree, file.memfd.inode_id, step)
