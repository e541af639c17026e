"""The short files of /proc/PID: limits, timers, auxv, children (proc_pid_limits(5) and neighbours)."""

from __future__ import annotations

import struct

from engine.abi.resource import RLIM_INFINITY
from engine.tuples import NamedTuple

# fs/proc/base.c, lnames[]: the first words of the lines, in the order of RLIMIT_*.
_LIMITS = (
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max core file size",
    "Max resident set",
    "Max processes",
    "Max open files",
    "Max locked memory",
    "Max address space",
    "Max file locks",
    "Max pending signals",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
    "Max realtime timeout",
)


class Limit(NamedTuple):
    """A soft and a hard resource limit; RLIM_INFINITY means none."""

    soft: int
    hard: int


class Timer(NamedTuple):
    """A POSIX timer, as /proc/PID/timers names it; times are not shown there."""

    id: int
    signal: int
    value: int  # sigev_value, the bits of a pointer
    notify: str  # signal, none or thread
    target: str  # "pid" or "tid"
    target_id: int
    clock: int  # CLOCK_*; negative: the processor time of a process or thread


def parse_limits(raw: bytes) -> list[Limit]:
    """The sixteen limits, indexed by RLIMIT_*."""
    found = {}
    for line in raw.decode().split("\n")[1:]:
        if line:
            found[line[:25].rstrip()] = Limit(_limit(line[26:46]), _limit(line[47:67]))
    return [found[name] for name in _LIMITS]


def _limit(text: str) -> int:
    word = text.strip()
    return RLIM_INFINITY if word == "unlimited" else int(word)


def parse_timers(raw: bytes) -> list[Timer]:
    """All POSIX timers of a process, in the order of creation."""
    entries: list[dict[str, str]] = []
    for line in raw.decode().split("\n"):
        key, colon, text = line.partition(": ")
        if key == "ID":
            entries.append({})
        if colon:
            entries[-1][key] = text
    return [_parse_timer(entry) for entry in entries]


def _parse_timer(got: dict[str, str]) -> Timer:
    signal, _, value = got["signal"].partition("/")
    notify, _, target = got["notify"].partition("/")
    kind, _, number = target.partition(".")
    clock = int(got["ClockID"])
    return Timer(int(got["ID"]), int(signal), int(value, 16), notify, kind, int(number), clock)


def parse_auxv(raw: bytes) -> list[tuple[int, int]]:
    """(AT_*, value) pairs without the final AT_NULL, in the kernel's order."""
    pairs = list(struct.iter_unpack("=QQ", raw))
    return [(key, value) for key, value in pairs if key]


def parse_children(raw: bytes) -> list[int]:
    """The pids of /proc/PID/task/TID/children, oldest first."""
    return [int(word) for word in raw.split()]


def parse_ranges(text: bytes) -> set[int]:
    """Lists of numbers as b"0-3,8" in cpuset(7) and below /sys/devices/system."""
    found: set[int] = set()
    for part in text.strip().split(b","):
        if part:
            first, _, last = part.partition(b"-")
            found.update(range(int(first), int(last or first) + 1))
    return found
