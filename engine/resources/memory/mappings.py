"""Mappings: /proc/PID/smaps <-> vma_entry <-> mmap(2).

A mapping is made writable first, whatever it will be, and gets its final protection and advice in `settle`, when its
contents are in place (contents.py). File mappings refer to files.img by id; shared anonymous memory is a memfd
there (shared.py); the vdso and its data are the running kernel's own (vdso.py), with
the old one in front of it if that was another kernel's (stand_in.py).
"""

from __future__ import annotations

from errno import ENOMEM

from engine.abi import mman
from engine.errors import KernelError
from engine.images import pb
from engine.resources import stages
from engine.resources.files.names import DELETED
from engine.resources.memory import shared, vdso
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.frozen import FrozenTask, Running
    from engine.kernel.proc import DetailedMapping, Mapping
    from engine.plan.builder import Emitter
    from engine.plan.ops import Value
    from engine.rebuild import NewTask

ROWS = {
    "P62": "the data pages of the vdso, which are the running kernel's",
    "M01": "every mapping: addresses, kind, offset, flags",
    "M04": "private mappings of files",
    "M05": "shared mappings of files",
    "M12": "mappings that grow down",
    "M13": "advice given by madvise",
    "M14": "locked mappings",
    "M15": "mappings without reserved swap",
    "M23": "protections, PROT_NONE included",
    "M25": "the vsyscall page",
    "M28": "tiny, very many, and huge sparse mappings",
}
REFUSED = {
    "M09": "huge pages of hugetlbfs",
    "M16": "droppable memory",
    "M21": "device memory",
    "M30": "sealed memory and memory of a userfaultfd; other marks are lost",
}

# vma_entry.status (image-files.md, section 3)
REGULAR, VSYSCALL, VDSO, HEAP = 1, 4, 8, 32
FILE_PRIVATE, FILE_SHARED, ANON_SHARED, ANON_PRIVATE = 64, 128, 256, 512
VVAR, MEMFD = 4096, 16384
KNOWN = REGULAR | 2 | VSYSCALL | VDSO | HEAP | FILE_PRIVATE | FILE_SHARED | ANON_PRIVATE | VVAR | MEMFD

VCLOCK = "[vvar_vclock]"
_STATUS = {"[vdso]": REGULAR | VDSO, "[vvar]": REGULAR | VVAR, VCLOCK: REGULAR | VVAR,
           "[vsyscall]": VSYSCALL, "[heap]": REGULAR | HEAP}  # fmt: skip

# VmFlags of smaps that a mapping is made with, and those that are advice given afterwards (madvise(2)).
_FLAGS = {"gd": mman.MAP_GROWSDOWN, "lo": mman.MAP_LOCKED, "nr": mman.MAP_NORESERVE}
_ADVICE = {"sr": 2, "rr": 1, "dc": 10, "dd": 16, "mg": 12, "hg": 14, "nh": 15, "wf": 18}
_REFUSED = {"io": "device memory", "pf": "device memory", "ht": "huge pages of hugetlbfs", "ss": "a shadow stack",
            "dp": "droppable memory", "sl": "sealed memory", "um": "registered with a userfaultfd",
            "uw": "write-protected by a userfaultfd", "ui": "registered with a userfaultfd"}  # fmt: skip
O_RDONLY, O_RDWR = 0, 2
TASK_END = (1 << 47) - 4096
"""End of user space with four levels of page tables. With five, there is more for who asks for addresses up there."""


def expect(task: Running, found: list[DetailedMapping]) -> None:
    """Before the freeze: describes what plain files and anonymous memory a process has mapped. A mapping that is still
    just so in the freeze, its file's name included, need not be described again."""
    known = task.tree.known_mappings
    for mapping, flags in ((detailed.mapping, detailed.flags) for detailed in found):
        plain = not mapping.shared and (mapping.inode == 0 or not mapping.name.endswith(DELETED))
        if plain and flags.isdisjoint(_REFUSED) and (mapping, flags) not in known:
            try:
                entry = _entry(task, mapping, flags)
            except (OSError, KernelError):  # it is not mapped any more
                continue
            if not task.refused:
                known[mapping, flags] = entry
            task.refused.clear()


