"""Scheduling: policy, real-time priority and nice value of each thread (sched(7)).

The flag SCHED_RESET_ON_FORK is part of the policy in the image, as sched_getscheduler(2) returns it.
"""

from __future__ import annotations

import os
import struct

from engine.abi.resource import PRIO_PROCESS
from engine.abi.sched import (
    SCHED_BATCH,
    SCHED_FIFO,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)  # fmt: skip
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.rebuild import NewThread

ROWS = {"P36": "scheduling policy, priority, nice value, reset on fork"}

REAL_TIME = (SCHED_FIFO, SCHED_RR)
DEFAULT = (SCHED_NORMAL, 0, 0)
KNOWN = (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE, *REAL_TIME)


def collect_thread(thread: FrozenThread) -> None:
    """Anybody may ask. SCHED_DEADLINE and SCHED_EXT have parameters that the image has no place for."""
    core, tid = thread.core.thread_core, thread.tid
    policy = os.sched_getscheduler(tid)
    if policy & ~SCHED_RESET_ON_FORK not in KNOWN:
        thread.refuse(f"its scheduling policy {policy & ~SCHED_RESET_ON_FORK} is not supported")
    core.sched_policy = policy
    core.sched_nice = os.getpriority(PRIO_PROCESS, tid)
    if policy & ~SCHED_RESET_ON_FORK in REAL_TIME:
        core.sched_prio = os.sched_getparam(tid).sched_priority


def restore_thread(thread: NewThread) -> None:
    """After it has children, which it might not pass its policy to."""
    core = thread.core.thread_core
    if (core.sched_policy, core.sched_prio, core.sched_nice) == own.scheduling() == DEFAULT:
        return
    with thread.step(stages.PERSONAL, "scheduling") as step:
        remedy = "a higher priority than the engine's own needs CAP_SYS_NICE"
        priority = step.data(struct.pack("<i", core.sched_prio))
        step.call("sched_setscheduler", 0, core.sched_policy, priority, remedy=remedy)
        step.call("setpriority", PRIO_PROCESS, 0, core.sched_nice, remedy=remedy)
