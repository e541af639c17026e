"""What the engine itself has: privileges that it can give, and settings that the tasks it starts begin with.

What a task has from the beginning need not be set: most tasks of most trees are spared most calls.
"""

from __future__ import annotations

import functools
import os

from engine.abi.ioprio import IOPRIO_WHO_PROCESS
from engine.abi.prctl import PR_GET_SECUREBITS, PR_GET_TIMERSLACK
from engine.abi.resource import PRIO_PROCESS
from engine.kernel import calls
from engine.kernel.proc import ProcDir, parse_ranges, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.kernel.proc import Status


@functools.cache
def status() -> Status:
    """Our own /proc/PID/status, read once."""
    with ProcDir(os.getpid()) as proc:
        return proc.status()


def has(capability: int) -> bool:
    """Whether a capability is in our effective set."""
    return bool(status().cap_effective >> capability & 1)


@functools.cache
def oom_score_adj() -> int:
    """What every task that we start begins with."""
    with ProcDir(os.getpid()) as proc:
        return proc.number("oom_score_adj")


@functools.cache
def personality() -> int:
    """The execution domain."""
    with ProcDir(os.getpid()) as proc:
        return proc.personality()


@functools.cache
def scheduling() -> tuple[int, int, int]:
    """Policy, real-time priority, nice value."""
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, os.getpriority(PRIO_PROCESS, 0)


@functools.cache
def securebits() -> int | None:
    """The securebits, if our credentials outlive the execve of a skeleton: user 0 with full sets (capabilities(7),
    "Transformation of capabilities during execve()"); else None."""
    ours, bits = status(), calls.syscall("prctl", PR_GET_SECUREBITS, 0, 0, 0, 0)
    full = ours.cap_permitted == ours.cap_effective == ours.cap_bounding
    plain = not bits and not any(ours.uids) and not ours.cap_inheritable and not ours.cap_ambient
    return bits if full and plain else None


@functools.cache
def affinity() -> set[int]:
    """The processors that every task we start may use."""
    return os.sched_getaffinity(0)


@functools.cache
def processors() -> set[int]:
    """All that are on line. Without /sys, those that we may use ourselves."""
    try:
        return parse_ranges(read_all("/sys/devices/system/cpu/online"))
    except OSError:
        return affinity()


@functools.cache
def io_priority() -> int:
    """Class and level, 0 for none."""
    return max(calls.attempt("ioprio_get", IOPRIO_WHO_PROCESS, 0), 0)


@functools.cache
def timer_slack() -> int:
    """In nanoseconds."""
    return calls.attempt("prctl", PR_GET_TIMERSLACK, 0, 0, 0, 0)


@functools.cache
def coredump_filter() -> int:
    """Bits for kinds of mappings; -1 where the kernel was built without core dumps."""
    try:
        return int(read_all("/proc/self/coredump_filter"), 16)
    except FileNotFoundError:
        return -1
