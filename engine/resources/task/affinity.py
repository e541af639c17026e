"""Which processors each thread may run on (sched_setaffinity(2)).

Nothing is saved of a thread that may run on all: it will run on whatever there is. Processors that are not there at
the restore are left out, with a warning; a thread that would have none left is refused.

What a cpuset forbids looks the same from outside as what the thread forbade itself.
"""

from __future__ import annotations

import os

from engine.errors import Obstacle
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.frozen import FrozenThread
    from engine.rebuild import NewThread, NewTree

ROWS = {"P69": "processor affinity of each thread"}

WORD = 64  # bits of a word in the image
U64 = (1 << WORD) - 1


def collect_thread(thread: FrozenThread) -> None:
    """Anybody may ask. The kernel leaves out processors that are off line."""
    processors = os.sched_getaffinity(thread.tid)
    if processors != own.processors():
        thread.core.thread_core.cpu_affinity.extend(words(processors))


def words(processors: Iterable[int]) -> list[int]:
    """As the image has them, and the kernel too."""
    mask = sum(1 << number for number in processors)
    return [mask >> at & U64 for at in range(0, max(mask.bit_length(), 1), WORD)]


def wanted(thread: NewThread) -> set[int]:
    """The processors that the image names; none if it says nothing."""
    found = enumerate(thread.core.thread_core.cpu_affinity)
    return {WORD * at + bit for at, word in found for bit in range(WORD) if word >> bit & 1}


def missing(tree: NewTree) -> list[Obstacle]:
    """The threads that would have no processor."""
    obstacles = []
    for thread in (thread for task in tree.alive for thread in task.threads):
        if (processors := wanted(thread)) and not processors & own.processors():
            reason = f"none of its processors is here: {_numbers(processors)} (here are {_numbers(own.processors())})"
            obstacles.append(Obstacle(str(thread), reason, "restore it where one of them is on line"))
    return obstacles


def restore_thread(thread: NewThread) -> None:
    """After the births: who is born has his parent's. What all have from the engine need not be set."""
    processors = wanted(thread)
    if not processors or processors == own.affinity():
        return
    if lost := processors - own.processors():
        text = f"{thread}: processors {_numbers(lost)} are not here, it keeps {_numbers(processors - lost)}"
        thread.task.tree.options.log.warning(text)
    with thread.step(stages.PERSONAL, "processor affinity") as step:
        mask = b"".join(word.to_bytes(8, "little") for word in words(processors - lost))
        remedy = "the engine's cpuset must allow one of its processors"
        step.call("sched_setaffinity", 0, len(mask), step.data(mask), remedy=remedy)


def _numbers(processors: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(processors)))
