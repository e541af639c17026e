"""The sixteen resource limits (setrlimit(2)).

Read from /proc/PID/limits, because prlimit(2) on a task with other ids takes a privilege that the file does not.
A hard limit can be raised with CAP_SYS_RESOURCE alone; without it the tree gets the highest that we can give, and the
log says so.
"""

from __future__ import annotations

import functools
import resource

from engine.abi.capability import CAP_SYS_RESOURCE
from engine.abi.resource import RLIM_INFINITY, RLIM_NLIMITS, RLIMIT64
from engine.errors import ImageError
from engine.images import pb
from engine.kernel.proc import parse_limits
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.rebuild import NewTask

ROWS = {"P37": "all sixteen resource limits"}

NAMES = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
         "MSGQUEUE", "NICE", "RTPRIO", "RTTIME")  # fmt: skip


def collect(task: FrozenTask) -> None:
    """All in the kernel's order."""
    task.core.tc.rlimits.MergeFromString(_entries(task.proc.read("limits")))


@functools.cache
def _entries(text: bytes) -> bytes:
    """The serialised task_rlimits_entry; most processes have the limits of their parents."""
    entries = [pb.rlimit_entry(cur=limit.soft, max=limit.hard) for limit in parse_limits(text)]
    return pb.task_rlimits_entry(rlimits=entries).SerializeToString()


def restore(task: NewTask) -> None:
    """When nothing is left to do that they could forbid. Those that are not the engine's own."""
    entries = task.core.tc.rlimits.rlimits
    if len(entries) > RLIM_NLIMITS:
        raise ImageError(f"core-{task.pid}.img: it has {len(entries)} resource limits; there are {RLIM_NLIMITS}")
    with task.step(stages.LIMITS, "limits") as step:
        for number, entry in enumerate(entries):
            limit = attainable(task, number, entry)
            if limit != _own(number):
                step.why = f"{task.leader}, RLIMIT_{NAMES[number]}"
                place = step.data(RLIMIT64.pack(rlim_cur=limit[0], rlim_max=limit[1]))
                step.call("prlimit64", 0, number, place, 0)


def _own(number: int) -> tuple[int, int]:
    """What every task begins with. Python knows infinity as -1."""
    soft, hard = resource.getrlimit(number)
    return soft % (RLIM_INFINITY + 1), hard % (RLIM_INFINITY + 1)


def attainable(task: NewTask, number: int, entry: pb.rlimit_entry) -> tuple[int, int]:
    """(soft, hard) as the image has them, or what we can give of it."""
    _, ours = _own(number)
    if entry.max <= ours or own.has(CAP_SYS_RESOURCE):
        return entry.cur, entry.max
    text = f"{task.leader}, RLIMIT_{NAMES[number]}: the hard limit {entry.max} is out of reach, it becomes {ours}"
    task.tree.options.log.warning(f"{text} (raising it needs CAP_SYS_RESOURCE)")
    return min(entry.cur, ours), ours
