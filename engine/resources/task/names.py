"""Names of threads: up to 15 bytes of anything but NUL (prctl(2), PR_SET_NAME).

A name need not be text. The image format calls it a string, and Python's protobuf takes no other bytes than UTF-8 for
one; on the wire there is no such rule, so what is no text goes in, and comes out again, as bytes.
"""

from __future__ import annotations

from engine.abi.prctl import PR_SET_NAME
from engine.images.text import get_text, set_text
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.images import pb
    from engine.plan.builder import Emitter
    from engine.rebuild import NewThread

    Named = pb.thread_core_entry | pb.task_core_entry

ROWS = {"P14": "names of processes and threads"}

LONGEST = 15  # TASK_COMM_LEN without its NUL (linux/sched.h)


def collect_thread(thread: FrozenThread) -> None:
    """The status file has it."""
    put(thread.core.thread_core, thread.status.name)


def restore_thread(thread: NewThread) -> None:
    """Older images have the leader's name alone, which its threads had from it."""
    core = thread.core.thread_core
    with thread.step(stages.PERSONAL, "name") as step:
        set_name(step, core if core.HasField("comm") else thread.task.core.tc)


def put(message: Named, name: str) -> None:
    """Fills in the field `comm`; bytes that are no UTF-8 stand as lone surrogates in `name`."""
    set_text(message, "comm", name)


def get(message: Named) -> bytes:
    """The field `comm`, as the kernel has it."""
    return get_text(message, "comm").encode(errors="surrogateescape").split(b"\0")[0][:LONGEST]


def set_name(step: Emitter, message: Named) -> None:
    """The calling thread's name."""
    step.call("prctl", PR_SET_NAME, step.data(get(message) + b"\0"))
