"""Shared anonymous memory: one segment for all that map it.

To the kernel it is an unlinked file of its own tmpfs, and so it is saved: a memfd_inode_entry, its contents as
pagemap-shmem-ID, and each mapping of it a mapping of that memfd. The contents are read through /proc/PID/map_files,
so pages that no task has in its page tables just now are saved too.
"""

from __future__ import annotations

import os

from engine.abi import mman
from engine.abi.fcntl import F_SEAL_SEAL
from engine.errors import ImageError
from engine.images import pb
from engine.images.pages import PE_PRESENT, check_pages, length_of
from engine.resources.files.table import no_owner
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenTree, Running
    from engine.kernel.proc import Mapping
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree

ROWS = {"M06": "shared anonymous memory, saved once"}

PAGE = 4096
ZERO_FILE = "/dev/zero (deleted)"
ANONYMOUS = "/dev/zero"  # name of the inode in the image
O_RDWR = 2


def is_anonymous(mapping: Mapping) -> bool:
    """Made by mmap(MAP_SHARED | MAP_ANONYMOUS): the name is the kernel's (mm/shmem.c, shmem_zero_setup)."""
    return mapping.name == ZERO_FILE


class Segment(NamedTuple):
    """A segment that was met: where it can be opened, and its messages."""

    link: str  # of one mapping of it
    inode: pb.memfd_inode_entry
    file: pb.file_entry


def collect(task: FrozenTask | Running, mapping: Mapping) -> int:
    """The file id that stands for the segment."""
    segments: dict[int, Segment] = task.tree.segments
    if mapping.inode not in segments:
        link = f"/proc/{task.pid}/map_files/{mapping.start:x}-{mapping.end:x}"
        segments[mapping.inode] = _segment(task.tree, link)
    return segments[mapping.inode].file.id


def _segment(tree: FrozenTree, link: str) -> Segment:
    facts, number = os.stat(link), len(tree.segments) + 1
    inode = pb.memfd_inode_entry(
        name=ANONYMOUS, uid=facts.st_uid, gid=facts.st_gid, size=facts.st_size, shmid=number,
        seals=F_SEAL_SEAL, inode_id=number, mode=facts.st_mode,
    )  # fmt: skip
    ident = tree.registry.new_id()
    memfd = pb.memfd_file_entry(id=ident, flags=O_RDWR, pos=0, fown=no_owner(), inode_id=number)
    file = pb.file_entry(type=pb.fd_types.MEMFD, id=ident, memfd=memfd)
    tree.registry.files.append(file)
    return Segment(link, inode, file)


def write(tree: FrozenTree) -> None:
    """memfd.img, and the contents of each segment."""
    segments = list(tree.segments.values())
    if segments:
        tree.images.post("MEMFD_INODE", None, [segment.inode for segment in segments])
    for segment in segments:
        _write_contents(tree, segment)


def _write_contents(tree: FrozenTree, segment: Segment) -> None:
    source = os.open(segment.link, os.O_RDONLY | os.O_CLOEXEC)
    pages_id = tree.room.new_id()
    messages: list[pb.pagemap_head | pb.pagemap_entry] = [pb.pagemap_head(pages_id=pages_id)]
    target = os.open(
        tree.images.path(f"pages-{pages_id}.img"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644
    )
    try:
        for start, end in _extents(source, segment.inode.size):
            count = (end - start) // PAGE
            messages.append(pb.pagemap_entry(vaddr=start, compat_nr_pages=count, nr_pages=count, flags=PE_PRESENT))
            _copy(source, start, end - start, target)
            tree.timings.add("shpages_written", count)
    finally:
        os.close(source)
        os.close(target)
    tree.images.post("SHMEM_PAGEMAP", segment.inode.shmid, messages)


def _extents(fd: int, size: int) -> list[tuple[int, int]]:
    """Stretches of the file that hold data, whole pages."""
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start & -PAGE, at + PAGE - 1 & -PAGE))
    return found


def _copy(source: int, offset: int, length: int, target: int) -> None:
    while length:
        done = os.sendfile(target, source, offset, length)
        if not done:
            os.ftruncate(target, os.lseek(target, length, os.SEEK_CUR))  # a partial last page: zeros
            return
        offset, length = offset + done, length - done


class Source(NamedTuple):
    """What a memfd is made from."""

    inode: pb.memfd_inode_entry
    pages_id: int
    pieces: list[tuple[int, int, int]]  # offset in the memfd, length, offset in the pages file


def load(tree: NewTree, inode_id: int) -> Source:
    """Finds a segment's inode and its pages; ImageError when one is missing."""
    inode = next((i for i in tree.images.read("MEMFD_INODE") if i.inode_id == inode_id), None)
    if inode is None:
        raise ImageError(f"memfd.img: inode {inode_id} is missing; files.img refers to it")
    messages = tree.images.read("SHMEM_PAGEMAP", inode.shmid)
    pieces, offset = [], 0
    for entry in messages[1:]:
        length = length_of(entry, f"pagemap-shmem-{inode.shmid}.img")
        if not length:
            continue
        pieces.append((entry.vaddr, length, offset))
        offset += length
    number = messages[0].pages_id if messages else 0
    check_pages(tree.images.path(f"pages-{number}.img"), offset, f"pagemap-shmem-{inode.shmid}.img")
    return Source(inode, number, pieces)


def largest(tree: NewTree) -> int:
    """Bytes of the largest segment: the scratch area must hold it."""
    return max((inode.size for inode in tree.images.read("MEMFD_INODE")), default=0)


def open_segment(tree: NewTree, inode_id: int, step: Emitter) -> Slot:
    """Makes the segment and fills it; the slot holds a descriptor to map it with.

    It is mapped at the scratch address, which is free in every task, so that it can be filled, and reached through
    /proc/self/map_files: that is how it becomes the same kind of segment again, not one with the name of a memfd.
    """
    source = load(tree, inode_id)
    size = source.inode.size + PAGE - 1 & -PAGE
    protection = mman.PROT_READ | mman.PROT_WRITE
    flags = mman.MAP_SHARED | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE
    step.call("mmap", tree.scratch, size, protection, flags, -1, 0, expect=tree.scratch)
    link = step.text(f"/proc/self/map_files/{tree.scratch:x}-{tree.scratch + size:x}")
    fd = step.call("open", link, os.O_RDWR | os.O_CLOEXEC)
    if source.pieces:
        path = tree.images.path(f"pages-{source.pages_id}.img")
        pages = step.call("open", step.text(path), os.O_RDONLY | os.O_CLOEXEC)
        for target, length, offset in source.pieces:
            step.full_io("pread64", pages, tree.scratch + target, length, offset)
        step.call("close", pages)
    step.call("munmap", tree.scratch, size)
    return fd
