"""Zombies and stopped tasks: those that do not just run on. In this order:

    zombies      die as they did; their parents see it without taking the status away (waitid(2), WNOWAIT)
    the stopped  stop, all threads of each; whose stop was reported already is waited for by its parent

Only then do parents get their signal actions back: they keep no SIGCHLD of ours. A stopped task goes on with its plan,
because its tracer makes it; when the tracer lets go of it, the kernel puts it back into the group-stop it is in
(kernel/ptrace.c, __ptrace_unlink).
"""

from __future__ import annotations

from engine.abi.prctl import PR_SET_DUMPABLE, PR_SET_PDEATHSIG
from engine.abi.signal import NSIG, SIG_UNBLOCK, SIGSET_SIZE
from engine.abi.wait import P_PID, WALL, WEXITED, WNOWAIT, WSTOPPED
from engine.errors import ImageError
from engine.rebuild import ALIVE, DEAD, STOPPED
from engine.resources import stages
from engine.resources.task import creds, names, signals
from engine.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.frozen import FrozenTask
    from engine.plan.graph import Milestone, Step
    from engine.rebuild import NewTask, NewTree
    from engine.resources.task.groups import StandIn

ROWS = {
    "P11": "dead children: exit code or signal, name, owner",
    "P56": "stopped processes, and whether the parent has seen it",
}

CORE_DUMPED = 0x80  # in a wait status, beside the signal
REPORTED = 0x7F  # the low byte of a stopped child's wait status (wait(2), WIFSTOPPED)
STOP_SIGNALS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
HARMLESS = (*STOP_SIGNALS, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
"""Signals that end nobody."""


def of(task: FrozenTask) -> tuple[int, int, int]:
    """(state, exit code, stop signal) as the image has them.

    The exit code of a stopped task is the wait status that its parent has taken already, or 0. CRIU writes 0 always:
    to its images, and from them, every stop is news. The kernel has it the other way round: the stop signal until the
    parent has waited, 0 then (fs/proc/array.c, do_task_stat, Linux 5.17).
    """
    if not task.threads:
        return DEAD, task.stat.exit_code, 0
    stop = task.leader.tracee.stop
    if not stop.is_group_stop:
        return ALIVE, 0, 0
    return STOPPED, 0 if task.stat.exit_code else stop.signal << 8 | REPORTED, stop.signal


def restore(tree: NewTree, grouped: Milestone, stand_ins: Sequence[StandIn]) -> None:
    """The steps of zombies and stopped tasks, of their parents, and of their threads. `grouped` is passed when every
    task is in its process group, and the stand-ins end then."""
    buried = tree.graph.milestone("the zombies are dead")
    stops = {}
    for task in tree.tasks:
        if task.dead:
            _die(task)
        elif task.state == STOPPED:
            stops[task.pid] = _stop(task, grouped, buried)
    for task in tree.alive:
        _bury(task, buried, [s.pid for s in stand_ins if s.parent is task])
        _witness(task, stops)
        with task.step(stages.READY, "the meeting") as step:
            step.reaches.append(tree.everyone)
        for thread in task.threads[1:] if task.pid in stops else ():  # who has halted would hold up the stop
            thread.step(stages.READY, "the stop of all", [stops[task.pid]])


def _die(task: NewTask) -> None:
    """Name, owner, and the end. Until then it goes when its parent goes."""
    core, code = task.core, task.core.tc.exit_code
    if task.exit_signal in (signal.SIGKILL, signal.SIGSTOP):
        raise ImageError(f"pstree.img: nobody survives a child like pid {task.pid}, whose end sends {task.exit_signal}")
    with task.step(stages.BORN, "life of a zombie") as step:
        step.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with task.step(stages.PERSONAL, "name and owner of a zombie") as step:
        names.set_name(step, core.tc)
        if core.thread_core.HasField("creds"):
            creds.set_ids(step, core.thread_core.creds)
    with task.step(stages.DONE, "end of a zombie") as step:
        if code & 0x7F:
            _kill_self(task, step, code & 0x7F)
        else:
            step.call("exit_group", code >> 8)


def _kill_self(task: NewTask, step: Step, number: int) -> None:
    """By the same signal, without a core file."""
    file = f"core-{task.pid}.img"
    if number > NSIG or number in HARMLESS:
        raise ImageError(f"{file}: exit code {task.core.tc.exit_code:#x}: signal {number} ends nobody")
    if task.core.tc.exit_code & CORE_DUMPED:
        task.tree.options.log.warning(f"{task.leader}: the zombie's status will not say that it dumped core")
    step.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    _raise(task, step, number)


def _raise(task: NewTask, step: Step, number: int) -> None:
    mask = step.data((1 << number - 1).to_bytes(SIGSET_SIZE, "little"))
    step.call("rt_sigprocmask", SIG_UNBLOCK, mask, 0, SIGSET_SIZE)
    step.call("tgkill", task.pid, task.pid, number)


def _stop(task: NewTask, grouped: Milestone, buried: Milestone) -> Step:
    """Stops all threads. Who dies later could leave a group orphaned, whose stopped members the kernel lets go on."""
    number = _stop_signal(task)
    with task.step(stages.STOP, f"stop by signal {number}", [grouped, buried]) as step:
        _raise(task, step, number)
    return step


def _stop_signal(task: NewTask) -> int:
    """As it was. In a group that nobody outside of it looks after, only SIGSTOP stops (setpgid(2), "orphaned")."""
    number = task.core.tc.stop_signo or signal.SIGSTOP
    if number not in STOP_SIGNALS:
        raise ImageError(f"core-{task.pid}.img: signal {number} stops nobody")
    return number if number == signal.SIGSTOP or _is_looked_after(task) else signal.SIGSTOP


def _is_looked_after(task: NewTask) -> bool:
    pairs = [(other, other.parent) for other in task.tree.tasks if other.pgid == task.pgid]
    return any(parent and parent.pgid != task.pgid and parent.sid == other.sid for other, parent in pairs)


def _bury(task: NewTask, buried: Milestone, stand_ins: Sequence[int]) -> None:
    """Sees each dead child die, and forgets the signals about it; of stand-ins nothing stays."""
    dead = [child for child in task.children if child.dead]
    if not dead and not stand_ins:
        return
    with task.step(stages.PERSONAL, "death of its children") as step:
        step.reaches.append(buried)
        for child in dead:
            step.call("waitid", P_PID, child.pid, 0, WEXITED | WNOWAIT | _whoever(child), 0)
        for pid in stand_ins:
            step.call("waitid", P_PID, pid, 0, WEXITED, 0)
        signals.forget_children(step)
        for number in sorted({child.exit_signal for child in dead} - {0, signal.SIGCHLD}):
            signals.forget(step, number)


def _whoever(child: NewTask) -> int:
    """What finds a child whose end is told by another signal than SIGCHLD (wait(2), __WALL)."""
    return 0 if child.exit_signal == signal.SIGCHLD else WALL


def _witness(task: NewTask, stops: dict[int, Step]) -> None:
    """Takes the reports that were taken already."""
    reported = [c for c in task.children if c.pid in stops and c.core.tc.exit_code]
    if reported:
        with task.step(stages.WITNESS, "stops of its children", [stops[c.pid] for c in reported]) as step:
            for child in reported:
                step.call("waitid", P_PID, child.pid, 0, WSTOPPED | _whoever(child), 0)
