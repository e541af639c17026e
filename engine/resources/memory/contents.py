"""Contents of private mappings: which pages to save, moving them out, moving them in.

Pages never become Python bytes. Out: PAGEMAP_SCAN (Linux 6.7) finds the pages that are the task's own (present or
swapped, neither the zero page nor a page of a mapped file), and they are copied from the task straight into a shared
mapping of the image file, whose room was reserved before the freeze, by both cores. In: the plan's own preadv into the
new mapping, by the task and a helper thread.
"""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_right
from errno import EINVAL

from engine.abi import fs, mman
from engine.errors import ImageError, Obstacle, Refused
from engine.images import pb
from engine.images.pages import PE_PRESENT, check_pages, length_of
from engine.kernel._native import ffi
from engine.resources import stages
from engine.resources.memory.mappings import TASK_END, VDSO, VSYSCALL, VVAR, is_shared
from engine.resources.task.tree import THREAD_FLAGS
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.graph import Step
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask

ROWS = {"M02": "private pages that are in use", "M24": "zero pages are not saved"}
REFUSED = {"M26": "pages that a parent image holds"}

PAGE = 4096
REGIONS = 4096  # page regions that one PAGEMAP_SCAN may return
BATCH = 512  # iovecs of one preadv
BIG = 4 << 20  # bytes from which on contents are read by two threads
CHUNK = 2 << 20  # bytes: one huge page, populated and read at a time


class Run(NamedTuple):
    """Consecutive pages: addresses from `start` to `end`."""

    start: int
    end: int


def write(task: FrozenTask) -> None:
    """Copies the pages out, and notes which they are."""
    room = task.tree.room
    pages = room.pages.get(task.pid) or room.reserve(task.pid, 0)
    with task.tree.timings.span("memdump_time"):
        runs = scan(task)
    with task.tree.timings.span("memwrite_time"):
        count = pages.copy(task.pid, runs, _gently(task))
    task.tree.timings.add("pages_written", count)
    task.tree.images.post("PAGEMAP", task.pid, entries(runs, pages.number))


def _gently(task: FrozenTask) -> Callable[[int], bool]:
    """Which addresses must not be read the fast way: everything of a task that has relatives in the tree, whose pages
    may be shared by copy-on-write, and else what the task itself may not read."""
    if any(other.ppid == task.pid or other.pid == task.ppid for other in task.tree.alive):
        return lambda _: True
    unreadable = [v for v in task.mm.vmas if not v.prot & mman.PROT_READ]
    starts, ends = [v.start for v in unreadable], [v.end for v in unreadable]
    return lambda address: (at := bisect_right(starts, address)) > 0 and address < ends[at - 1]


def scan(task: FrozenTask) -> list[Run]:
    """The pages to save, in order, each run within one mapping."""
    wanted = [v for v in task.mm.vmas if not is_shared(v) and not v.status & (VVAR | VSYSCALL)]
    own = iter(_own_pages(task))
    runs: list[Run] = []
    page = next(own, None)
    for vma in wanted:
        if vma.status & VDSO:  # its code is kept: another kernel's may have to be told apart from it
            runs.append(Run(vma.start, vma.end))
            continue
        while page and page.end <= vma.start:
            page = next(own, None)
        while page and page.start < vma.end:
            runs.append(Run(max(page.start, vma.start), min(page.end, vma.end)))
            if page.end > vma.end:
                break
            page = next(own, None)
    return runs


