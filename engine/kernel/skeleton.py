"""Skeletons: from a plan to running tasks.

One minimal ELF is started with the root's pid and given the arena; from then on tasks and threads spawn one another as
the plan says. All are traced from their first instruction (CLONE_PTRACE) and die with the engine
(PTRACE_O_EXITKILL) until the very last moment, when registers are set from outside and everybody is let go.
"""

from __future__ import annotations

import errno
import mmap
import os

from engine.abi import mman
from engine.abi import ptrace as abi
from engine.abi.syscalls import NR
from engine.errors import AmberError, KernelError
from engine.kernel import threads
from engine.kernel._native import ffi, lib
from engine.kernel.inject import ARGUMENTS, raise_error
from engine.kernel.ptrace import Gone, Tracee, decode, request
from engine.plan import blob
from engine.plan.builder import STACK, Plan
from engine.plan.ops import SPAWN
from engine.signals import signal
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.kernel.home import Home
    from engine.plan.builder import Actor

U64 = (1 << 64) - 1
IDLE_SYSCALL = blob.IDLE + 5  # `mov $34, %eax` is five bytes; the blob's copy in the arena has it too
OPTIONS = abi.PTRACE_O_TRACESYSGOOD | abi.PTRACE_O_EXITKILL
ADDRESS_END = (1 << 47) - 4096


class Urgent:
    """A context in which we are ahead of all ordinary tasks, as far as we may be (sched(7))."""

    def __enter__(self) -> None:
        self._before = os.sched_getscheduler(0), os.sched_getparam(0)
        self._set(os.SCHED_FIFO, os.sched_param(1))

    def __exit__(self, *_: object) -> None:
        self._set(*self._before)

    def _set(self, policy: int, parameter: os.sched_param) -> None:
        try:
            os.sched_setscheduler(0, policy, parameter)
        except OSError:  # it takes CAP_SYS_NICE, and in some control groups it is not to be had
            return


class Role(NamedTuple):
    """Which task an actor becomes: its ids, and whether it stays to be finished (a zombie does not)."""

    pid: int
    tid: int
    actor: Actor


