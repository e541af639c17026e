"""A stand-in for another kernel's vdso.

Programs keep pointers into the vdso of the kernel that they were started on: the C library takes them at its start. So
its code stays where it was, as ordinary memory, and each of its functions begins with a jump to the function of that
name in the running kernel's own vdso, which is mapped where nobody else is. A function that the running kernel lacks
makes the system call that it stands for.

    [data, all zero][old code: clock_gettime: jmp ----]     [vvar][vvar_vclock][vdso: clock_gettime: … ]
                                                     \\____________________________^

The old data become zeros. Nothing but a function that was interrupted can still read them, and to it they say that no
clock can be read without a system call (VDSO_CLOCKMODE_NONE is 0, include/vdso/clocksource.h; so is the sequence that
says that nobody writes). Only the coarse clocks, time() and clock_getres() do not ask, so a thread that stands in one
of the old functions is refused; a dump steps threads out (vdso.py). A jump is one instruction that changes no register:
no thread can be stopped in half of it. What nobody can see is a signal handler that will return to where a jump is now.

The next dump needs to know nothing of this. The stand-in is a mapping with contents as any other, the task's vdso is
where the kernel's own is now, and the jumps into it are as good as the program's own pointers: on the same kernel it
is put there again, on another one it gets a stand-in itself.
"""

from __future__ import annotations

from itertools import pairwise

from engine.abi import mman
from engine.abi.syscalls import NR
from engine.errors import Obstacle, Refused
from engine.images import pb
from engine.plan.place import find_hole
from engine.resources import stages
from engine.resources.memory import mappings, symbols, vdso
from engine.resources.memory.mappings import ANON_PRIVATE, REGULAR, VDSO, VVAR
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.rebuild import NewTask, NewTree
    from engine.resources.memory.contents import Piece
    from engine.resources.memory.symbols import Function

ROWS = {"P61": "another kernel's vdso, whose functions lead to this one's"}
REFUSED = {"P61": "a vdso whose functions cannot be told, or in which a thread stands"}

JUMP = b"\xff\x25\0\0\0\0"  # jmp *0(%rip): to the address behind it
NO_CALL = b"\x48\xc7\xc0\xda\xff\xff\xff\xc3"  # mov $-ENOSYS, %rax; ret
ALIGNED = 16  # bytes: the compiler's alignment of functions, up to which there is padding behind a short one
SAME_REGISTERS = ("clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres")
"""Functions that take what the system call of that name takes."""

REMEDY = "restore it on the kernel that it was dumped on"
LOWEST = 0x600000000000  # far above executables and heaps, far below stacks and what mmap(2) hands out
UNKNOWN_BITS = 0xFFFFFFF000  # of the old address, kept in the new one: it is as hard to guess


class Patch(NamedTuple):
    """Bytes that are written over the contents of a mapping; a multiple of four."""

    address: int
    content: bytes


def plan(tree: NewTree, pieces: dict[int, list[Piece]]) -> None:
    """Every task whose vdso is another kernel's gets its stand-in: the mappings of its records change, what the image
    holds of its code joins `pieces`, the contents by pid, and `patches` says what changes there."""
    foreign = [task for task in tree.alive if vdso.areas(task) and not vdso.is_own(task)]
    if not foreign:
        return
    data, code = vdso.own()
    new = symbols.functions(code) if code else {}
    place = _place(tree, data + len(code)) if code else 0
    targets = {name: place + data + function.start for name, function in new.items()}
    obstacles = []
    for task in foreign:
        try:
            task.patches = _patches(task, targets)
        except symbols.Damaged as error:
            obstacles.append(Obstacle(str(task.leader), f"its vdso is another kernel's, and {error}", REMEDY))
        else:
            _replace(task, place, data, len(code))
            pieces[task.pid] = sorted([*pieces[task.pid], *task.vdso])
    if obstacles:
        raise Refused(obstacles)


def _place(tree: NewTree, size: int) -> int:
    """Free in all tasks: relatives can then share it."""
    areas = [area for task in tree.alive for area in mappings.areas(task)]
    old = next(v for task in tree.alive for v in vdso.areas(task))
    return find_hole(areas, size, LOWEST + (old.start & UNKNOWN_BITS))


def _replace(task: NewTask, place: int, data: int, code: int) -> None:
    """The records say what there will be."""
    kept = [v for v in task.mm.vmas if not v.status & (VDSO | VVAR)]
    old = [_anonymous(v.start, v.end, v.prot, bool(v.status & VVAR)) for v in vdso.areas(task)]
    new = [_special(place, place + data, VVAR, mman.PROT_READ),
           _special(place + data, place + data + code, VDSO, mman.PROT_READ | mman.PROT_EXEC)]  # fmt: skip
    del task.mm.vmas[:]
    task.mm.vmas.extend(sorted(kept + old + (new if task.vdso and code else []), key=lambda v: v.start))


