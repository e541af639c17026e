"""What a process registered for with membarrier(2): commands that it may use from then on, for all its threads."""

from __future__ import annotations

from engine.abi.membarrier import (
    MEMBARRIER_CMD_GET_REGISTRATIONS,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
)  # fmt: skip
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask

ROWS = {"P34": "registrations for membarrier"}

COMMANDS = (
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
)


def ask(ask: Emitter) -> Slot:
    """Kernels before 6.3 cannot tell; there, nothing is saved."""
    return ask.attempt("membarrier", MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0)


def hear(task: FrozenTask, mask: Slot) -> None:
    """A bit for each command."""
    if task.leader.answer(mask) > 0:
        task.core.tc.membarrier_registration_mask = task.leader.answer(mask)


def restore(task: NewTask) -> None:
    """Before there are threads: with them, each registration waits for all processors (kernel/sched/membarrier.c)."""
    wanted = [command for command in COMMANDS if task.core.tc.membarrier_registration_mask & command]
    if wanted:
        with task.step(stages.SETTLE, "membarrier registrations") as step:
            for command in wanted:
                step.call("membarrier", command, 0, 0)
