"""Process groups: leaders make theirs, the others join.

A group outlives its leader, as the second half of a shell's pipeline often shows. To make such a group again, its
number must be a process once more: a stand-in is born in the group's session, leads the group until all have joined it,
ends, and is waited for by its parent.
"""

from __future__ import annotations

from engine.abi.prctl import PR_SET_PDEATHSIG
from engine.abi.sched import CLONE_PTRACE
from engine.resources import stages
from engine.signals import signal
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.plan.builder import Actor
    from engine.plan.graph import Milestone, Step
    from engine.rebuild import NewTask, NewTree

ROWS = {"P07": "process groups", "P09": "groups whose leaders are dead"}


class StandIn(NamedTuple):
    """What leads a group in place of its dead leader, and who has it for a child."""

    pid: int
    parent: NewTask
    actor: Actor


def leaderless(tree: NewTree) -> dict[int, NewTask]:
    """The groups of dead leaders, each with a live member of its session to bear the stand-in. Groups of sessions
    outside of the tree are not ours to make: their members join the engine's."""
    found = {}
    for task in tree.tasks:
        if task.pgid not in tree.by_pid and task.sid in tree.by_pid:
            parent = next((t for t in tree.alive if t.sid == task.sid), None)
            if parent is not None:
                found[task.pgid] = parent
    return found


def restore(tree: NewTree) -> tuple[Milestone, list[StandIn]]:
    """The milestone is passed when everybody is in his group."""
    grouped = tree.graph.milestone("the groups are made")
    leaders = {task.pid: _lead(task, grouped) for task in tree.tasks if task.pgid == task.pid}
    stand_ins = []
    for pid, parent in leaderless(tree).items():
        stand_in = StandIn(pid, parent, tree.plan.actor(f"stand-in for pid {pid}"))
        leaders[pid] = _stand_in(tree, stand_in, grouped)
        stand_ins.append(stand_in)
    born_in = _inherited(tree)
    for task in tree.tasks:
        if task.pgid in leaders and task.pgid not in (task.pid, born_in[task.pid]):
            with task.step(stages.GROUP, "process group", [leaders[task.pgid]]) as step:
                step.reaches.append(grouped)
                step.call("setpgid", 0, task.pgid)
    return grouped, stand_ins


def _inherited(tree: NewTree) -> dict[int, int]:
    """The group that each task is born in: nobody joins one before all are born, but setsid makes one."""
    groups = {tree.root.pid: 0}
    for task in tree.tasks[1:]:
        assert task.parent is not None
        parent = task.parent
        own = parent.sid == parent.pid and not task.outside
        groups[task.pid] = parent.pid if own else groups[parent.pid]
    return groups


def _lead(task: NewTask, grouped: Milestone) -> Step:
    """A new group. setsid has made one already."""
    with task.step(stages.GROUP, "process group") as step:
        step.reaches.append(grouped)
        if task.sid != task.pid:
            step.call("setpgid", 0, 0)
    return step


def _stand_in(tree: NewTree, stand_in: StandIn, grouped: Milestone) -> Step:
    """Its whole life. Should its parent die, it goes too."""
    who = f"stand-in for pid {stand_in.pid}, whose process group is left"
    with stand_in.parent.step(stages.CHILDREN, f"birth of a {who}") as step:
        step.spawn(stand_in.actor, CLONE_PTRACE, stand_in.pid, signal.SIGCHLD)
    with tree.graph.step(stand_in.actor, who, stages.GROUP) as lead:
        lead.reaches.append(grouped)
        lead.call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        lead.call("setpgid", 0, 0)
    with tree.graph.step(stand_in.actor, who, stages.DONE, [grouped]) as step:
        step.call("exit_group", 0)
    return lead
