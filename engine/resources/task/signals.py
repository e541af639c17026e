"""Signal actions, alternate stacks, and signals that wait for delivery.

Actions and stacks only the task itself can tell. Pending signals are read from outside with their whole siginfo
(PTRACE_PEEKSIGINFO), after the plan ran, so that a timer that ended meanwhile is not lost; each is queued again by the
thread it waits for, because nobody else may claim that a signal comes from the kernel (rt_sigqueueinfo(2)).
"""

from __future__ import annotations

import functools

from engine.abi.signal import (
    NSIG,
    SA_NOCLDSTOP,
    SI_KERNEL,
    SI_MAX_SIZE,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGACTION,
    SIGALRM,
    SIGALTSTACK,
    SIGCHLD,
    SIGINFO,
    SIGINFO_KILL,
    SIGKILL,
    SIGRTMIN,
    SIGSET_SIZE,
    SIGSTOP,
    SS_DISABLE,
    SS_ONSTACK,
)
from engine.errors import ImageError, Obstacle, Refused
from engine.images import pb
from engine.kernel.inject import QUIET_SIGNALS
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.frozen import FrozenTask, FrozenThread
    from engine.plan.builder import Emitter
    from engine.plan.graph import Step
    from engine.plan.ops import Ref
    from engine.rebuild import NewTask, NewThread, NewTree

ROWS = {
    "P25": "handler, flags, restorer and mask of every signal",
    "P26": "signals that wait for the process, with all that came with them",
    "P27": "signals that wait for one thread",
    "P28": "alternate signal stacks",
}

CATCHABLE = [n for n in range(1, NSIG + 1) if n not in (SIGKILL, SIGSTOP)]
"""The signals that have actions, in the order of `task_core_entry.sigactions`."""


def ask(ask: Emitter) -> Ref:
    """For all actions."""
    table = ask.buffer(len(CATCHABLE) * SIGACTION.size)
    for i, number in enumerate(CATCHABLE):
        ask.call("rt_sigaction", number, 0, table + i * SIGACTION.size, SIGSET_SIZE)
    return table


def hear(task: FrozenTask, table: Ref) -> None:
    """The actions; and then what waits for the process."""
    tc = task.core.tc
    tc.MergeFromString(_actions(task.leader.read(table, len(CATCHABLE) * SIGACTION.size)))
    waiting = task.leader.tracee.pending_signals(shared=True)
    early = task.status.shared_pending
    tc.signals_s.signals.extend(_entries([info for info in waiting if not _has_just_rung(task, info)], early))


def ask_thread(ask: Emitter) -> Ref:
    """For the alternate stack."""
    stack = ask.buffer(SIGALTSTACK.size)
    ask.call("sigaltstack", 0, stack)
    return stack


def hear_thread(thread: FrozenThread, stack: Ref) -> None:
    """The alternate stack, and what waits for this thread alone."""
    core = thread.core.thread_core
    got = SIGALTSTACK.unpack(thread.read(stack, SIGALTSTACK.size))
    # We asked from a stack of our own: whether the thread was on its alternate one is not what we were told.
    flags = got["ss_flags"] & 0xFFFFFFFF & ~SS_ONSTACK
    core.sas.CopyFrom(pb.thread_sas_entry(ss_sp=got["ss_sp"], ss_size=got["ss_size"], ss_flags=flags))
    core.signals_p.signals.extend(_entries(thread.tracee.pending_signals(shared=False), thread.status.pending))


@functools.cache
def _actions(table: bytes) -> bytes:
    """The part of a serialised task_core_entry that they are; processes of one program have the same."""
    part = pb.task_core_entry()
    part.sigactions.extend(_action(SIGACTION.unpack(table, i * SIGACTION.size)) for i in range(len(CATCHABLE)))
    return part.SerializePartialToString()


def _action(got: dict[str, int]) -> pb.sa_entry:
    return pb.sa_entry(
        sigaction=got["sa_handler"], flags=got["sa_flags"], restorer=got["sa_restorer"], mask=got["sa_mask"]
    )


def _has_just_rung(task: FrozenTask, info: bytes) -> bool:
    """Whether it comes from the real interval timer after the plan saw that timer run: it will ring again."""
    if SIGINFO.get(info, "si_signo") != SIGALRM or SIGINFO.get(info, "si_code") != SI_KERNEL:
        return False
    real = task.core.tc.timers.real
    return bool(real.vsec or real.vusec) and not task.status.shared_pending >> SIGALRM - 1 & 1


def _entries(queue: Iterable[bytes], pending: int) -> list[pb.siginfo_entry]:
    """The queue, and behind it the signals of the mask that have no place in it: their queue was full when they
    came, and the kernel will say that user 0 sent them (kernel/signal.c, collect_signal)."""
    found = list(queue)
    queued = {SIGINFO.get(info, "si_signo") for info in found}
    lost = [n for n in CATCHABLE if pending >> n - 1 & 1 and n not in queued]
    found += [SIGINFO_KILL.pack(si_signo=n, si_code=SI_USER) for n in lost]
    return [pb.siginfo_entry(siginfo=info) for info in found]


