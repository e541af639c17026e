"""Scheduling: policy, real-time priority, nice value of each thread, and what SCHED_DEADLINE goes by (sched(7)).

The flag SCHED_RESET_ON_FORK is part of the policy in the image, as sched_getscheduler(2) returns it. criu refuses
images with SCHED_DEADLINE, as it refuses to make them.
"""

from __future__ import annotations

import os
import struct

from engine.abi.resource import PRIO_PROCESS
from engine.abi.sched import (
    SCHED_ATTR,
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)  # fmt: skip
from engine.errors import ImageError, KernelError
from engine.kernel import calls
from engine.kernel._native import ffi
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.plan.graph import Step
    from engine.rebuild import NewThread

ROWS = {"P36": "scheduling policy, priority, nice value, reset on fork", "P69": "SCHED_DEADLINE"}
REFUSED = {"P69": "SCHED_EXT"}

REAL_TIME = (SCHED_FIFO, SCHED_RR)
DEFAULT = (SCHED_NORMAL, 0, 0)
DEADLINE = ("sched_flags", "sched_runtime", "sched_deadline", "sched_period")  # of struct sched_attr, and of the image
SIZE_VER0 = 48  # bytes: struct sched_attr without the clamps
REMEDY = "a higher priority than the engine's own needs CAP_SYS_NICE"
KNOWN = (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE, *REAL_TIME)


def collect_thread(thread: FrozenThread) -> None:
    """Anybody may ask. SCHED_EXT depends on a program in the kernel, which we do not save."""
    core, tid = thread.core.thread_core, thread.tid
    policy = os.sched_getscheduler(tid)
    bare = policy & ~SCHED_RESET_ON_FORK
    if bare not in KNOWN:
        thread.refuse(f"its scheduling policy {bare} is not supported")
    core.sched_policy = policy
    core.sched_nice = os.getpriority(PRIO_PROCESS, tid)
    if bare in REAL_TIME:
        core.sched_prio = os.sched_getparam(tid).sched_priority
    if bare == SCHED_DEADLINE:
        _collect_deadline(thread)


def _collect_deadline(thread: FrozenThread) -> None:
    """What was asked for, not what is left of it in this period."""
    attr = ffi.new("char[]", SCHED_ATTR.size)
    result = calls.attempt("sched_getattr", thread.tid, int(ffi.cast("uint64_t", attr)), SCHED_ATTR.size, 0)
    if result < 0:
        raise KernelError("sched_getattr", -result, str(thread))
    found = SCHED_ATTR.unpack(bytes(ffi.buffer(attr)))
    for field in DEADLINE:
        setattr(thread.core.thread_core, field, found[field])


def restore_thread(thread: NewThread) -> None:
    """After it has children, which it might not pass its policy to."""
    core = thread.core.thread_core
    if (core.sched_policy, core.sched_prio, core.sched_nice) == own.scheduling() == DEFAULT:
        return
    with thread.step(stages.PERSONAL, "scheduling") as step:
        if core.sched_policy & ~SCHED_RESET_ON_FORK == SCHED_DEADLINE:
            _set_deadline(step, thread)
        else:
            priority = step.data(struct.pack("<i", core.sched_prio))
            step.call("sched_setscheduler", 0, core.sched_policy, priority, remedy=REMEDY)
        step.call("setpriority", PRIO_PROCESS, 0, core.sched_nice, remedy=REMEDY)


def _set_deadline(step: Step, thread: NewThread) -> None:
    """The flags say too whether it is reset on fork."""
    core = thread.core.thread_core
    if not core.HasField("sched_runtime"):
        raise ImageError(f"core-{thread.tid}.img: it has the policy SCHED_DEADLINE and no runtime")
    values = {field: getattr(core, field) for field in DEADLINE}
    attr = SCHED_ATTR.pack(size=SIZE_VER0, sched_policy=SCHED_DEADLINE, **values)
    remedy = "it needs CAP_SYS_NICE, and so much processor time left for deadlines (sched(7))"
    step.call("sched_setattr", 0, step.data(attr[:SIZE_VER0]), 0, remedy=remedy)
