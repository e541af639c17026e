"""The execution domain: address space layout, emulated kernel version and such (personality(2)).

Collected with the other required fields of the message (tree.py). CRIU saves it and never gives it back.
"""

from __future__ import annotations

from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.rebuild import NewThread

ROWS = {"P23": "the execution domain, which is also given back"}


def restore_thread(thread: NewThread) -> None:
    """Each thread has its own, nearly always the leader's. After the mappings: READ_IMPLIES_EXEC changes new ones."""
    wanted = thread.task.core.tc.personality
    if wanted != own.personality():
        with thread.step(stages.PERSONAL, "personality") as step:
            step.call("personality", wanted)
