"""Running plans inside frozen tasks, and leaving no trace.

The states of an injection, one way only:

    STOPPED    all threads are in a ptrace stop; nothing was changed
    GUARDED    a frame that leads home lies at the unused end of the leader's stack
    ROOMED     an arena, shared with us, is mapped in the process (one remote mmap through a `syscall; ret` that
               the task's own libc holds; its text is never overwritten)
    HALTED     the plan ran in every thread that has a part in it
    CURED      arena gone, registers, masks and stack bytes as they were

At any instruction of this the engine may be killed: a thread that is let go runs to the end of the piece of code it
is in, and from there home by `rt_sigreturn` (engine/kernel/home.py). What can stay behind is the mapping of an arena;
the next visit removes it. Seccomp filters are suspended while traced; all signals but the halt signal are
blocked; a task in group-stop stays one.
"""

from __future__ import annotations

import mmap
import os

from engine.abi import mman
from engine.abi import ptrace as abi
from engine.abi.syscalls import NR
from engine.errors import AmberError, Obstacle, PlanError, Refused
from engine.kernel import calls, threads
from engine.kernel._native import ffi, lib
from engine.kernel.ptrace import SYSCALL_STOP, Gone, Tracee
from engine.plan import blob
from engine.plan.builder import STACK
from engine.plan.listing import brief
from engine.plan.ops import CONTROL, HALT, UNEXPECTED, Ref
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.kernel.home import Home
    from engine.kernel.proc import Mapping
    from engine.plan.builder import Actor, Plan
    from engine.questions import Form

