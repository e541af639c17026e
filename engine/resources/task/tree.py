"""The shape of the tree: pids, parents, sessions, groups, zombies, threads.

Every task is spawned by its parent with its old pid (clone3 set_tid, Linux 5.5), traced like it (CLONE_PTRACE). When
depends on what it shares: a child of the parent's old session before the parent's setsid; one that shares no memory
before the parent has any; one that does (copy-on-write) after the parent's pages are there.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

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
from engine.errors import Obstacle
from engine.images import pb
from engine.rebuild import ALIVE, DEAD, STOPPED
from engine.resources import stages

if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.graph import Step
    from engine.rebuild import NewTask, NewTree

THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PTRACE


def collect(task: FrozenTask) -> None:
    """State, exit code, name; the ids go to pstree.img."""
    tc, stat = task.core.tc, task.stat
    tc.exit_code, tc.flags, tc.comm = 0, stat.flags & 0xFFFFFFFF, stat.comm
    tc.personality = task.proc.personality() if task.threads else 0
    if not task.threads:
        task.core.mtype = pb.core_entry.X86_64
        tc.task_state, tc.exit_code, tc.blk_sigset = DEAD, stat.exit_code, 0
    elif task.leader.tracee.stop.is_group_stop:
        tc.task_state, tc.stop_signo = STOPPED, task.leader.tracee.stop_signal()
    else:
        tc.task_state = ALIVE


def check(task: FrozenTask) -> list[Obstacle]:
    """Sessions and groups must be led by somebody of the tree, or be somebody else's with --shell-job."""
    obstacles, pids = [], {t.pid for t in task.tree.tasks}
    stat, who = task.stat, f"pid {task.pid}"
    if not task.tree.options.shell_job:
        for what, number in (("session", stat.session), ("process group", stat.pgrp)):
            if number not in pids:
                reason = f"its {what} {number} is led by nobody in the tree"
                remedy = "use --shell-job, or start the tree with setsid" if what == "session" else "use --shell-job"
                obstacles.append(Obstacle(who, reason, remedy))
    return obstacles


def entry(task: FrozenTask) -> pb.pstree_entry:
    """The task's place in pstree.img."""
    threads = [thread.tid for thread in task.threads] or [task.pid]
    return pb.pstree_entry(pid=task.pid, ppid=task.ppid, pgid=task.stat.pgrp, sid=task.stat.session, threads=threads)


def restore(tree: NewTree) -> None:
    """Births, sessions, groups and deaths of all tasks."""
    groups: dict[int, Step] = {}
    for task in tree.tasks:
        if task.parent is None:
            _restore_root(task)
        else:
            _spawn(task, task.parent)
        if task.dead:
            _die(task, groups)
            continue
        if task.sid == task.pid:
            with task.step(stages.SESSION, "session") as step:
                step.call("setsid", expect=task.pid)
        _join_group(task, groups)
        _spawn_threads(task)


def _restore_root(task: NewTask) -> None:
    with task.step(stages.BORN, "leaving the skeleton behind") as step:
        step.call("prctl", PR_SET_PDEATHSIG, 0)
        step.call("close_range", 0, task.tree.opener.staging - 1, 0)


def _spawn(task: NewTask, parent: NewTask) -> None:
    """The stage says what the child takes along."""
    if task.heir:
        stage = stages.HEIRS
    elif task.sid not in (parent.sid, task.pid) and parent.sid == parent.pid:
        stage = stages.OUTSIDE
    else:
        stage = stages.CHILDREN
    with parent.step(stage, f"birth of pid {task.pid}") as step:
        traced = 0 if task.dead else CLONE_PTRACE
        step.spawn(task.leader.actor, traced, task.pid, signal.SIGCHLD)


def _spawn_threads(task: NewTask) -> None:
    for thread in task.threads[1:]:
        with task.step(stages.THREADS, f"birth of thread {thread.tid}") as step:
            step.spawn(thread.actor, THREAD_FLAGS, thread.tid)


def _join_group(task: NewTask, groups: dict[int, Step]) -> None:
    """The leader's group must exist before others join it."""
    needs = [groups[task.pgid]] if task.pgid in groups and task.pgid != task.pid else []
    with task.step(stages.GROUP, "process group", needs) as step:
        if task.pgid in task.tree.by_pid and task.sid != task.pid:
            step.call("setpgid", 0, task.pgid)
        if task.pgid == task.pid:
            groups[task.pid] = step


def _die(task: NewTask, groups: dict[int, Step]) -> None:
    """A zombie does nothing but die as it did. Its parent waits for that without taking the status away."""
    raise NotImplementedError
