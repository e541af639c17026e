"""Memory that the kernel may merge with equal memory: all that a process has and will have (PR_SET_MEMORY_MERGE).

The mark gives the advice MADV_MERGEABLE to every mapping that is there and to every new one. Mappings from which the
process took the advice back lose it again after the mark.
"""

from __future__ import annotations

from engine.abi import mman
from engine.abi.prctl import PR_GET_MEMORY_MERGE, PR_SET_MEMORY_MERGE
from engine.resources import stages
from engine.resources.memory.mappings import VDSO, VSYSCALL, VVAR, is_shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask

ROWS = {"P69": "memory that may be merged, of a whole process"}

NEVER = VDSO | VVAR | VSYSCALL
MERGEABLE = 1 << mman.MADV_MERGEABLE


def ask(ask: Emitter) -> Slot:
    """Kernels before 6.4, or without CONFIG_KSM, do not know."""
    return ask.attempt("prctl", PR_GET_MEMORY_MERGE, 0, 0, 0, 0)


def hear(task: FrozenTask, merges: Slot) -> None:
    """Few do."""
    if task.leader.answer(merges) == 1:
        task.mm.memory_merge = True


def restore(task: NewTask) -> None:
    """After the mappings and their own advice, and after the births, for it is inherited."""
    if not task.mm.memory_merge:
        return
    with task.step(stages.SETTLE, "mergeable memory") as step:
        step.call("prctl", PR_SET_MEMORY_MERGE, 1, 0, 0, 0, remedy="the kernel must have CONFIG_KSM")
        for vma in task.mm.vmas:
            if not vma.madv & MERGEABLE and not vma.status & NEVER and not is_shared(vma):
                step.call("madvise", vma.start, vma.end - vma.start, mman.MADV_UNMERGEABLE)