def _own_pages(task: FrozenTask) -> list[Run]:
    found: list[Run] = []
    guards: list[Run] = []
    vector = ffi.new("uint64_t[]", 3 * REGIONS)
    pagemap = os.open("pagemap", os.O_RDONLY | os.O_CLOEXEC, dir_fd=task.proc.fd)
    at = 0
    try:
        while at < TASK_END:
            count, at = _scan(pagemap, at, vector)
            numbers = ffi.unpack(vector, 3 * count)
            runs = list(map(Run._make, zip(numbers[::3], numbers[1::3], strict=True)))
            found += runs
            if any(numbers[2::3]):
                guards += [run for run, category in zip(runs, numbers[2::3], strict=True) if category]
            # A vector that is not full says that the walk came to its end; walk_end does not: it keeps the place where
            # the kernel's own buffer of 512 regions was full last (fs/proc/task_mmu.c, do_pagemap_scan).
            if count < REGIONS:
                break
    finally:
        os.close(pagemap)
    if guards:
        reason = "guard pages (MADV_GUARD_INSTALL) are not supported"
        raise Refused([Obstacle(f"pid {task.pid} memory {run.start:x}-{run.end:x}", reason) for run in guards])
    return found


def _scan(pagemap: int, at: int, vector: object) -> tuple[int, int]:
    """One PAGEMAP_SCAN: how many regions it found, and where it came to. Their category is nothing, or that they are
    guard pages; kernels before 6.15 do not know these from others and refuse to be asked."""
    request = bytearray(fs.PM_SCAN_ARG.pack(
        size=fs.PM_SCAN_ARG.size, start=at, end=TASK_END, vec_len=REGIONS,
        vec=int(ffi.cast("uint64_t", vector)),
        # present or swapped, and neither the zero page nor a file's page
        category_inverted=fs.PAGE_IS_PFNZERO | fs.PAGE_IS_FILE,
        category_mask=fs.PAGE_IS_PFNZERO | fs.PAGE_IS_FILE,
        category_anyof_mask=fs.PAGE_IS_PRESENT | fs.PAGE_IS_SWAPPED,
        return_mask=fs.PAGE_IS_FILE | sum(_guard_category),
    ))  # fmt: skip
    try:
        count = fcntl.ioctl(pagemap, fs.PAGEMAP_SCAN, request)
    except OSError as error:
        if error.errno != EINVAL or not _guard_category:
            raise
        _guard_category.clear()
        return _scan(pagemap, at, vector)
    return count, fs.PM_SCAN_ARG.get(request, "walk_end")


_guard_category = [fs.PAGE_IS_GUARD]


def entries(runs: list[Run], pages_id: int) -> list[pb.pagemap_head | pb.pagemap_entry]:
    """pagemap-PID.img: which pages the pages file holds, one after the other."""
    messages: list[pb.pagemap_head | pb.pagemap_entry] = [pb.pagemap_head(pages_id=pages_id)]
    for run in runs:
        count = (run.end - run.start) // PAGE
        messages.append(pb.pagemap_entry(vaddr=run.start, compat_nr_pages=count, nr_pages=count, flags=PE_PRESENT))
    return messages


class Piece(NamedTuple):
    """Pages in an image: `length` bytes of the pages file from `offset` on belong at `address`."""

    address: int
    length: int
    offset: int


def pieces(task: NewTask) -> tuple[int, list[Piece]]:
    """(number of the pages file, what it holds), checked against the mappings."""
    messages = task.tree.images.read("PAGEMAP", task.pid)
    if not messages:
        return 0, []
    task.pages_path = task.tree.images.path(f"pages-{messages[0].pages_id}.img")
    found: list[Piece] = []
    offset = 0
    for entry in messages[1:]:
        length = length_of(entry, f"pagemap-{task.pid}.img")
        if not length:
            continue
        if entry.vaddr % PAGE:
            raise ImageError(f"pagemap-{task.pid}.img: {entry.vaddr:#x} is not the address of a page")
        found.append(Piece(entry.vaddr, length, offset))
        offset += length
    check_pages(task.pages_path, offset, f"pagemap-{task.pid}.img")
    return messages[0].pages_id, _clip(task, found)