class Troupe:
    """The tasks of one restore, from the first skeleton to the last detach.

    A context: whoever is still held on the way out is killed.
    """

    def __init__(self, plan: Plan, base: int, roles: Sequence[Role], options: int = 0) -> None:
        """`options`: PTRACE_O_* bits beyond the usual, which all tasks inherit."""
        self.plan, self.base, self.roles = plan, base, roles
        self.options = OPTIONS | options
        self.by_tid = {role.tid: role for role in roles}
        self.tracees: dict[int, Tracee] = {}
        self.root = roles[0].pid
        self._memfd = os.memfd_create("amber-arena", os.MFD_CLOEXEC)
        os.ftruncate(self._memfd, plan.size)
        self.view = mmap.mmap(self._memfd, plan.size)
        self.view[: plan.size] = bytes(plan.encode(base))
        self._helpers: set[int] = set()  # threads that help for a while (contents.py)

    def __enter__(self) -> Troupe:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.kill()
        os.close(self._memfd)

    def play(self, descriptors: Sequence[int], first_number: int, show: Callable[[str], None] | None = None) -> None:
        """Starts the root with `descriptors` at first_number, first_number + 1, …, and returns when every actor of
        a role has halted. With `show` it goes call by call (stepping.py), and each is shown."""
        root = self._spawn(descriptors, first_number)
        self._make_room(root, first_number + len(descriptors))
        root.set_signal_mask(U64 & ~(1 << self.plan.halt - 1))
        if show is None:
            self._play_all(root)
        else:
            from engine.kernel.stepping import Stage

            Stage(self, self.by_tid[self.root].actor).play(show)

    def _play_all(self, root: Tracee) -> None:
        self._start(root, self.by_tid[self.root].actor)
        waiting = set(self.by_tid)
        while waiting or self._helpers:
            waiting.discard(self._next_event())

    def set_states(self, homes: dict[int, Home]) -> None:
        """Gives halted tasks their registers, extended states and signal masks."""
        requests = threads.Requests()
        for tid, home in homes.items():
            requests.set_xstate(tid, home.xstate)
            requests.set_registers(tid, home.registers)
            requests.set_signal_mask(tid, home.mask)
        threads.must(requests.run(), list(homes), "ptrace, to set a task's state,")

    def remove_arena(self, pids: Sequence[int]) -> None:
        """The last remote call: processes unmap the ground they stand on."""
        self._remote(pids, self.base + IDLE_SYSCALL, "munmap", self.base, self.plan.size)

    def release(self) -> None:
        """Everybody goes. Nothing but detaching happens here: it is the moment that cannot be taken back, and an engine
        that is killed in it takes along whom it has not let go. So it is kept short: nobody who wakes up gets our
        processor before all have been let go."""
        requests = threads.Requests()
        for tid in self.tracees:
            requests.add(abi.PTRACE_DETACH, tid)
        with Urgent():
            requests.run()  # who cannot be let go was killed meanwhile, by somebody else
        self.tracees = {}

    def kill(self) -> None:
        """Ends every task that was started and waits until none is left: also those that nobody has welcomed yet, and
        no longer than for them, for we may have other children. Who has a fatal signal bears nobody any more
        (kernel/fork.c, copy_process), so the children that we have not seen yet are found afterwards."""
        births = {op.expect for actor in self.plan.actors for op in actor.ops if op.code == SPAWN and op.expect}
        known = {self.root, *self.tracees, *self._helpers, *births}
        while left := {tid for tid in known if self._is_ours(tid)}:
            for tid in left:
                os.kill(tid, signal.SIGKILL)
            self._reap(left)

    def _is_ours(self, tid: int) -> bool:
        """Whether we trace it, dead or alive: its number alone could be anybody's. The first may not be traced yet."""
        traced = lib.ptrace_call(abi.PTRACE_INTERRUPT, tid, 0, 0) >= 0
        return traced or (tid == self.root and lib.wait_task(tid, ffi.new("int *"), os.WNOHANG) == 0)

    def _reap(self, left: set[int]) -> None:
        status = ffi.new("int *")
        while left:
            result = lib.wait_task(-1, status, 0)
            if result == -errno.ECHILD:
                return
            if result > 0 and not os.WIFSTOPPED(status[0]):
                left.discard(result)

    def _spawn(self, descriptors: Sequence[int], first_number: int) -> Tracee:
        image = os.open(blob.SKELETON, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fds = [*descriptors, self._memfd]
            result = lib.spawn_skeleton(image, self.root, ffi.new("int[]", fds), len(fds), first_number, U64)
        finally:
            os.close(image)
        if result == -errno.EEXIST:
            raise KernelError("clone3", errno.EEXIST, f"pid {self.root}", "the pid is taken; end that process first")
        if result < 0:
            raise KernelError("clone3", -result, f"pid {self.root}")
        tracee = Tracee(self.root, self.root)
        self.tracees[self.root] = tracee
        tracee.seize(self.options)
        tracee.interrupt()
        tracee.wait_frozen()
        return tracee

    def _make_room(self, root: Tracee, memfd: int) -> None:
        entry = blob.SKELETON_CODE + IDLE_SYSCALL
        prot = mman.PROT_READ | mman.PROT_WRITE | mman.PROT_EXEC
        flags = mman.MAP_SHARED | mman.MAP_FIXED_NOREPLACE
        self._remote([root.tid], entry, "mmap", self.base, self.plan.size, prot, flags, memfd, 0)
        self._remote([root.tid], entry, "close", memfd)
        end = self.base + self.plan.size
        for start, length in ((0, self.base), (end, ADDRESS_END - end)):  # the ELF, its stack, its vdso
            self._remote([root.tid], self.base + IDLE_SYSCALL, "munmap", start, length)

    def _remote(self, tids: Sequence[int], at: int, name: str, *args: int) -> None:
        """The same system call in each of these tasks, all at once."""
        requests = threads.Requests()
        for tid in tids:
            registers = self.tracees[tid].registers()
            registers |= dict(zip(ARGUMENTS, args, strict=False))
            registers |= {"rax": getattr(NR, name), "orig_rax": U64, "rip": at}
            requests.set_registers(tid, registers)
        threads.must(requests.run(), tids, "PTRACE_SETREGSET")
        for error in threads.through_call([self.tracees[tid] for tid in tids]).values():
            raise error
        for tid in tids:
            result = self.tracees[tid].registers()["rax"]
            if result > U64 - 4096:
                raise KernelError(name, (1 << 64) - result, f"task {tid}, while the interpreter moved")

    def _start(self, root: Tracee, actor: Actor) -> None:
        registers = root.registers()
        registers |= {
            "rip": self.base + blob.ENTER,
            "rdi": self.base + self.plan.offset(actor.control),
            "rsp": self.base + self.plan.offset(actor.stack) + STACK,
            "orig_rax": U64,
        }
        root.set_registers(registers)
        request(abi.PTRACE_CONT, root.tid)

    def _next_event(self) -> int:
        """Waits until one more task has halted, whose tid is returned, or a helper has ended (0); welcomes those that
        are born meanwhile."""
        status = ffi.new("int *")
        while True:
            result = lib.wait_task(-1, status, 0)
            if result == -errno.EINTR:
                continue
            if result < 0:
                raise AmberError("all tasks of the restore are gone")
            role = self.by_tid.get(result)
            if role is None:
                if self._helper_has_ended(result, status[0]):
                    return 0
                continue
            if role.tid not in self.tracees:
                self.tracees[role.tid] = Tracee(role.pid, role.tid)
            if self._has_halted(role, status[0]):
                return role.tid

    def _helper_has_ended(self, tid: int, status: int) -> bool:
        """A helper is traced as everybody is, so its end must be seen before we let go: one that is still about to end
        would take its process along (PTRACE_O_EXITKILL). It halts when one of its ops fails; any other signal is one
        that a zombie to be dies by (fates.py)."""
        if not os.WIFSTOPPED(status):
            self._helpers.discard(tid)
            return True
        self._helpers.add(tid)
        number, event = os.WSTOPSIG(status), status >> 16
        if (number, event) == (self.plan.halt, 0):
            for actor in self.plan.actors:
                raise_error(self.plan, actor, self.view)
        lib.ptrace_call(abi.PTRACE_CONT, tid, 0, 0 if event else number)
        return False

    def _has_halted(self, role: Role, status: int) -> bool:
        try:
            stop = decode(role.tid, status)
        except Gone:
            raise_error(self.plan, role.actor, self.view)
            raise
        if stop == (self.plan.halt, 0):
            raise_error(self.plan, role.actor, self.view)
            return True
        if stop.event == 0 and stop.signal in (4, 5, 7, 8, 11, 31):
            raise AmberError(f"{role.actor.name}: signal {stop.signal} in the interpreter")
        # What a task sends itself to stop by (fates.py) is delivered; nothing else can come.
        request(abi.PTRACE_CONT, role.tid, 0, 0 if stop.event else stop.signal)
        return False
