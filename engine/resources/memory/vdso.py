"""The vdso: code that the kernel maps into every task, and the data pages beside it.

Where it is the running kernel's very own, that one is put where the task had it (arch_prctl ARCH_MAP_VDSO_64). Another
kernel's is what stand_in.py is about.
"""

from __future__ import annotations

import os

from engine.abi.mman import MS_ASYNC
from engine.abi.prctl import ARCH_MAP_VDSO_64
from engine.abi.ptrace import PTRACE_EVENT_STOP
from engine.abi.syscalls import NR
from engine.kernel import calls
from engine.kernel._native import ffi
from engine.kernel.proc import ProcDir
from engine.kernel.ptrace import Stop
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenThread
    from engine.images import pb
    from engine.kernel.proc import DetailedMapping, Mapping
    from engine.kernel.ptrace import Registers
    from engine.plan.builder import Emitter
    from engine.rebuild import NewTask

ROWS = {"P61": "the vdso, at its old address"}

VDSO, VVAR = 8, 4096
NAME = "[vdso]"
SYSCALL = b"\x0f\x05"
MOST_STEPS = 1000  # instructions; the longest way out, through a clock, has some 200

# criu writes a mark over the first 40 bytes of a kernel's vdso that it has put beside a program's old one (seen with
# 4.1.1). The ELF header that was there is the same on every x86-64 kernel: a shared object, program headers at 64.
MARK = b"CRIUvDSO"
HEADER = bytes.fromhex("7f454c46020101000000000000000000 03003e0001000000 0000000000000000 4000000000000000")


class Own(NamedTuple):
    """The running kernel's: bytes of data pages, the code behind them."""

    data: int
    code: bytes


def own() -> Own:
    """As this process has it; no code where the kernel was started with vdso=0."""
    if not _known:
        with ProcDir(os.getpid()) as proc:
            maps = proc.maps()
        data = sum(m.end - m.start for m in maps if m.name.startswith("[vvar"))
        code = next((m for m in maps if m.name == NAME), None)
        content = bytes(ffi.buffer(ffi.cast("char *", code.start), code.end - code.start)) if code else b""
        _known.append(Own(data, content))
    return _known[0]


_known: list[Own] = []


def collect(task: FrozenTask, found: DetailedMapping) -> None:
    """Refuses a vdso that was written to: at a restore nobody could tell its changes from another kernel's code. The
    kernel's pages are shared by all; one that is the task's own was written to, be it by a debugger for a while."""
    if found.mapping.name != NAME or not found.anonymous:
        return
    start, end = found.mapping.start, found.mapping.end
    if unmarked(calls.read_memory(task.pid, start, end - start)) != own().code:
        task.refuse(f"mapping {start:x}-{end:x}", "code of its vdso was changed, which is not supported")


def code_of(task: FrozenTask) -> Mapping | None:
    """Where it is in a frozen task."""
    return next((found.mapping for found in task.mappings if found.mapping.name == NAME), None)


def leave(thread: FrozenThread, code: Mapping | None) -> bool:
    """Steps a thread out of a function of the vdso, and tells whether it did anything: on another kernel the rest of it
    would read data that are not there. A signal on its way is delivered, as on any other way to a stop, and its handler
    may return if that is soon. What does not come to an end, and who is stopped for good, stays; then only this kernel
    can restore it (stand_in.py)."""
    tracee, stop = thread.tracee, thread.tracee.stop
    inside = code is not None and code.start <= thread.home.registers["rip"] < code.end
    if code is None or not inside or stop.event != PTRACE_EVENT_STOP or stop.is_group_stop:
        return False
    stop, steps, handling = Stop(0, 0), 0, False
    while True:
        handling = stop.signal > 0 or (handling and not inside)
        stop, steps = tracee.step(stop.signal), steps + 1
        registers = tracee.registers()
        inside = code.start <= registers["rip"] < code.end
        more = inside or (handling and not _may_sleep(thread, registers))
        if stop.event or not (stop.signal or (more and steps < MOST_STEPS)):
            return True


def _may_sleep(thread: FrozenThread, registers: Registers) -> bool:
    """Whether a handler comes to a system call other than its own end: somebody whom we have stopped may have to end
    that call."""
    if registers["rax"] == NR.rt_sigreturn:
        return False
    return calls.read_memory(thread.tid, registers["rip"], len(SYSCALL)) == SYSCALL


def unmarked(code: bytes) -> bytes:
    """The code as the kernel made it."""
    return HEADER + code[len(HEADER) :] if code.startswith(MARK) else code


def areas(task: NewTask) -> list[pb.vma_entry]:
    """Its mappings in order: data first, then code, if it is the kernel's own."""
    return sorted((v for v in task.mm.vmas if v.status & (VDSO | VVAR)), key=lambda v: v.start)


def is_own(task: NewTask) -> bool:
    """Same sizes, same order, same code; images of other engines may lack the code, then the sizes must do."""
    data, code = own()
    found = areas(task)
    start, at = found[0].start, found[0].start
    for vma in found:
        if vma.start != at or bool(vma.status & VDSO) != (at - start >= data):
            return False
        at = vma.end
    if at - start != data + len(code):
        return False
    return not task.vdso or unmarked(content(task)) == code


def content(task: NewTask) -> bytes:
    """The code that the image holds."""
    fd = os.open(task.pages_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(os.pread(fd, piece.length, piece.offset) for piece in task.vdso)
    finally:
        os.close(fd)


def restore(task: NewTask, step: Emitter) -> None:
    """Maps the kernel's data and code. The address is a hint that the kernel follows where there is room; the second
    call tells whether it did: msync(2) fails where nothing is mapped, and here does nothing else."""
    found = areas(task)
    if found and found[0].start not in task.kept:
        start = found[0].start
        step.why = f"{task.leader}, vdso"
        step.call("arch_prctl", ARCH_MAP_VDSO_64, start)
        step.call("msync", start, found[-1].end - start, MS_ASYNC)
