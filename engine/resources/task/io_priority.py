"""The I/O priority of each thread, a class and a level within it (ioprio_set(2)). 0: it goes by the nice value."""

from __future__ import annotations

from engine.abi.ioprio import IOPRIO_WHO_PROCESS
from engine.kernel import calls
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.rebuild import NewThread

ROWS = {"P69": "I/O priority of each thread"}


def collect_thread(thread: FrozenThread) -> None:
    """Anybody may ask."""
    priority = calls.attempt("ioprio_get", IOPRIO_WHO_PROCESS, thread.tid)
    if priority > 0:
        thread.core.thread_core.io_priority = priority


def restore_thread(thread: NewThread) -> None:
    """After the births: who is born has his parent's."""
    priority = thread.core.thread_core.io_priority
    if priority and priority != own.io_priority():
        with thread.step(stages.PERSONAL, "I/O priority") as step:
            remedy = "the real-time class needs CAP_SYS_NICE"
            step.call("ioprio_set", IOPRIO_WHO_PROCESS, 0, priority, remedy=remedy)
