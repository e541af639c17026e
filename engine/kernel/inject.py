"""Running plans inside frozen tasks, and leaving no trace.

The states of an injection, one way only:

    STOPPED    all threads are in a ptrace stop; nothing was changed
    GUARDED    a frame that leads home lies at the unused end of the leader's stack
    ROOMED     an arena, shared with us, is mapped in the process (one remote mmap through a `syscall; ret` that
               the task's own libc holds; its text is never overwritten)
    HALTED     the plan ran in every thread that has a part in it
    CURED      arena gone, registers, masks and stack bytes as they were

All processes of a tree go through them together, so that both cores are at work and no call of ours waits for one task
alone.

At any instruction of this the engine may be killed: a thread that is let go runs to the end of the piece of code it
is in, and from there home by `rt_sigreturn` (engine/kernel/home.py). What can stay behind is the mapping of an arena;
the next visit removes it. Seccomp filters are suspended (docs/injection.md); all signals but the halt signal are
blocked; a task in group-stop stays one.
"""

from __future__ import annotations

import mmap
import os
from errno import EACCES
from itertools import zip_longest

from engine.abi import mman
from engine.abi import ptrace as abi
from engine.abi.syscalls import NR
from engine.errors import AmberError, EngineBug, KernelError, Obstacle, PlanError, Refused
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
    from engine.kernel.ptrace import Registers
    from engine.plan.builder import Actor, Plan
    from engine.questions import Form

ALL_PERMISSIONS = mman.PROT_READ | mman.PROT_WRITE | mman.PROT_EXEC
ARENAS, ARENAS_END = 0x616D62657000, 0x616E62657000  # "amber" in hexadecimal: where arenas are asked for
RED_ZONE = 128  # bytes below rsp that belong to the function (System V ABI, x86-64)
U64 = (1 << 64) - 1
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")  # of a system call (syscall(2))
STARTING = 3  # requests that start a thread, of which the last lets it run
HOME = "ptrace, to put a task back,"
SYSCALL_SIZE, ENOSYS = 2, 38
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


class Call(NamedTuple):
    """One system call to be made in a stopped thread, through code that is its own."""

    injection: Injection
    thread: Tracee
    frame: int  # address of a frame that leads home: where the call returns to
    nr: int
    args: Sequence[int]


def make(calls: Sequence[Call]) -> list[int]:
    """Makes calls in different threads, all at once; the results are values or negative errnos. If one of them could
    not be made, its error is raised, but all others were."""
    results = []
    for result in _make(calls):
        if isinstance(result, AmberError):
            raise result
        results.append(result)
    return results


def _make(calls: Sequence[Call]) -> list[int | AmberError]:
    """The same with errors among the results.

    Each enters the call that leads home, and only in there is it made another: were we killed before, a thread whose
    filters forbid the other would not make it without us.
    """
    requests, tracees = threads.Requests(), [call.thread for call in calls]
    for injection, thread, frame, _, _ in calls:
        entered = {"rax": NR.rt_sigreturn, "orig_rax": U64, "rip": injection.gadgets.syscall, "rsp": frame + 8}
        requests.set_registers(thread.tid, injection.homes[thread.tid].registers | entered)
        requests.set_signal_mask(thread.tid, U64)  # after the registers: were we killed between, the frame unblocks
    threads.must(requests.run(), [thread.tid for thread in tracees], "ptrace, to prepare a call,")
    errors = threads.through_call(tracees, {call.thread.tid: _inside(call) for call in calls})
    return [errors.get(thread.tid) or _result(thread) for thread in tracees]


def _result(thread: Tracee) -> int | AmberError:
    try:
        result = thread.registers()["rax"]
    except AmberError as error:
        return error
    return result - (1 << 64) if result >> 63 else result


def _inside(call: Call) -> Registers:
    """The registers of a thread that has entered a call, for the call that it shall make instead."""
    registers = call.injection.homes[call.thread.tid].registers | dict.fromkeys(ARGUMENTS, 0)
    registers |= dict(zip(ARGUMENTS, call.args, strict=False))
    after = call.injection.gadgets.syscall + SYSCALL_SIZE
    return registers | {"rax": -ENOSYS & U64, "orig_rax": call.nr, "rip": after, "rsp": call.frame}


