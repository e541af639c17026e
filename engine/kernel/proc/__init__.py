"""/proc: parsers as pure functions from bytes to tuples, and `ProcDir`, which reads the files of one process.

Parsers are fast (split, no regular expressions) because they run while a tree is frozen.
"""

from engine.kernel.proc.directory import ProcDir, read_all
from engine.kernel.proc.fdinfo import (
    EpollTarget,
    FdInfo,
    FileLock,
    InotifyMark,
    TimerFd,
    epoll_targets,
    inotify_marks,
    parse_fdinfo,
    parse_lock,
    parse_timerfd,
)
from engine.kernel.proc.maps import DetailedMapping, Mapping, parse_maps, parse_smaps
from engine.kernel.proc.mounts import Cgroup, Mount, parse_cgroup, parse_mountinfo
from engine.kernel.proc.small import Limit, Timer, parse_auxv, parse_children, parse_limits, parse_ranges, parse_timers
from engine.kernel.proc.stat import PF_KTHREAD, Stat, parse_stat
from engine.kernel.proc.status import Status, parse_status

__all__ = [
    "PF_KTHREAD",
    "Cgroup",
    "DetailedMapping",
    "EpollTarget",
    "FdInfo",
    "FileLock",
    "InotifyMark",
    "Limit",
    "Mapping",
    "Mount",
    "ProcDir",
    "Stat",
    "Status",
    "Timer",
    "TimerFd",
    "epoll_targets",
    "inotify_marks",
    "parse_auxv",
    "parse_cgroup",
    "parse_children",
    "parse_fdinfo",
    "parse_limits",
    "parse_lock",
    "parse_maps",
    "parse_mountinfo",
    "parse_ranges",
    "parse_smaps",
    "parse_stat",
    "parse_status",
    "parse_timerfd",
    "parse_timers",
    "read_all",
]