def restore(task: NewTask) -> None:
    """Actions other than the default, which all tasks of the tree are born with; then the queues, the process' and
    those of its threads: an action that is set to ignore a signal would take it out of every one of them."""
    entries = task.core.tc.sigactions
    if len(entries) not in (0, len(CATCHABLE)):
        raise ImageError(f"core-{task.pid}.img: it has {len(entries)} signal actions, not {len(CATCHABLE)}")
    with task.step(stages.ACTIONS, "signal actions") as actions:
        for number, entry in zip(CATCHABLE, entries, strict=False):
            if number == SIGCHLD or (entry.sigaction, entry.flags, entry.mask) != (SIG_DFL, 0, 0):
                actions.why = f"{task.leader}, action of signal {number}"
                actions.call("rt_sigaction", number, _packed(actions, entry), 0, SIGSET_SIZE)
    if queue := queued(task.core.tc.signals_s, f"core-{task.pid}.img"):
        with task.step(stages.PENDING, "pending signals") as step:
            for number, info in queue:
                step.call("rt_sigqueueinfo", task.pid, number, step.data(info))
    _restore_queues(task, actions)


def _restore_queues(task: NewTask, actions: Step) -> None:
    """What waits for single threads, each of which queues its own. Only then may the leader go on to the limits, of
    which one is for all signals that wait."""
    full = task.tree.graph.milestone(f"signals wait for the threads of pid {task.pid}")
    for thread in task.threads:
        if queue := queued(thread.core.thread_core.signals_p, f"core-{thread.tid}.img"):
            with thread.step(stages.PENDING, "pending signals", [actions]) as step:
                step.reaches.append(full)
                for number, info in queue:
                    step.call("rt_tgsigqueueinfo", task.pid, thread.tid, number, step.data(info))
    task.step(stages.PENDING, "pending signals", [full])


def restore_thread(thread: NewThread) -> None:
    """The alternate stack, which new threads do not have."""
    core = thread.core.thread_core
    flags = core.sas.ss_flags & ~SS_ONSTACK
    if core.HasField("sas") and not flags & SS_DISABLE:
        with thread.step(stages.PERSONAL, "alternate signal stack") as step:
            signed = flags - (1 << 32) if flags >> 31 else flags
            stack = SIGALTSTACK.pack(ss_sp=core.sas.ss_sp, ss_flags=signed, ss_size=core.sas.ss_size)
            step.call("sigaltstack", step.data(stack), 0)


def _packed(step: Emitter, entry: pb.sa_entry) -> Ref:
    return step.data(
        SIGACTION.pack(
            sa_handler=entry.sigaction, sa_flags=entry.flags, sa_restorer=entry.restorer, sa_mask=entry.mask
        )
    )


def queued(queue: pb.signal_queue_entry, file: str) -> list[tuple[int, bytes]]:
    """(signal number, siginfo) of each; ImageError for what cannot be one."""
    found = []
    for entry in queue.signals:
        number = SIGINFO.get(entry.siginfo, "si_signo") if len(entry.siginfo) == SI_MAX_SIZE else 0
        if not 1 <= number <= NSIG:
            raise ImageError(f"{file}: a pending signal is damaged (number {number}, {len(entry.siginfo)} bytes)")
        found.append((number, entry.siginfo))
    return found


def reset(step: Emitter) -> None:
    """Default actions for all signals: what the engine ignores must not be ignored by the tree."""
    default = step.data(SIGACTION.pack(sa_handler=SIG_DFL))
    for number in CATCHABLE:
        step.call("rt_sigaction", number, default, 0, SIGSET_SIZE)
    forget_children(step)


def forget_children(step: Emitter) -> None:
    """Drops any SIGCHLD that waits, as setting the default action of a signal that is ignored by default does
    (kernel/signal.c, do_sigaction). Children that stop will send none."""
    step.call("rt_sigaction", SIGCHLD, step.data(SIGACTION.pack(sa_flags=SA_NOCLDSTOP)), 0, SIGSET_SIZE)


def forget(step: Emitter, number: int) -> None:
    """Drops a signal that waits: one that is ignored does not. Its action is the default again, as at birth."""
    for handler in (SIG_IGN, SIG_DFL):
        step.call("rt_sigaction", number, step.data(SIGACTION.pack(sa_handler=handler)), 0, SIGSET_SIZE)


def free_signal(tree: NewTree) -> int:
    """A signal that waits nowhere in the tree, ended nobody and tells nobody of an end: to stop tasks with when they
    are done.

    Any will do, because a tracer sees a signal before its action is looked at; one that would be ignored comes first.
    """
    taken = {SIGCHLD}  # as stand-ins for leaders of groups send it (groups.py)
    for task in tree.tasks:
        taken.update((task.core.tc.exit_code & 0x7F, task.exit_signal) if task.dead else ())
    for task in tree.alive:
        queues = [task.core.tc.signals_s, *(thread.core.thread_core.signals_p for thread in task.threads)]
        taken.update(number for queue in queues for number, _ in queued(queue, f"core-{task.pid}.img"))
    free: list[int] = [n for n in (*QUIET_SIGNALS, *range(NSIG, SIGRTMIN - 1, -1)) if n not in taken]
    if not free:
        raise Refused([Obstacle("the tree", "signals of every number wait in it: none is left to stop tasks with")])
    return free[0]