def run(injections: Sequence[Injection]) -> None:
    """Runs the form of each process in it: each actor in the thread it is for, everybody at once; returns when all have
    halted. A form for fewer threads than there are leaves the others alone."""
    load(injections)
    requests = threads.Requests()
    tids = [tid for injection in injections for tid in injection.start(requests)]
    results = requests.run()
    started = [tid for tid, result in zip(tids, results[STARTING - 1 :: STARTING], strict=True) if result >= 0]
    statuses = dict(zip(started, threads.wait(started), strict=True))
    errors = [error for injection in injections for error in injection.await_halts(statuses)]
    if errors:  # only now: nobody can be cured while he runs
        raise errors[0]
    threads.must(results, tids, "ptrace, to start our code,")
    for injection in injections:
        injection.raise_errors()


def load(injections: Sequence[Injection]) -> None:
    """Every process gets its arena, and in it the plan and a frame for each thread that leads home."""
    for injection in injections:
        injection.guard()
    flags = mman.MAP_SHARED | mman.MAP_ANONYMOUS
    sizes = [injection.form.plan.size for injection in injections]
    wanted = [(i, (i.hint, size, ALL_PERMISSIONS, flags, U64, 0)) for i, size in zip(injections, sizes, strict=True)]
    try:
        _remote("mmap", wanted, Injection.move_arena)
    except PlanError as error:
        if error.errno != EACCES:
            raise
        reason = "it may have no memory that is both writable and executable (PR_SET_MDWE), which is not supported"
        raise Refused([Obstacle(error.why, reason)]) from None
    for injection in injections:
        injection.fill()


def cure(injections: Sequence[Injection]) -> None:
    """Puts everything back, and keeps nothing open. If that fails for some, the others are cured all the same."""
    try:
        _cure([injection for injection in injections if not injection.cured])
    except Exception:
        errors = [error for injection in injections if (error := _cure_alone(injection))]
        if errors:
            raise errors[0] from None
    finally:
        for injection in injections:
            injection.close()


def _cure_alone(injection: Injection) -> Exception | None:
    try:
        if not injection.cured:
            _cure([injection])
    except Exception as error:
        return error
    return None


def _cure(injections: Sequence[Injection]) -> None:
    """The other threads first: they stand in the arena that then goes."""
    requests = threads.Requests()
    tids = [tid for injection in injections for tid in injection.send_home(injection.threads[1:], requests)]
    threads.must(requests.run(), tids, HOME)
    _remote("munmap", [(i, (i.base, i.release())) for i in injections if i.base], Injection.move_arena)
    guarded = [injection for injection in injections if injection.guarded]  # a call returns to the frame
    for one_each in zip_longest(*(injection.left for injection in guarded)):
        wanted = [(i, (a.start, a.end - a.start)) for i, a in zip(guarded, one_each, strict=True) if a]
        _remote("munmap", wanted)
    requests = threads.Requests()
    tids = [tid for injection in injections for tid in injection.send_home([injection.leader], requests)]
    threads.must(requests.run(), tids, HOME)
    for injection in injections:
        injection.put_back()


def _remote(
    name: str, wanted: Sequence[tuple[Injection, tuple[int, ...]]], note: Callable[[Injection, int], None] | None = None
) -> None:
    """One system call in each of several leaders. The results of all that succeeded are noted, and then the first that
    failed is raised: `cure` must know about everybody what there is to be removed."""
    if not wanted:
        return
    errors = []
    results = _make([Call(i, i.leader, i.scratch, getattr(NR, name), args) for i, args in wanted])
    for (injection, args), result in zip(wanted, results, strict=True):
        if isinstance(result, AmberError):
            errors.append(result)
        elif -4096 < result < 0:
            errors.append(PlanError(str(injection.leader), f"{name}{args}", -result))
        elif note:
            note(injection, result)
    if errors:
        raise errors[0]