def collect(task: FrozenTask) -> None:
    """Every mapping as a vma_entry; what cannot be made again is refused."""
    known, entries = task.tree.known_mappings, list[pb.vma_entry]()
    for detailed in task.mappings:
        mapping, flags = detailed.mapping, detailed.flags
        if not flags.isdisjoint(_REFUSED) and not mapping.name.startswith(("[vvar", "[vdso")):
            reason = next(text for flag, text in _REFUSED.items() if flag in flags)
            task.refuse(_name(mapping), f"{reason} is not supported")
        vdso.collect(task, detailed)
        entry = known.get((mapping, flags))
        if entry is None:
            entry = known[mapping, flags] = _entry(task, mapping, flags)
        if mapping.name == VCLOCK and entries and entries[-1].end == entry.start:
            entry = _joined(entries.pop(), entry)
        entries.append(entry)
    for entry in entries[-2:]:  # the highest, and the vsyscall page
        if entry.end > TASK_END and not entry.status & VSYSCALL:
            task.refuse(f"mapping {entry.start:x}-{entry.end:x}", "addresses from 2^47 on are not supported")
    task.mm.vmas.extend(entries)


def _joined(data: pb.vma_entry, clocks: pb.vma_entry) -> pb.vma_entry:
    """The vdso's two data mappings (since Linux 6.13) as the one that they were before: so criu has them in images."""
    whole = pb.vma_entry()
    whole.CopyFrom(data)
    whole.end = clocks.end
    return whole


def _name(mapping: Mapping) -> str:
    return f"mapping {mapping.start:x}-{mapping.end:x}"


def _entry(task: FrozenTask | Running, mapping: Mapping, vm_flags: frozenset[str]) -> pb.vma_entry:
    flags = mman.MAP_SHARED if mapping.shared else mman.MAP_PRIVATE
    flags |= sum(bit for name, bit in _FLAGS.items() if name in vm_flags)
    entry = pb.vma_entry(
        start=mapping.start, end=mapping.end, pgoff=mapping.offset, shmid=0, fd=-1, flags=flags,
        prot=mapping.prot, status=_STATUS.get(mapping.name, REGULAR),
    )  # fmt: skip
    if advice := sum(1 << number for name, number in _ADVICE.items() if name in vm_flags):
        entry.madv = advice
    if "lf" in vm_flags:
        entry.lock_on_fault = True
    if mapping.inode == 0 or mapping.name in _STATUS:
        entry.status |= ANON_PRIVATE
        entry.flags |= mman.MAP_ANONYMOUS
        entry.pgoff = 0
    elif mapping.shared and shared.is_anonymous(mapping):
        entry.status |= FILE_SHARED | MEMFD
        entry.shmid = shared.collect(task, mapping)
        entry.fdflags = O_RDWR
    else:
        entry.status |= FILE_SHARED if mapping.shared else FILE_PRIVATE
        # "may be made writable": the file was opened for writing too
        entry.fdflags = O_RDWR if mapping.shared and "mw" in vm_flags else O_RDONLY
        link = f"map_files/{mapping.start:x}-{mapping.end:x}"
        entry.shmid = task.tree.registry.path_id(task, link, entry.fdflags, _name(mapping))
    return entry


class Area(NamedTuple):
    """A stretch of address space."""

    start: int
    end: int


def areas(task: NewTask) -> list[Area]:
    """Where a task will have mappings: the interpreter must be elsewhere."""
    return [Area(v.start, v.end) for v in task.mm.vmas if not v.status & VSYSCALL]