def _clip(task: NewTask, found: list[Piece]) -> list[Piece]:
    """Splits at the borders of mappings; refuses pages that no mapping is for; leaves out the vdso."""
    clipped: list[Piece] = []
    vmas = iter(sorted((v for v in task.mm.vmas if not is_shared(v)), key=lambda v: v.start))
    vma = next(vmas, None)
    for address, length, offset in sorted(found):
        while length:
            while vma and vma.end <= address:
                vma = next(vmas, None)
            if vma is None or address < vma.start:
                raise ImageError(f"pagemap-{task.pid}.img: page {address:#x} belongs to no private mapping")
            part = min(length, vma.end - address)
            if vma.status & VDSO:
                task.vdso.append(Piece(address, part, offset))
            if not vma.status & (VDSO | VVAR | VSYSCALL):
                clipped.append(Piece(address, part, offset))
            address, length, offset = address + part, length - part, offset + part
    return clipped


def restore(task: NewTask) -> None:
    """Reads the contents in; big ones by two threads."""
    found = task.fill
    if not found:
        return
    path = task.pages_path
    with task.step(stages.FILL, "contents") as step:
        step.why = f"{task.leader}, contents from {path}"
        total = sum(piece.length for piece in found)
        if total >= BIG:
            _read_by_two(task, step, path, found, total)
        else:
            fd = step.call("open", step.text(path), os.O_RDONLY | os.O_CLOEXEC)
            _read(step, fd, found)
            step.call("close", fd)
    task.tree.timings.add("pages_restored", total // PAGE)


def _read(step: Emitter, fd: Slot, found: list[Piece]) -> None:
    """Pieces whose pages follow one another in the file go in one preadv."""
    batch: list[Piece] = []
    for piece in found:
        follows = batch and batch[-1].offset + batch[-1].length == piece.offset
        if batch and (not follows or len(batch) == BATCH):
            _read_batch(step, fd, batch)
            batch = []
        batch.append(piece)
    if batch:
        _read_batch(step, fd, batch)


def _read_batch(step: Emitter, fd: Slot, batch: list[Piece]) -> None:
    vector = [number for piece in batch for number in (piece.address, piece.length)]
    total = sum(piece.length for piece in batch)
    iovecs = step.pack(f"{len(vector)}Q", *vector)
    step.call("preadv", fd, iovecs, len(batch), batch[0].offset, 0, expect=total)


def _read_by_two(task: NewTask, step: Step, path: str, found: list[Piece], total: int) -> None:
    """A helper thread reads the second half. It is gone before anything else happens in the task."""
    first, second = _halves(list(_chunks(found)), total)
    helper = task.tree.plan.actor(f"{task.leader}, reading helper")
    word = step.buffer(4)
    emit = helper.emit(step.why)
    fd = emit.call("open", emit.text(path), os.O_RDONLY | os.O_CLOEXEC)
    _read_populated(emit, fd, second)
    emit.call("close", fd)
    emit.post(word)
    emit.attempt("exit", 0)
    step.spawn(helper, THREAD_FLAGS)
    own = step.call("open", step.text(path), os.O_RDONLY | os.O_CLOEXEC)
    _read_populated(step, own, first)
    step.call("close", own)
    step.wait(word, 1)


def _chunks(found: list[Piece]) -> Iterator[Piece]:
    for address, length, offset in found:
        while length:
            part = min(length, CHUNK - address % CHUNK)
            yield Piece(address, part, offset)
            address, length, offset = address + part, length - part, offset + part


def _halves(chunks: list[Piece], total: int) -> tuple[list[Piece], list[Piece]]:
    done = 0
    for i, piece in enumerate(chunks):
        done += piece.length
        if done * 2 >= total:
            return chunks[: i + 1], chunks[i + 1 :]
    return chunks, []


def _read_populated(emit: Emitter, fd: Slot, chunks: list[Piece]) -> None:
    """Page tables first, then the data: faults in bulk cost a third of faults one by one."""
    small: list[Piece] = []
    for piece in chunks:
        if piece.length < CHUNK // 8:
            small.append(piece)
            continue
        emit.call("madvise", piece.address, piece.length, mman.MADV_POPULATE_WRITE)
        emit.full_io("pread64", fd, piece.address, piece.length, piece.offset)
    _read(emit, fd, small)