class Injection:
    """One process that a form runs in. `threads[0]` is the leader."""

    def __init__(
        self, tracees: Sequence[Tracee], homes: dict[int, Home], gadgets: Gadgets, mappings: Sequence[Mapping]
    ) -> None:
        self.threads, self.homes = tracees, homes
        self.leader = tracees[0]
        self.form: Form
        self.halt = QUIET_SIGNALS[0]  # signal to halt by; 0: the process is stopped at every system call
        self.base = 0
        self.left: list[Mapping] = []  # arenas of engines that were killed, to be removed with ours
        self.cured = False
        self._view: mmap.mmap | None = None
        self._saved = b""  # what was where the frame lies now
        self._mem = self._open("mem")
        try:
            self.scratch = self._find_scratch(mappings)
            self.gadgets = self._verified(gadgets, mappings)
        except BaseException:
            self.close()
            raise

    def step(self, show: Callable[[str], None]) -> None:
        """What `run` does without the blob, one thread and one call after the other, each shown (stepping.py)."""
        from engine.kernel.stepping import Stopped, step_through
        from engine.plan.step import WAITING, Runner

        load([self])
        for thread, actor in self.parts():
            world = Stopped(self, thread, self.form.plan)
            with self.answers() as view:
                if step_through(Runner(self.form.plan, actor, self.base, view, world), show) == WAITING:
                    raise EngineBug(f"{actor.name} waits: threads that are asked questions do not meet")
        self.raise_errors()

    def _open(self, name: str) -> int:
        try:
            return os.open(f"/proc/{self.leader.pid}/{name}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:  # it was killed meanwhile, by somebody else
            raise KernelError(f"open of /proc/…/{name}", error.errno or 0, str(self.leader)) from None

    def parts(self) -> list[tuple[Tracee, Actor]]:
        """Who runs what."""
        return list(zip(self.threads, self.form.actors, strict=False))

    def raise_errors(self) -> None:
        """PlanError if an op failed."""
        for thread, actor in self.parts():
            raise_error(self.form.plan, actor, self._arena, str(thread))

    def answers(self) -> memoryview:
        """The arena, after a plan ran in it; to be released before the task is cured."""
        return memoryview(self._arena)

    @property
    def _arena(self) -> mmap.mmap:
        assert self._view is not None
        return self._view

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the process' memory."""
        return os.pread(self._mem, size, address)

    def write(self, address: int, content: bytes) -> None:
        """The way back."""
        os.pwrite(self._mem, content, address)

    @property
    def hint(self) -> int:
        """Where to ask for an arena."""
        return max((arena.end for arena in self.left), default=ARENAS)

    def move_arena(self, base: int) -> None:
        """What mmap returned, or munmap: 0, there is none."""
        self.base = base

    def guard(self) -> None:
        """A frame that leads home at the unused end of the leader's stack."""
        home = self.homes[self.leader.tid]
        self._saved = os.pread(self._mem, home.frame_size, self.scratch)
        _, frame = home.frame(self.scratch, self.gadgets.sigreturn)
        os.pwrite(self._mem, frame, self.scratch)

    def fill(self) -> None:
        """The arena's contents, through a mapping of our own."""
        plan = self.form.plan
        fd = self._open(f"map_files/{self.base:x}-{self.base + plan.size:x}")
        try:
            view = self._view = mmap.mmap(fd, plan.size)
        finally:
            os.close(fd)
        view[: plan.size] = self.form.image(self.base, self.halt)
        for thread, actor in self.parts():
            assert isinstance(actor.frame, Ref)
            offset = plan.offset(actor.frame)
            _, frame = self.homes[thread.tid].frame(self.base + offset, self.gadgets.sigreturn)
            view[offset : offset + len(frame)] = frame

    def release(self) -> int:
        """Our own mapping of the arena goes; its size."""
        self._unmap()
        return self.form.plan.size

    def put_back(self) -> None:
        """The leader's stack is as it was."""
        if self.guarded:
            os.pwrite(self._mem, self._saved, self.scratch)
        self.cured = True

    @property
    def guarded(self) -> bool:
        """Whether a frame leads the leader home."""
        return bool(self._saved)

    def close(self) -> None:
        """Whatever became of the process: what is ours goes."""
        self._unmap()
        if self._mem >= 0:
            os.close(self._mem)
            self._mem = -1

    def _unmap(self) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None

    def start(self, requests: threads.Requests) -> list[int]:
        """Adds what makes every thread run its part; their tids."""
        plan = self.form.plan
        mask = U64 & ~(1 << self.halt - 1) if self.halt else U64
        for thread, actor in self.parts():
            registers = dict(self.homes[thread.tid].registers)
            registers |= {
                "rip": self.base + blob.ENTER,
                "rdi": self.base + plan.offset(actor.control),
                "rsp": self.base + plan.offset(actor.stack) + STACK,
                "orig_rax": U64,
            }
            requests.set_registers(thread.tid, registers)
            requests.set_signal_mask(thread.tid, mask)
            requests.add(self._how_to_resume, thread.tid)
        return [thread.tid for thread, _ in self.parts()]

    def send_home(self, tracees: Sequence[Tracee], requests: threads.Requests) -> list[int]:
        """Adds what makes threads themselves again. The mask comes before the registers: were we killed between, the
        frame would still lead home."""
        for thread in tracees:
            home = self.homes[thread.tid]
            requests.set_signal_mask(thread.tid, home.mask)
            requests.set_registers(thread.tid, home.registers)
        return [thread.tid for thread in tracees]

    def await_halts(self, statuses: dict[int, int]) -> list[AmberError]:
        """Waits for each thread that was started, given the status of its first stop; what went wrong with them."""
        errors: list[AmberError] = []
        for thread, actor in self.parts():
            try:
                if thread.tid in statuses:
                    self.await_halt(thread, actor, statuses[thread.tid])
            except AmberError as error:
                errors.append(error)
        return errors

    def await_halt(self, thread: Tracee, actor: Actor, status: int) -> None:
        """`status` is that of its first stop."""
        stop = thread.stopped(status)
        while True:
            if stop == (self.halt, 0) and self._is_halting(actor):
                return
            if stop == (SYSCALL_STOP, 0) and self._is_halting(actor):
                thread.run_to(SYSCALL_STOP, how=abi.PTRACE_SYSCALL)  # out of the call that it has entered
                return
            if stop.event == 0 and stop.signal not in (SYSCALL_STOP, self.halt):
                if stop.signal in (4, 7, 8, 11):
                    raise AmberError(f"task {thread.tid}: signal {stop.signal} while our code ran in it")
                thread.late_signals.append(stop.signal)
            if lib.ptrace_call(self._how_to_resume, thread.tid, 0, 0) < 0:
                raise Gone(thread.tid, 9)
            stop = thread.wait()

    @property
    def _how_to_resume(self) -> int:
        """To the next system call if there is no signal to halt by."""
        return abi.PTRACE_CONT if self.halt else abi.PTRACE_SYSCALL

    def _is_halting(self, actor: Actor) -> bool:
        """Whether a thread that stopped has come to HALT, or to a failed op. If not, somebody else sent it the signal,
        which it ignores, or it makes other system calls."""
        pc, _, _, error, *_ = CONTROL.unpack_from(self._arena, self.form.plan.offset(actor.control))
        return bool(error) or (pc < len(actor.ops) and actor.ops[pc].code == HALT)

    def _can_grow_to(self, address: int, size: int) -> bool:
        """Whether the stack reaches down there, or does now: /proc/PID/mem lets it grow as the task's own access would
        (mm/memory.c, __access_remote_vm, Linux 6.5)."""
        try:
            return len(os.pread(self._mem, size, address)) == size
        except OSError:
            return False

    def _verified(self, gadgets: Gadgets, mappings: Sequence[Mapping]) -> Gadgets:
        """What was found while the task ran, or else what is there now."""
        if not self._are_there(gadgets):
            _known.clear()  # a file may have been replaced, and its inode's number given to another one
            gadgets = find_gadgets(self.leader.pid, mappings)
        return gadgets

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


def raise_error(plan: Plan, actor: Actor, view: mmap.mmap, who: str = "") -> None:
    """PlanError if the actor's control block, read from the arena, says that an op failed. `who` takes the place of the
    op's own words for what it is there for."""
    where = plan.offset(actor.control)
    _, _, _, error, pc, result, *_ = CONTROL.unpack_from(view, where)
    if error:
        op = actor.ops[pc]
        detail = f" (returned {result:#x})" if -error == UNEXPECTED else ""
        raise PlanError(who or op.why, brief(plan, op) + detail, -error, op.remedy)