def restore(task: NewTask) -> None:
    """mmap now, mprotect and madvise when the contents are there."""
    filled = _with_pages(task)
    with task.step(stages.MAP, "mappings") as step:
        _leave_parent(task, step)
        opened: dict[tuple[int, int], Value] = {}
        for vma in task.mm.vmas:
            if vma.status & (VDSO | VVAR | VSYSCALL):
                continue
            step.why = f"{task.leader}, mapping {vma.start:x}-{vma.end:x}"
            prot = vma.prot | (mman.PROT_WRITE if vma.start in filled else 0)
            if vma.start not in task.kept:
                _map(task, vma, prot, step, opened)
            elif prot != vma.prot:
                step.call("mprotect", vma.start, vma.end - vma.start, prot)
        for fd in opened.values():
            step.call("close", fd)
        vdso.restore(task, step)
    with task.step(stages.SETTLE, "mappings") as step:
        for vma in task.mm.vmas:
            step.why = f"{task.leader}, mapping {vma.start:x}-{vma.end:x}"
            _settle(vma, vma.start in filled or vma.start in task.kept, step)


def _with_pages(task: NewTask) -> set[int]:
    """Mappings, by their start, that contents go into. Only they are made writable: a mapping that never was is not
    accounted (VM_ACCOUNT), and would merge with its neighbour if it were."""
    found, fill = set(), iter(task.fill)
    piece = next(fill, None)
    for vma in task.mm.vmas:
        while piece and piece.address < vma.start:
            piece = next(fill, None)
        if piece and piece.address < vma.end:
            found.add(vma.start)
    return found


def _leave_parent(task: NewTask, step: Emitter) -> None:
    """The first thing a task does that was born with somebody's memory: it gives up what is not its own."""
    for vma in task.born_with:
        if vma.start not in task.kept and not vma.status & VSYSCALL:
            step.call("munmap", vma.start, vma.end - vma.start)
    for run in task.drop:
        step.call("madvise", run.start, run.end - run.start, mman.MADV_DONTNEED)


def _map(
    task: NewTask, vma: pb.vma_entry, prot: int, step: Emitter, opened: dict[tuple[int, int], Value]
) -> None:
    fd: Value = -1
    if vma.status & (FILE_PRIVATE | FILE_SHARED):
        key = (vma.shmid, vma.fdflags)
        if key not in opened:
            opened[key] = task.tree.opener.open_for_mapping(task, vma.shmid, vma.fdflags, step)
        fd = opened[key]
    flags = vma.flags & ~(mman.MAP_LOCKED | mman.MAP_FIXED) | mman.MAP_FIXED_NOREPLACE
    length = vma.end - vma.start
    step.call("mmap", vma.start, length, prot, flags, fd, vma.pgoff, expect=vma.start)


def _settle(vma: pb.vma_entry, was_writable: bool, step: Emitter) -> None:
    length = vma.end - vma.start
    if vma.status & (VDSO | VVAR | VSYSCALL):
        return
    if was_writable and not vma.prot & mman.PROT_WRITE:
        step.call("mprotect", vma.start, length, vma.prot)
    if vma.lock_on_fault:
        step.call("mlock2", vma.start, length, mman.MLOCK_ONFAULT)
    elif vma.flags & mman.MAP_LOCKED:
        step.call("mlock", vma.start, length, may=(ENOMEM,) if _may_lack_pages(vma) else ())
    for advice in _bits(vma.madv):
        step.call("madvise", vma.start, length, advice)


def _may_lack_pages(vma: pb.vma_entry) -> bool:
    """Whether some of its pages cannot be brought in, as those that nobody may touch and those beyond the end of a
    file. mlock(2) says ENOMEM then, when the mapping is locked already (mm/mlock.c, do_mlock); mlockall(2) says
    nothing."""
    return not vma.prot or bool(vma.status & (FILE_PRIVATE | FILE_SHARED))


def is_shared(vma: pb.vma_entry) -> bool:
    """Whether writes are seen by others: its contents then are not the mapping's own."""
    return bool(vma.flags & mman.MAP_SHARED)


def _bits(mask: int) -> Iterator[int]:
    return (n for n in range(64) if mask >> n & 1)
