"""Shared anonymous memory as a file: what its mappings refer to (engine/resources/memory/shared.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.resources.memory import shared

if TYPE_CHECKING:
    from engine.images import pb
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree
    from engine.resources.files.descriptor import Descriptor

TYPE = 18  # fd_types.MEMFD


def claims(file: Descriptor) -> bool:
    """Descriptors of memfds are not handled yet; only mappings of shared anonymous memory are."""
    return False


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """Makes the segment, contents and all."""
    return shared.open_segment(tree, file.memfd.inode_id, step)
