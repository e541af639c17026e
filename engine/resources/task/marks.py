"""Marks on a process or thread that a change of credentials takes away, hence set after it (prctl(2)).

Dumpable and "no transparent huge pages" belong to the memory and the subreaper to the process; the signal at the
parent's death is the thread's own.
"""

from __future__ import annotations

from engine.abi.prctl import (
    PR_GET_CHILD_SUBREAPER,
    PR_GET_PDEATHSIG,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    PR_SET_THP_DISABLE,
)  # fmt: skip
from engine.resources import stages
from engine.resources.task import creds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenThread
    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref
    from engine.rebuild import NewTask, NewThread

THP_REMEDY = "huge pages for advised memory alone (PR_THP_DISABLE_EXCEPT_ADVISED) can be asked for since Linux 6.18"

ROWS = {
    "P12": "the subreaper mark",
    "P35": "the signal at the parent's death",
    "P40": "dumpable or not",
    "P41": "no transparent huge pages",
}

SUID_DUMP_DISABLE, SUID_DUMP_USER, SUID_DUMP_ROOT = 0, 1, 2  # linux/sched/coredump.h


def ask(ask: Emitter) -> Ref:
    """Dumpable and huge pages are asked with the rest of struct mm (memory/mm.py)."""
    place = ask.buffer(8)
    ask.call("prctl", PR_GET_CHILD_SUBREAPER, place, 0, 0, 0)
    return place


def hear(task: FrozenTask, place: Ref) -> None:
    """Whether orphans come to it."""
    task.core.tc.child_subreaper = bool(task.leader.number(place, 4))


def ask_thread(ask: Emitter) -> Ref:
    """One number each."""
    place = ask.buffer(8)
    ask.call("prctl", PR_GET_PDEATHSIG, place, 0, 0, 0)
    return place


def hear_thread(thread: FrozenThread, place: Ref) -> None:
    """The signal."""
    thread.core.thread_core.pdeath_sig = thread.number(place, 4)


def restore(task: NewTask) -> None:
    """When all threads have their credentials: each of those changes resets what they share."""
    ready = task.tree.graph.milestone(f"credentials of pid {task.pid}")
    for thread in filter(creds.changes, task.threads):
        with thread.step(stages.CREDS, "credentials") as step:
            step.reaches.append(ready)
    with task.step(stages.MARKS, "marks of the process", [ready]) as step:
        step.call("prctl", PR_SET_DUMPABLE, _dumpable(task), 0, 0, 0)
        disabled, flags = int(task.mm.thp_disabled), task.mm.thp_disable_flags
        step.call("prctl", PR_SET_THP_DISABLE, disabled, flags, 0, 0, remedy=THP_REMEDY if flags else "")
        step.call("prctl", PR_SET_CHILD_SUBREAPER, int(task.core.tc.child_subreaper), 0, 0, 0)


def _dumpable(task: NewTask) -> int:
    """Value 2 (core dumps for root alone) only the kernel gives: prctl refuses it since Linux 2.6.13."""
    if task.mm.dumpable != SUID_DUMP_ROOT:
        return task.mm.dumpable if task.mm.HasField("dumpable") else SUID_DUMP_USER
    task.tree.options.log.warning(f"{task.leader}: dumpable for root only (2) cannot be set; it becomes not dumpable")
    return SUID_DUMP_DISABLE


def restore_thread(thread: NewThread) -> None:
    """Nobody is born with one. The parent of a detached tree would be the engine, which ends at once."""
    number, task = thread.core.thread_core.pdeath_sig, thread.task
    if number and task.parent is None and task.tree.options.detached:
        text = f"{thread}: its parent is gone, so it is not to have signal {number} at the parent's death"
        task.tree.options.log.warning(text)
    elif number:
        with thread.step(stages.MARKS, "signal at the parent's death") as step:
            step.call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)
