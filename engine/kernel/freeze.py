"""Freezing a tree: every thread of every process in a ptrace stop, and thawing it again.

A tree changes while it is being frozen, so each list is read again until two readings agree: threads after the last
thread was stopped, children after all threads of their parent were. A thread that runs free can only make
relatives that one of the later readings sees.
"""

from __future__ import annotations

import os
import time

from engine.abi import ptrace as abi
from engine.errors import AmberError, KernelError, Obstacle, Refused, UsageError
from engine.kernel import ptrace, threads
from engine.kernel.proc import PF_KTHREAD, ProcDir, parse_children
from engine.kernel.proc.ahead import hold_children
from engine.kernel.ptrace import Gone, Tracee
from engine.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from engine.kernel.freezer import FreezerGroup

ROWS = {
    "P01": "every process below the root, read again until nothing changes",
    "P02": "all threads stopped by ptrace, without a signal",
    "P04": "a time limit for the freeze",
}
REFUSED = {"P57": "tasks that a debugger traces", "P58": "processes whose first thread has ended while others go on"}

SEIZE_OPTIONS = abi.PTRACE_O_TRACESYSGOOD
ESRCH, EPERM, ECHILD = 3, 1, 10
POLL = 0.00005  # seconds
MANY = 4  # threads, from which on it pays to read their files together


class Frozen:
    """A process of a frozen tree. A zombie has no threads to stop, only a state to be read."""

    __slots__ = ("parent", "pid", "proc", "threads")

    def __init__(self, pid: int, parent: Frozen | None, proc: ProcDir) -> None:
        self.pid, self.parent, self.proc = pid, parent, proc
        self.threads: list[Tracee] = []

    @property
    def zombie(self) -> bool:
        """Dead, and not yet waited for by its parent."""
        return not self.threads


class Freezer:
    """A tree to be frozen, and a context.

    On the way out everything that is still held is let go; what should happen to the tasks instead is said by
    `kill` or `leave_stopped` before.
    """

    def __init__(self, root: int, timeout: int = 10, group: FreezerGroup | None = None) -> None:
        """With a freezer group, which should hold just the tree, all its tasks stand still from the first moment on."""
        self.root, self.timeout, self.group = root, timeout, group
        self.processes: list[Frozen] = []  # parents before children
        self._seen: dict[int, Frozen] = {}
        self._killed = False

    def freeze(self) -> None:
        """Stops every thread of the tree; AmberError when that takes too long, and then all run again."""
        try:
            with Alarm(self.timeout, f"pid {self.root}: the tree could not be frozen in {self.timeout} s"):
                if self.group:
                    self.group.freeze(self.timeout)
                while self._pass():
                    pass
                if self.group:
                    self._leave_group(self.group)
        except BaseException:
            self._give_up()
            raise

    def _leave_group(self, group: FreezerGroup) -> None:
        """Thawed, every thread takes the stop that it was asked for, before any instruction of its own."""
        group.thaw()
        for frozen in self.processes:
            _await_stops(frozen, list(frozen.threads))

    def __enter__(self) -> Freezer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._killed:
            self._reap()
        else:
            self.thaw()

    def thaw(self) -> None:
        """Lets every thread go on from where it was, and the group be as it was."""
        group = [self.group.put_back] if self.group else []
        self._undo([*group, *(tracee.detach for tracee in self._tracees())])

    def _give_up(self) -> None:
        """The same when some threads have not stopped yet, which in a frozen group they may not."""
        before, after = ([self.group.thaw], [self.group.put_back]) if self.group else ([], [])
        self._undo([*before, *(tracee.let_go for tracee in self._tracees()), *after])

    def _undo(self, steps: Sequence[Callable[[], None]]) -> None:
        """All of them: an error in one keeps nobody else frozen. The first is raised then."""
        errors: list[AmberError] = []
        for step in steps:
            try:
                step()
            except AmberError as error:
                errors.append(error)
        self._forget()
        if errors:
            raise errors[0]

    def kill(self) -> None:
        """SIGKILL for every process; children first, so that no parent sees one die. Their ends are awaited on the way
        out."""
        self._killed = True
        for frozen in reversed(self.processes):
            if not frozen.zombie:
                os.kill(frozen.pid, signal.SIGKILL)

    def _reap(self) -> None:
        for frozen in reversed(self.processes):
            for tracee in reversed(frozen.threads):
                _await_end(tracee)
        self._forget()

    def stop(self) -> None:
        """Lets go of the tree, but stopped by SIGSTOP."""
        for frozen in self.processes:
            if not frozen.zombie:
                os.kill(frozen.pid, signal.SIGSTOP)
        self.thaw()

    def _forget(self) -> None:
        for frozen in self.processes:
            frozen.proc.close()
        self.processes, self._seen = [], {}

    def _tracees(self) -> Iterator[Tracee]:
        """Leaders last: the end of one is told when those of the other threads were."""
        for frozen in self.processes:
            yield from reversed(frozen.threads)

    def _pass(self) -> bool:
        """One walk over the whole tree; whether it found anybody new."""
        before = sum(len(p.threads) or 1 for p in self.processes)
        queue: list[tuple[int, Frozen | None]] = [(self.root, None)]
        order: list[Frozen] = []
        while queue:
            pid, parent = queue.pop(0)
            frozen = self._seen.get(pid) or self._meet(pid, parent)
            if frozen is None:
                continue
            frozen.parent = parent
            order.append(frozen)
            queue += [(child, frozen) for child in self._children(frozen)]
        present = set(order)
        lost = [f for f in self.processes if f not in present]
        self.processes = order + lost
        for frozen in lost:
            self._part_with(frozen)
        return sum(len(p.threads) or 1 for p in self.processes) != before

    def _part_with(self, frozen: Frozen) -> None:
        """It is not in the tree any more: gone for good, if nobody had to wait for it."""
        if frozen.threads or frozen.proc.alive():
            raise AmberError(f"pid {frozen.pid}: left the tree of pid {self.root} while it was being frozen")
        self.processes.remove(frozen)
        del self._seen[frozen.pid]
        frozen.proc.close()

    def _meet(self, pid: int, parent: Frozen | None) -> Frozen | None:
        if pid == os.getpid():
            raise Refused([Obstacle(f"pid {self.root}", "Amber itself is in its tree", "run it from another shell")])
        try:
            frozen = Frozen(pid, parent, ProcDir(pid))
        except KernelError as error:
            if parent is None:
                raise AmberError(f"pid {pid}: there is no such process") from error
            return None
        self.processes.append(frozen)
        self._seen[pid] = frozen
        try:
            self._stop_threads(frozen)
        except Gone:
            if parent is None:
                raise
        if frozen.zombie and parent is None:
            raise Refused([Obstacle(f"pid {pid}", "it is dead and waits for its parent")])
        return frozen

    def _stop_threads(self, frozen: Frozen) -> None:
        """Every thread is noted as soon as it is traced, so that whatever happens, `thaw` finds it."""
        known: set[int] = set()
        while new := [tid for tid in frozen.proc.tasks() if tid not in known]:
            known.update(new)
            fresh = _seize(frozen, new)
            if not self.group:
                _await_stops(frozen, fresh)
        frozen.threads.sort(key=lambda t: t.tid != frozen.pid)
        if frozen.threads and frozen.threads[0].tid != frozen.pid:
            reason = "its first thread has ended while others go on, which is not supported"
            raise Refused([Obstacle(f"pid {frozen.pid}", reason)])

    def _children(self, frozen: Frozen) -> list[int]:
        if frozen.zombie:
            return []
        if len(frozen.threads) > MANY:
            hold_children(frozen.proc, [thread.tid for thread in frozen.threads])
        return [pid for t in frozen.threads for pid in parse_children(frozen.proc.read(f"task/{t.tid}/children"))]