ALL_PERMISSIONS = mman.PROT_READ | mman.PROT_WRITE | mman.PROT_EXEC
ARENAS, ARENAS_END = 0x616D62657000, 0x616E62657000  # "amber" in hexadecimal: where arenas are asked for
RED_ZONE = 128  # bytes below rsp that belong to the function (System V ABI, x86-64)
U64 = (1 << 64) - 1
SYSCALL_RET = b"\x0f\x05\xc3"
SIGRETURNS = (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", b"\xb8\x0f\x00\x00\x00\x0f\x05")  # mov $15; syscall
# Signals whose default is to be ignored, in the order in which we would rather use them.
QUIET_SIGNALS = (23, 28, 17)  # SIGURG, SIGWINCH, SIGCHLD


class Gadgets(NamedTuple):
    """Addresses of code that the task already has: `syscall; ret`, and a call of rt_sigreturn."""

    syscall: int
    sigreturn: int


_known: dict[tuple[int, int, int], tuple[int | None, int | None]] = {}


def find_gadgets(pid: int, mappings: Iterable[Mapping]) -> Gadgets:
    """Searches the executable file mappings of a task that need not be stopped; libc, which has both, first."""
    code = [m for m in mappings if m.prot & mman.PROT_EXEC and m.inode]
    syscall = sigreturn = None
    for mapping in sorted(code, key=lambda m: "libc" not in m.name):
        found = _search(pid, mapping)
        syscall = mapping.start + found[0] if syscall is None and found[0] is not None else syscall
        sigreturn = mapping.start + found[1] if sigreturn is None and found[1] is not None else sigreturn
        if syscall is not None and sigreturn is not None:
            return Gadgets(syscall, sigreturn)
    what = "`syscall; ret`" if syscall is None else "rt_sigreturn"
    raise Refused([Obstacle(f"pid {pid}", f"its code holds no {what} sequence to borrow", "link it with a libc")])


def _search(pid: int, mapping: Mapping) -> tuple[int | None, int | None]:
    key = (mapping.device, mapping.inode, mapping.offset)
    if key not in _known:
        size = mapping.end - mapping.start
        buffer = ffi.new("char[]", size)
        calls.copy_memory(pid, [(mapping.start, int(ffi.cast("uint64_t", buffer)), size)])
        sigreturn = next((at for p in SIGRETURNS if (at := _find(buffer, size, p)) is not None), None)
        _known[key] = (_find(buffer, size, SYSCALL_RET), sigreturn)
    return _known[key]


def _find(buffer: object, size: int, pattern: bytes) -> int | None:
    at = lib.find_bytes(buffer, size, pattern, len(pattern))
    return None if at < 0 else at


def quiet_signal(caught: int, blocked: int, pending: int) -> int:
    """A signal that stops a task only while it is traced: nobody catches, blocks or awaits it. 0 if there is none; then
    plans are stopped at every system call, which is slower.
    Arguments are masks of /proc/PID/status, bit n-1 for signal n, joined over all threads."""
    taken = caught | blocked | pending
    return next((s for s in QUIET_SIGNALS if not taken >> s - 1 & 1), 0)


def is_arena(mapping: Mapping) -> bool:
    """Whether a mapping is the arena of an engine that was killed, perhaps before it had anything in it: shared,
    anonymous, all permissions, and where nobody but us asks for memory."""
    ours = ARENAS <= mapping.start < ARENAS_END
    return ours and mapping.name == "/dev/zero (deleted)" and mapping.prot == ALL_PERMISSIONS


class Injection:
    """One process that plans run in. `threads[0]` is the leader."""

    def __init__(
        self, tracees: Sequence[Tracee], homes: dict[int, Home], gadgets: Gadgets, mappings: Sequence[Mapping]
    ) -> None:
        self.threads, self.homes = tracees, homes
        self.leader = tracees[0]
        self.base = 0
        self.left: list[Mapping] = []  # arenas of engines that were killed, to be removed with ours
        self.view: mmap.mmap | None = None
        self._mem = os.open(f"/proc/{self.leader.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self._scratch = self._find_scratch(mappings)
        self._saved = b""
        self.gadgets = gadgets if self._are_there(gadgets) else find_gadgets(self.leader.pid, mappings)

    def run(self, form: Form) -> None:
        """Runs each actor in the thread it is for, all at once; returns when all have halted. A form for fewer threads
        than there are leaves the others alone."""
        view, plan = self._load(form), form.plan
        asked = self._start(form)
        for thread, actor, status in zip(asked, form.actors, threads.wait([t.tid for t in asked]), strict=True):
            self._await_halt(thread, plan, actor, status)
        for thread, actor in zip(asked, form.actors, strict=True):
            raise_error(plan, actor, view, str(thread))

    def step(self, form: Form, show: Callable[[str], None]) -> None:
        """The same without the blob, one thread and one call after the other, each shown (stepping.py)."""
        from engine.kernel.stepping import Stopped, step_through
        from engine.plan.step import Runner

        view, plan = self._load(form), form.plan
        for thread, actor in zip(self.threads, form.actors, strict=False):
            world = Stopped(self, thread, plan)
            step_through(Runner(plan, actor, self.base, memoryview(view), world), show)
        for thread, actor in zip(self.threads, form.actors, strict=False):
            raise_error(plan, actor, view, str(thread))

    def answers(self) -> memoryview:
        """The arena, after a plan ran in it; to be released before the task is cured."""
        assert self.view is not None
        return memoryview(self.view)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the process' memory."""
        return os.pread(self._mem, size, address)

    def write(self, address: int, content: bytes) -> None:
        """The way back."""
        os.pwrite(self._mem, content, address)

    def _load(self, form: Form) -> mmap.mmap:
        """The arena with the plan, and in it a frame for each thread that leads home."""
        plan = form.plan
        self._guard()
        self._make_room(plan.size)
        assert self.view is not None
        self.view[: plan.size] = form.image(self.base)
        for thread, actor in zip(self.threads, form.actors, strict=False):
            assert isinstance(actor.frame, Ref)
            offset = plan.offset(actor.frame)
            _, frame = self.homes[thread.tid].frame(self.base + offset, self.gadgets.sigreturn)
            self.view[offset : offset + len(frame)] = frame
        return self.view

    def cure(self) -> None:
        """Puts everything back. The other threads first: they stand in the arena that then goes."""
        self._send_home(self.threads[1:])
        if self.base:
            assert self.view is not None
            size = len(self.view)
            self.view.close()
            self._remote("munmap", self.base, size)
            self.base = 0
            for arena in self.left:
                self._remote("munmap", arena.start, arena.end - arena.start)
        self._send_home([self.leader])
        if self._saved:
            os.pwrite(self._mem, self._saved, self._scratch)
        os.close(self._mem)

    def _guard(self) -> None:
        home = self.homes[self.leader.tid]
        self._saved = os.pread(self._mem, home.frame_size, self._scratch)
        _, frame = home.frame(self._scratch, self.gadgets.sigreturn)
        os.pwrite(self._mem, frame, self._scratch)

    def _make_room(self, size: int) -> None:
        flags = mman.MAP_SHARED | mman.MAP_ANONYMOUS
        hint = max((arena.end for arena in self.left), default=ARENAS)
        self.base = self._remote("mmap", hint, size, ALL_PERMISSIONS, flags, U64, 0)
        path = f"/proc/{self.leader.pid}/map_files/{self.base:x}-{self.base + size:x}"
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.view = mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def _remote(self, name: str, *args: int) -> int:
        """One system call in the leader; PlanError when it fails."""
        result = self.call(self.leader, self._scratch, getattr(NR, name), args)
        if -4096 < result < 0:
            raise PlanError(f"pid {self.leader.pid}", f"{name}{args}", -result)
        return result

    def call(self, thread: Tracee, frame: int, nr: int, args: Sequence[int]) -> int:
        """One system call in a thread, through code that is its own and returns to a frame that leads home. The
        result is a value or a negative errno."""
        registers = dict(self.homes[thread.tid].registers)
        registers |= dict.fromkeys(("rdi", "rsi", "rdx", "r10", "r8", "r9"), 0)
        registers |= dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args, strict=False))
        registers |= {"rax": nr, "orig_rax": U64, "rip": self.gadgets.syscall, "rsp": frame}
        thread.set_registers(registers)
        thread.set_signal_mask(U64)  # after the registers: were we killed between, the frame unblocks
        thread.run_to(SYSCALL_STOP, how=abi.PTRACE_SYSCALL)
        thread.run_to(SYSCALL_STOP, how=abi.PTRACE_SYSCALL)
        result = thread.registers()["rax"]
        return result - (1 << 64) if result >> 63 else result

    def _start(self, form: Form) -> list[Tracee]:
        plan, requests = form.plan, threads.Requests()
        asked = list(self.threads[: len(form.actors)])
        mask = U64 & ~(1 << plan.halt - 1) if plan.halt else U64
        for thread, actor in zip(asked, form.actors, strict=True):
            registers = dict(self.homes[thread.tid].registers)
            registers |= {
                "rip": self.base + blob.ENTER,
                "rdi": self.base + plan.offset(actor.control),
                "rsp": self.base + plan.offset(actor.stack) + STACK,
                "orig_rax": U64,
            }
            requests.set_registers(thread.tid, registers)
            requests.set_signal_mask(thread.tid, mask)
            requests.add(how_to_resume(plan), thread.tid)
        threads.must(requests.run(), [thread.tid for thread in asked], "ptrace, to start our code,")
        return asked

    def _await_halt(self, thread: Tracee, plan: Plan, actor: Actor, status: int) -> None:
        """`status` is that of its first stop."""
        stop = thread.stopped(status)
        while True:
            if stop == (plan.halt, 0):
                return
            if stop == (SYSCALL_STOP, 0) and self._is_halting(plan, actor):
                thread.run_to(SYSCALL_STOP, how=abi.PTRACE_SYSCALL)  # out of the call that it has entered
                return
            if stop.event == 0 and stop.signal != SYSCALL_STOP:
                if stop.signal in (4, 7, 8, 11):
                    raise AmberError(f"task {thread.tid}: signal {stop.signal} while our code ran in it")
                thread.late_signals.append(stop.signal)
            resume(thread, plan)
            stop = thread.wait()

    def _is_halting(self, plan: Plan, actor: Actor) -> bool:
        """Whether a thread that stops at every system call makes those of HALT now, or those after a failed op."""
        assert self.view is not None
        pc, _, _, error, *_ = CONTROL.unpack_from(self.view, plan.offset(actor.control))
        return bool(error) or (pc < len(actor.ops) and actor.ops[pc].code == HALT)

    def _send_home(self, tracees: Sequence[Tracee]) -> None:
        """The mask before the registers: were we killed between, the frame would still lead home."""
        requests = threads.Requests()
        for thread in tracees:
            home = self.homes[thread.tid]
            requests.set_signal_mask(thread.tid, home.mask)
            requests.set_registers(thread.tid, home.registers)
        threads.must(requests.run(), [thread.tid for thread in tracees], "ptrace, to put a task back,")

    def _can_grow_to(self, address: int, size: int) -> bool:
        """Whether the stack reaches down there, or does now: /proc/PID/mem lets it grow as the task's own access would
        (mm/memory.c, __access_remote_vm, Linux 6.5)."""
        try:
            return len(os.pread(self._mem, size, address)) == size
        except OSError:
            return False

    def _are_there(self, gadgets: Gadgets) -> bool:
        """They were found while the task ran; since then it may have executed another program."""
        try:
            code = os.pread(self._mem, len(SYSCALL_RET), gadgets.syscall)
            home = os.pread(self._mem, max(map(len, SIGRETURNS)), gadgets.sigreturn)
        except OSError:  # EIO: nothing is mapped there now
            return False
        return code == SYSCALL_RET and home.startswith(SIGRETURNS)

    def _find_scratch(self, mappings: Sequence[Mapping]) -> int:
        """Room for a frame where no live data can be: the low end of [stack], which grows down from the other end,
        else below the red zone of the leader."""
        need = self.homes[self.leader.tid].frame_size
        pointers = [home.registers["rsp"] for home in self.homes.values()]
        for mapping in mappings:
            if mapping.name == "[stack]":
                used = min((sp for sp in pointers if mapping.start <= sp < mapping.end), default=mapping.end)
                if used - RED_ZONE - need > mapping.start:
                    return mapping.start
                deeper = used - RED_ZONE - need & -64
                if used < mapping.end and self._can_grow_to(deeper, need):
                    return deeper
        below = pointers[0] - RED_ZONE - need & -64
        if any(m.start <= below and below + need < m.end and m.prot & mman.PROT_WRITE for m in mappings):
            return below
        # the usual reason: an engine was killed here, and the task, which is stopped, could not run home since
        remedy = "if it is stopped, it must first be continued with SIGCONT"
        raise Refused([Obstacle(f"pid {self.leader.pid}", "its stack has no room for a safety frame", remedy)])


def how_to_resume(plan: Plan) -> int:
    """To the next system call if there is no signal to halt with."""
    return abi.PTRACE_CONT if plan.halt else abi.PTRACE_SYSCALL


def resume(thread: Tracee, plan: Plan) -> None:
    """Lets a thread run, no signal delivered."""
    if lib.ptrace_call(how_to_resume(plan), thread.tid, 0, 0) < 0:
        raise Gone(thread.tid, 9)


def raise_error(plan: Plan, actor: Actor, view: mmap.mmap, who: str = "") -> None:
    """PlanError if the actor's control block, read from the arena, says that an op failed. `who` takes the place of the
    op's own words for what it is there for."""
    where = plan.offset(actor.control)
    _, _, _, error, pc, result, *_ = CONTROL.unpack_from(view, where)
    if error:
        op = actor.ops[pc]
        detail = f" (returned {result:#x})" if -error == UNEXPECTED else ""
        raise PlanError(who or op.why, brief(plan, op) + detail, -error, op.remedy)
