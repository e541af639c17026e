"""Whether a thread may read the time stamp counter, or gets SIGSEGV for it (prctl(2), PR_SET_TSC)."""

from __future__ import annotations

from engine.abi.prctl import PR_GET_TSC, PR_SET_TSC, PR_TSC_SIGSEGV
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref
    from engine.rebuild import NewThread

ROWS = {"P69": "threads that may not read the time stamp counter"}


def ask_thread(ask: Emitter) -> Ref:
    """One number, untouched where the processor has no such counter."""
    place = ask.buffer(8)
    ask.attempt("prctl", PR_GET_TSC, place)
    return place


def hear_thread(thread: FrozenThread, place: Ref) -> None:
    """Nearly all may."""
    if thread.number(place, 4) == PR_TSC_SIGSEGV:
        thread.core.thread_core.tsc_forbidden = True


def restore_thread(thread: NewThread) -> None:
    """After the births, for it is inherited. The interpreter does not look at the time."""
    if thread.core.thread_core.tsc_forbidden:
        with thread.step(stages.PERSONAL, "time stamp counter") as step:
            step.call("prctl", PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0)