class Alarm:
    """A context that is left by AmberError after so many seconds, also from a wait for a task: it rings again every
    second, because the first time may have been just before the wait."""

    def __init__(self, seconds: int, message: str) -> None:
        self.seconds, self.message, self._over = seconds, message, False

    def __enter__(self) -> None:
        try:
            self._old = signal.signal(signal.SIGALRM, self._ring)
        except ValueError:
            raise UsageError("a dump must be made by the main thread, which alone can be given a time limit") from None
        signal.setitimer(signal.ITIMER_REAL, self.seconds, 1)

    def __exit__(self, *_: object) -> None:
        self._over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._old)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self._over:
            raise AmberError(self.message)


def _await_stops(frozen: Frozen, tracees: list[Tracee]) -> None:
    tracees = sorted(tracees, key=lambda tracee: tracee.tid == frozen.pid)
    others = [tracee for tracee in tracees if tracee.tid != frozen.pid]
    statuses = threads.wait([tracee.tid for tracee in others])
    if len(others) < len(tracees):
        statuses.append(_await_leader(frozen, tracees[-1]))
    for tracee, status in zip(tracees, statuses, strict=True):
        if status == -ECHILD:  # another thread executed a program, or it did itself and has the leader's number now
            frozen.threads.remove(tracee)
            continue
        if tracee not in frozen.threads:  # it ended after it had stopped
            continue
        try:
            tracee.froze(status)
        except Gone:
            frozen.threads.remove(tracee)
            if tracee.tid == frozen.pid:
                raise


def _await_leader(frozen: Frozen, leader: Tracee) -> int:
    """Its wait status. Should the process end just now, that is told when the ends of all other threads were, also of
    those that had stopped before."""
    while (status := leader.poll_status()) is None:
        for tracee in frozen.threads[:]:
            if tracee is not leader and (end := tracee.poll_status()) is not None and not os.WIFSTOPPED(end):
                frozen.threads.remove(tracee)
        time.sleep(POLL)
    return status


def _seize(frozen: Frozen, tids: list[int]) -> list[Tracee]:
    """Those that were still there, asked to stop. They are noted at once: whatever happens, `thaw` finds them."""
    requests = threads.Requests()
    for tid in tids:
        requests.add(abi.PTRACE_SEIZE, tid, 0, SEIZE_OPTIONS)
        requests.add(abi.PTRACE_INTERRUPT, tid)
    results = requests.run()[::2]
    fresh = [Tracee(frozen.pid, tid) for tid, result in zip(tids, results, strict=True) if result == 0]
    frozen.threads += fresh
    for tid, result in zip(tids, results, strict=True):
        if result < 0 and result != -ESRCH and not _has_ended(frozen, tid):
            if result == -EPERM:
                _explain_denial(frozen, tid)
            raise KernelError("PTRACE_SEIZE", -result, f"task {tid}", ptrace.hint(result))
    return fresh


def _has_ended(frozen: Frozen, tid: int) -> bool:
    try:
        with frozen.proc.task(tid) as thread:
            return thread.stat().state in "ZX"
    except KernelError as error:
        return error.errno == ESRCH


def _explain_denial(frozen: Frozen, tid: int) -> None:
    who = f"pid {frozen.pid}" + (f", thread {tid}" if tid != frozen.pid else "")
    if frozen.proc.stat().flags & PF_KTHREAD:
        raise Refused([Obstacle(who, "it is a kernel thread")])
    if tracer := frozen.proc.status().tracer_pid:
        raise Refused([Obstacle(who, f"it is traced by pid {tracer}", "let the debugger detach from it")])


def _await_end(tracee: Tracee) -> None:
    try:
        while True:
            tracee.wait()
    except (Gone, KernelError):
        return
