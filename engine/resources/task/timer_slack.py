"""By how much a thread's sleeps may be prolonged, to wake up together with others (prctl(2), PR_SET_TIMERSLACK).

Saved is the current value. The one that it goes back to with PR_SET_TIMERSLACK 0, which it was born with, nobody tells.
"""

from __future__ import annotations

from engine.abi.prctl import PR_GET_TIMERSLACK, PR_SET_TIMERSLACK
from engine.plan.ops import U64
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewThread

ROWS = {"P69": "timer slack of each thread"}

DEFAULT = 50_000  # nanoseconds: of the first process, from which all have it (init/init_task.c)


def ask_thread(ask: Emitter) -> Slot:
    """A file of /proc has it too, but would have to be opened for each thread."""
    return ask.attempt("prctl", PR_GET_TIMERSLACK)


def hear_thread(thread: FrozenThread, slack: Slot) -> None:
    """A real-time thread has none, whatever it asked for (since Linux 6.12, commit ed4fb6d7ef68)."""
    nanoseconds = thread.answer(slack) & U64
    if nanoseconds not in (0, DEFAULT):
        thread.core.thread_core.timer_slack = nanoseconds


def restore_thread(thread: NewThread) -> None:
    """Before the policy: of a real-time thread it cannot be set. After the births: children begin with it."""
    slack = thread.core.thread_core.timer_slack
    if slack and slack != own.timer_slack():
        with thread.step(stages.PERSONAL, "timer slack") as step:
            step.call("prctl", PR_SET_TIMERSLACK, slack, 0, 0, 0)
