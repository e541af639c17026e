"""The shape of the tree: pids, parents, sessions, threads.

Every task is spawned by its parent with its old pid (clone3 set_tid, Linux 5.5), traced like it (CLONE_PTRACE). When
depends on what it shares: a child of the parent's old session before the parent's setsid; one that shares no memory
before the parent has any; one that does (copy-on-write) after the parent's pages are there.
"""

from __future__ import annotations

from engine.abi.prctl import PR_SET_PDEATHSIG
from engine.abi.sched import (
    CLONE_FILES,
    CLONE_FS,
    CLONE_PTRACE,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VM,
)  # fmt: skip
from engine.errors import Obstacle, Refused
from engine.images import pb
from engine.resources import stages
from engine.resources.task import affinity, creds, fates, groups, names, seccomp, sessions, signals
from engine.resources.task.sessions import Member
from engine.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenTree
    from engine.rebuild import NewTask, NewTree

ROWS = {
    "P05": "the pid of every process",
    "P06": "the shape of the tree",
    "P08": "sessions, and in which each process was born",
    "P13": "threads with their ids",
}
REFUSED = {"P09": "sessions whose leaders are dead"}

THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PTRACE


def collect(task: FrozenTask) -> None:
    """State and name; the ids go to pstree.img."""
    tc, stat = task.core.tc, task.stat
    task.core.mtype = pb.core_entry.X86_64
    tc.task_state, tc.exit_code, tc.stop_signo = fates.of(task)
    tc.flags, tc.blk_sigset = stat.flags & 0xFFFFFFFF, 0
    names.put(tc, stat.comm)
    tc.personality = task.proc.personality() if task.threads else 0  # personality.py
    if not task.threads:  # its parent can still see the owner
        task.core.thread_core.futex_rla, task.core.thread_core.futex_rla_len = 0, 0
        task.core.thread_core.creds.CopyFrom(creds.entry(task.proc.status(), 0))


def check(tree: FrozenTree) -> list[Obstacle]:
    """Sessions must be led by somebody of the tree, or be somebody else's with --shell-job."""
    pids, obstacles = {task.pid for task in tree.tasks}, []
    for task in [] if tree.options.shell_job else tree.tasks:
        if task.stat.session not in pids:
            reason = f"its session {task.stat.session} is led by nobody in the tree"
            remedy = "use --shell-job, or start the tree with setsid"
            obstacles.append(Obstacle(f"pid {task.pid}", reason, remedy))
    obstacles += groups.check({task.pid: task.stat.pgrp for task in tree.tasks})
    _, wrong = sessions.births([Member(t.pid, t.ppid, t.stat.session) for t in tree.tasks])
    return obstacles + [Obstacle(f"pid {pid}", reason) for pid, reason in wrong.items()]


def entry(task: FrozenTask) -> pb.pstree_entry:
    """The task's place in pstree.img."""
    threads = [thread.tid for thread in task.threads] or [task.pid]
    stat = task.stat
    found = pb.pstree_entry(pid=task.pid, ppid=task.ppid, pgid=stat.pgrp, sid=stat.session, threads=threads)
    if task.ppid and stat.exit_signal != signal.SIGCHLD:
        found.exit_signal = stat.exit_signal
    return found


def prepare(tree: NewTree) -> None:
    """Decides in which session everybody is born. Refuses what cannot be, and what is not ours to restore."""
    obstacles = []
    if tree.root.sid not in tree.by_pid and not tree.options.shell_job:
        reason = f"its session {tree.root.sid} is led by nobody in the tree"
        obstacles.append(Obstacle(str(tree.root.leader), reason, "use --shell-job to take it into the session here"))
    born, wrong = sessions.births([Member(t.pid, t.ppid, t.sid) for t in tree.tasks])
    obstacles += [Obstacle(f"pid {pid}", reason) for pid, reason in wrong.items()]
    obstacles += groups.check({task.pid: task.pgid for task in tree.tasks})
    obstacles += creds.missing(tree) + affinity.missing(tree) + seccomp.prepare(tree)
    if obstacles:
        raise Refused(obstacles)
    for task in tree.tasks:
        task.born = born[task.pid]


def restore(tree: NewTree) -> None:
    """Births, sessions and groups of all tasks, and how some of them end."""
    for task in tree.tasks:
        if task.parent is None:
            _restore_root(task)
        else:
            _spawn(task, task.parent)
        if task.sid == task.pid:
            with task.step(stages.SESSION, "session") as step:
                step.call("setsid", expect=task.pid)
        _spawn_threads(task)
    grouped, stand_ins = groups.restore(tree)
    fates.restore(tree, grouped, stand_ins)


def _restore_root(task: NewTask) -> None:
    with task.step(stages.BORN, "leaving the skeleton behind") as step:
        step.call("prctl", PR_SET_PDEATHSIG, 0)
        step.call("close_range", 0, task.tree.opener.staging - 1, 0)
        signals.reset(step)


def _spawn(task: NewTask, parent: NewTask) -> None:
    """The stage says what the child takes along."""
    stage = stages.OUTSIDE if task.outside else stages.HEIRS if task.heir else stages.CHILDREN
    with parent.step(stage, f"birth of pid {task.pid}") as step:
        step.spawn(task.leader.actor, CLONE_PTRACE, task.pid, task.exit_signal)


def _spawn_threads(task: NewTask) -> None:
    for thread in [] if task.dead else task.threads[1:]:
        with task.step(stages.THREADS, f"birth of thread {thread.tid}") as step:
            step.spawn(thread.actor, THREAD_FLAGS, thread.tid)
