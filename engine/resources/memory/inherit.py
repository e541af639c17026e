"""Copy-on-write among relatives: pages that parent and child have in common stay one page.

No image says which pages were shared. A child whose mapping begins, ends and is made like its parent's probably has it
from fork; where their pages are equal, it is given the parent's by being born when the parent's memory is complete, and
only what differs is read from the images. A child with nothing in common is born before its parent has any memory.
"""

from __future__ import annotations

import bisect
import mmap
import os

from engine.abi import mman
from engine.kernel._native import ffi, lib
from engine.resources.memory import stand_in
from engine.resources.memory.contents import PAGE, Piece, Run, pieces
from engine.resources.memory.mappings import VDSO, VSYSCALL, VVAR, is_shared
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.rebuild import NewTask, NewTree

ROWS = {"M03": "copy-on-write between relatives: common pages stay one page"}

END = 1 << 64
SAME_FLAGS = mman.MAP_ANONYMOUS | mman.MAP_GROWSDOWN


class Shape(NamedTuple):
    """What relatives must have alike, by the start of each mapping."""

    private: dict[int, tuple[int, ...]]  # end, place in which file, flags
    vdso: dict[int, int]  # its code and data: end


class Heritage(NamedTuple):
    """What a child keeps of its parent's memory."""

    kept: set[int]  # mappings, by their start
    fill: list[Piece]  # its own pages that differ
    drop: list[Run]  # the parent's pages that it does not have


def plan(tree: NewTree) -> None:
    """Decides for every task what it reads from the images, and whether it is an heir."""
    with Library(tree) as library:
        for task in tree.alive:
            library.read(task)
        stand_in.plan(tree, library.pieces)
        for task in tree.alive:
            task.fill = library.pieces[task.pid]
            if task.parent is None or task.parent.dead or task.outside:
                continue
            heritage = _compare(task, task.parent, library)
            if heritage is not None:
                task.heir, task.kept = True, heritage.kept
                task.fill, task.drop = heritage.fill, heritage.drop


class Library:
    """The pages files of a tree, mapped to be compared."""

    def __init__(self, tree: NewTree) -> None:
        self.tree = tree
        self.pieces: dict[int, list[Piece]] = {}  # by pid
        self._numbers: dict[int, int] = {}
        self._shapes: dict[int, Shape] = {}
        self._maps: dict[int, tuple[mmap.mmap, int]] = {}

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        for content, _address in self._maps.values():
            content.close()

    def read(self, task: NewTask) -> None:
        """Notes the pages of a task."""
        self._numbers[task.pid], self.pieces[task.pid] = pieces(task)

    def shape(self, task: NewTask) -> Shape:
        """Its shape, which does not change any more."""
        if task.pid not in self._shapes:
            self._shapes[task.pid] = shape_of(task)
        return self._shapes[task.pid]

    def address(self, task: NewTask) -> int:
        """Where the pages file of a task is mapped."""
        if task.pid not in self._maps:
            path = self.tree.images.path(f"pages-{self._numbers[task.pid]}.img")
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            need = max(piece.offset + piece.length for piece in self.pieces[task.pid])
            content = mmap.mmap(fd, need, mmap.MAP_SHARED, mmap.PROT_READ)
            os.close(fd)
            address = int(ffi.cast("uint64_t", ffi.from_buffer(content)))
            self._maps[task.pid] = (content, address)
        return self._maps[task.pid][1]


def _compare(child: NewTask, parent: NewTask, library: Library) -> Heritage | None:
    ours_is, theirs_is = library.shape(child), library.shape(parent)
    kept = common(ours_is, theirs_is)
    ranges = [(vma.start, vma.end) for vma in child.mm.vmas if vma.start in kept]
    ours = [piece for piece in library.pieces[child.pid] if _inside(piece.address, ranges)]
    theirs = [piece for piece in library.pieces[parent.pid] if _inside(piece.address, ranges)]
    same = _same_pages(child, ours, parent, theirs, library)
    if not same:
        return None
    fill = list(_subtract(library.pieces[child.pid], same))
    covered = [(piece.address, piece.address + piece.length) for piece in ours]
    drop = [Run(p.address, p.address + p.length) for p in _subtract(theirs, covered)]
    if ours_is.vdso == theirs_is.vdso:
        kept |= ours_is.vdso.keys()
    return Heritage(kept, fill, drop)


def shape_of(task: NewTask) -> Shape:
    """The mappings of a task that could be its parent's, or its children's."""
    shape = Shape({}, {})
    for vma in task.mm.vmas:
        if vma.status & (VDSO | VVAR):
            shape.vdso[vma.start] = vma.end
        elif not vma.status & VSYSCALL and not is_shared(vma):
            shape.private[vma.start] = (vma.end, vma.pgoff, vma.shmid, vma.flags & SAME_FLAGS)
    return shape


def common(ours: Shape, theirs: Shape) -> set[int]:
    """Private mappings that both have alike, by their start."""
    return {start for start, mapping in ours.private.items() if theirs.private.get(start) == mapping}


def _same_pages(
    child: NewTask, ours: list[Piece], parent: NewTask, theirs: list[Piece], library: Library
) -> list[tuple[int, int]]:
    """Address ranges, whole pages, whose contents are equal in both images."""
    found: list[tuple[int, int]] = []
    for start, end, a, b in _overlaps(ours, theirs):
        count = (end - start) // PAGE
        marks = ffi.new("unsigned char[]", count)
        if lib.equal_pages(library.address(child) + a, library.address(parent) + b, count, marks):
            found += _ranges(start, bytes(ffi.buffer(marks)))
    return found


def _overlaps(ours: list[Piece], theirs: list[Piece]) -> Iterator[tuple[int, int, int, int]]:
    """(start, end, offset in our file, offset in theirs) of every stretch that both have; both are sorted."""
    i = j = 0
    while i < len(ours) and j < len(theirs):
        a, b = ours[i], theirs[j]
        start, end = max(a.address, b.address), min(a.address + a.length, b.address + b.length)
        if start < end:
            yield start, end, a.offset + start - a.address, b.offset + start - b.address
        if a.address + a.length < b.address + b.length:
            i += 1
        else:
            j += 1


def _ranges(start: int, marks: bytes) -> list[tuple[int, int]]:
    """Runs of ones in `marks`, as address ranges."""
    found, at = [], 0
    while (first := marks.find(1, at)) >= 0:
        last = marks.find(0, first)
        at = len(marks) if last < 0 else last
        found.append((start + first * PAGE, start + at * PAGE))
    return found


def _subtract(found: list[Piece], holes: list[tuple[int, int]]) -> Iterator[Piece]:
    """What is left of sorted pieces when sorted ranges are taken away."""
    i = 0
    for address, length, offset in found:
        end = address + length
        while i < len(holes) and holes[i][1] <= address:
            i += 1
        k = i
        while address < end:
            hole = holes[k] if k < len(holes) else (end, end)
            if hole[0] > address:
                stop = min(hole[0], end)
                yield Piece(address, stop - address, offset)
            step = min(max(hole[1], address), end) - address
            address, offset = address + step, offset + step
            k += 1


def _inside(address: int, ranges: list[tuple[int, int]]) -> bool:
    """Whether one of the sorted ranges holds the address."""
    at = bisect.bisect_right(ranges, (address, END)) - 1
    return at >= 0 and address < ranges[at][1]