def _anonymous(start: int, end: int, prot: int, is_data: bool) -> pb.vma_entry:
    """Data stay out of core dumps, as the kernel's do; so they also never merge with what is beside them."""
    madv = 1 << mman.MADV_DONTDUMP if is_data else 0
    return pb.vma_entry(start=start, end=end, pgoff=0, shmid=0, prot=prot, flags=mman.MAP_PRIVATE | mman.MAP_ANONYMOUS,
                        status=REGULAR | ANON_PRIVATE, fd=-1, madv=madv)  # fmt: skip


def _special(start: int, end: int, status: int, prot: int) -> pb.vma_entry:
    entry = _anonymous(start, end, prot, False)
    entry.status |= status
    return entry


def _patches(task: NewTask, targets: dict[str, int]) -> list[Patch]:
    """What changes in the old code, if it has any."""
    found = [v for v in task.mm.vmas if v.status & VDSO]
    if not found:  # the program has unmapped it
        return []
    start, size = found[0].start, found[0].end - found[0].start
    if len(found) != 1:
        raise symbols.Damaged("it lies in several pieces")
    if size > symbols.MOST or sum(piece.length for piece in task.vdso) != size:
        raise symbols.Damaged("the image does not hold its code")
    code = vdso.content(task)
    old = symbols.functions(vdso.unmarked(code))
    _check_threads(task, start, size, {function.start for function in old.values()})
    header = [Patch(start, vdso.HEADER)] if code.startswith(vdso.MARK) else []
    return header + [Patch(start + offset, stub) for offset, stub in stubs(old, targets)]


def _check_threads(task: NewTask, start: int, size: int, entries: set[int]) -> None:
    for thread in task.threads:
        at = thread.core.thread_info.gpregs.ip - start
        if 0 <= at < size and at not in entries:
            raise symbols.Damaged(f"{thread} stands in one of its functions")


def stubs(old: dict[str, Function], targets: dict[str, int]) -> list[tuple[int, bytes]]:
    """(Offset, code) for each function; names of one function share it. `targets` says where there is a new one."""
    names: dict[int, list[str]] = {}
    for name in sorted(old):
        names.setdefault(old[name].start, []).append(name)
    found = []
    for start, following in pairwise([*sorted(names), symbols.MOST]):
        aliases = names[start]
        target = next((targets[name] for name in aliases if name in targets), None)
        stub = _call(aliases[0]) if target is None else JUMP + target.to_bytes(8, "little")
        stub += b"\xcc" * (-len(stub) % 4)
        if start + len(stub) > min(following, start + min(_room(old[name]) for name in aliases)):
            raise symbols.Damaged(f"its function {aliases[0]} has no room for a jump")
        found.append((start, stub))
    return found


def _room(function: Function) -> int:
    return -(-function.size // ALIGNED) * ALIGNED if function.start % ALIGNED == 0 else function.size


def _call(name: str) -> bytes:
    """Code that does without the running kernel's vdso."""
    bare = name.removeprefix("__vdso_")
    if bare in SAME_REGISTERS:
        return _system_call(getattr(NR, bare))
    if bare == "getrandom":
        # The fifth argument, all ones, asks how large a state must be (man 7 vdso): there is none, and the system call
        # would take it for a request of 0 bytes. With any other state the call gives what was asked for.
        query = b"\x49\x83\xf8\xff\x74\x08"  # cmp $-1, %r8; je over the call
        return query + _system_call(NR.getrandom) + NO_CALL
    if bare == "sgx_enter_enclave":  # no task with an enclave is ever dumped, so there is none to enter
        return NO_CALL
    raise symbols.Damaged(f"this one lacks its function {name}")


def _system_call(number: int) -> bytes:
    return b"\xb8" + number.to_bytes(4, "little") + b"\x0f\x05\xc3"  # mov $number, %eax; syscall; ret


def restore(task: NewTask) -> None:
    """When the contents are there. Of an heir, those that its parent has prepared."""
    if not task.patches or _is_inherited(task):
        return
    with task.step(stages.FILL, "stand-in for its vdso") as step:
        for address, content in task.patches:
            for at, width in _words(len(content)):
                step.store(address + at, int.from_bytes(content[at : at + width], "little"), width)


def _is_inherited(task: NewTask) -> bool:
    start, end = task.vdso[0].address, task.vdso[-1].address + task.vdso[-1].length
    own = [piece for piece in task.fill if piece.address < end and start < piece.address + piece.length]
    return start in task.kept and not own


def _words(size: int) -> Iterable[tuple[int, int]]:
    """(Offset, width) of the numbers that a stretch is stored by."""
    for at in range(0, size & -8, 8):
        yield at, 8
    if size & 4:
        yield size & -8, 4
