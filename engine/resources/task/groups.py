"""Process groups: leaders make theirs, the others join.

Who made a group may live on in another one. It makes its old group again and leaves it when one of the others, the
keeper, is in it: a group without members is gone.

A group outlives its leader, as the second half of a shell's pipeline often shows. To make such a group again, its
number must be a process once more: a stand-in is born in the group's session, leads the group until all have joined it,
ends, and is waited for by its parent.
"""

from __future__ import annotations

import os

from engine.abi.prctl import PR_SET_PDEATHSIG
from engine.abi.sched import CLONE_PTRACE
from engine.errors import Obstacle
from engine.resources import stages
from engine.signals import signal
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.plan.builder import Actor
    from engine.plan.graph import Milestone, Step
    from engine.rebuild import NewTask, NewTree

ROWS = {"P07": "process groups", "P09": "groups whose leaders are dead"}


class StandIn(NamedTuple):
    """What leads a group in place of its dead leader, and who has it for a child."""

    pid: int
    parent: NewTask
    actor: Actor


def keepers(groups: Mapping[int, int]) -> dict[int, int | None]:
    """For each process that is not in the group of its own number, which others are in: the keeper, who need not wait
    for the founder to leave. None where there is no such member. `groups`: pid -> group."""
    left: dict[int, list[int]] = {}
    for pid, group in groups.items():
        if group != pid and groups.get(group, group) != group:
            left.setdefault(group, []).append(pid)
    found: dict[int, int | None] = {}
    while new := {
        group: keeper
        for group, members in left.items()
        if group not in found and (keeper := next((pid for pid in members if pid not in left or pid in found), None))
    }:
        found |= new
    return found | {group: None for group in left if group not in found}


def check(groups: Mapping[int, int]) -> list[Obstacle]:
    """Groups that take more than a founder and a keeper to be made."""
    reason = "it left its process group to others who in turn wait for it to leave theirs, which is not supported"
    return [Obstacle(f"pid {pid}", reason) for pid, keeper in keepers(groups).items() if keeper is None]


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
    used = {task.pgid for task in tree.tasks}
    leaders = {task.pid: _lead(task, grouped) for task in tree.tasks if task.pid in used}
    stand_ins = []
    for pid, parent in leaderless(tree).items():
        stand_in = StandIn(pid, parent, tree.plan.actor(f"stand-in for pid {pid}"))
        leaders[pid] = _stand_in(tree, stand_in, grouped)
        stand_ins.append(stand_in)
    _join(tree, leaders, grouped)
    return grouped, stand_ins


def _join(tree: NewTree, leaders: Mapping[int, Step], grouped: Milestone) -> None:
    born_in, keeping = _inherited(tree), keepers({task.pid: task.pgid for task in tree.tasks})
    joined: dict[int, Step] = {}
    for task in tree.tasks:
        elsewhere = task.pgid in leaders and task.pgid not in (task.pid, born_in[task.pid])
        if elsewhere or task.pid in keeping:
            with task.step(stages.GROUP, "process group") as step:
                step.needs += [leaders[task.pgid]] if task.pgid in leaders else []
                step.reaches.append(grouped)
                step.call("setpgid", 0, task.pgid if task.pgid in leaders else os.getpgrp())
            joined[task.pid] = step
    for founder, keeper in keeping.items():
        if keeper in joined:
            joined[founder].needs.append(joined[keeper])


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
