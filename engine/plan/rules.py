"""What the records of a tree allow its plans: the rules for verify.py."""

from __future__ import annotations

from engine.plan.signatures import ASKING, MAKING
from engine.plan.verify import Rules, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.plan.builder import Actor
    from engine.rebuild import NewTree
    from engine.resources.memory.mappings import Area

NUMBERS = 1 << 31
"""A descriptor number is an int."""


def of_questions(actors: Iterable[Actor]) -> Rules:
    """For a plan that asks a frozen task: each actor is one of its threads; no memory of the task is touched."""
    return Rules(ASKING, [actor.index for actor in actors], {}, NUMBERS, births=False)


def of_restore(tree: NewTree, scratch: Area) -> Rules:
    """For the plan of a whole tree: each task in its own recorded mappings and in the scratch area, while it has it."""
    from engine.resources.memory import mappings

    spaces: dict[int, Space] = {}
    for task in tree.tasks:
        space = Space([*mappings.areas(task), *([scratch] if scratch.end > scratch.start else [])])
        spaces |= {thread.actor.index: space for thread in task.threads}
    return Rules(
        MAKING,
        roots=[tree.root.leader.actor.index],
        spaces=spaces,
        descriptors=tree.opener.numbers,
        tasks={thread.tid for task in tree.tasks for thread in task.threads},
        arena=(tree.base, tree.base + tree.plan.size),
    )
