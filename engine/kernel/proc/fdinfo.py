"""/proc/PID/fdinfo/N (proc_pid_fdinfo(5)): the common lines, and those of each kind of file."""

from __future__ import annotations

import os

from engine.kernel.proc.maps import parse_device
from engine.tuples import NamedTuple


class FdInfo(NamedTuple):
    """One descriptor. `lines` are what the kind of file adds, as the kernel wrote them."""

    pos: int
    flags: int  # O_*, with O_CLOEXEC when the descriptor has it
    mnt_id: int
    ino: int | None  # 5.14
    locks: list[str]  # see parse_lock
    lines: list[str]

    def value(self, key: str) -> str | None:
        """The text behind `key:`, without the white space around; None without such a line."""
        for line in self.lines:
            name, colon, text = line.partition(":")
            if colon and name == key:
                return text.strip()
        return None


class EpollTarget(NamedTuple):
    """A `tfd:` line of an epoll descriptor. `fd` is the number at the time of EPOLL_CTL_ADD."""

    fd: int
    events: int
    data: int
    pos: int | None  # these three since 4.13
    ino: int | None
    device: int | None  # as in st_dev


class FileLock(NamedTuple):
    """A `lock:` line, or one of /proc/locks. The range includes `end`; None: up to the end of the file."""

    kind: str  # FLOCK, POSIX, OFDLCK, LEASE, DELEG
    mode: str  # of a lock ADVISORY; of a lease ACTIVE, BREAKING or BREAKER
    access: str  # READ, WRITE, or UNLCK of a lease that is being broken
    pid: int  # -1 for OFD locks
    device: int  # as in st_dev; it and the inode are 0 when the kernel has lost the file
    inode: int
    start: int
    end: int | None


class TimerFd(NamedTuple):
    """The lines of a timerfd. Value and interval are (seconds, nanoseconds)."""

    clock: int
    ticks: int
    settime_flags: int
    value: tuple[int, int]
    interval: tuple[int, int]


class InotifyMark(NamedTuple):
    """An `inotify wd:` line."""

    wd: int
    inode: int
    device: int  # as in st_dev
    mask: int
    handle_type: int | None  # None: the file system gives no handles (exportfs)
    handle: bytes


def parse_fdinfo(raw: bytes) -> FdInfo:
    """The whole text. The first lines stand in a fixed order; later kernels only append."""
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    pos, flags, mnt_id = int(lines[0][5:]), int(lines[1][7:], 8), int(lines[2][8:])
    rest = 3
    ino = None
    if lines[3][:4] == "ino:":
        ino, rest = int(lines[3][5:]), 4
    locks = [line[6:] for line in lines[rest:] if line[:6] == "lock:\t"]
    return FdInfo(pos, flags, mnt_id, ino, locks, [line for line in lines[rest + len(locks) :] if line])


def parse_lock(text: str) -> FileLock:
    """ "1: POSIX  ADVISORY  WRITE 4711 fd:01:1234 0 EOF", as fdinfo and /proc/locks show it."""
    words = text.split()
    if words[1] == "->":  # /proc/locks: this one waits for the lock above
        del words[1]
    _, kind, mode, access, pid, place, start, end = words
    device, _, inode = place.rpartition(":")
    return FileLock(
        kind,
        mode,
        access,
        int(pid),
        0 if device == "<none>" else parse_device(device),
        int(inode),
        int(start),
        None if end == "EOF" else int(end),
    )


def parse_epoll_target(line: str) -> EpollTarget:
    """ "tfd:        5 events:       19 data: 7f0e04000b60  pos:0 ino:2f sdev:e"."""
    words = line.replace(":", ": ").split()
    got = dict(zip(words[::2], words[1::2], strict=True))
    ino, device = got.get("ino:"), got.get("sdev:")
    return EpollTarget(
        int(got["tfd:"]),
        int(got["events:"], 16),
        int(got["data:"], 16),
        int(got["pos:"]) if "pos:" in got else None,
        int(ino, 16) if ino else None,
        kernel_device(int(device, 16)) if device else None,
    )


def kernel_device(number: int) -> int:
    """The kernel's own MAJOR << 20 | MINOR as a device number like st_dev's."""
    return os.makedev(number >> 20, number & 0xFFFFF)


def epoll_targets(info: FdInfo) -> list[EpollTarget]:
    """What an epoll descriptor watches, in the order of the kernel's tree (by file, then by number)."""
    return [parse_epoll_target(line) for line in info.lines if line.startswith("tfd:")]


def parse_timerfd(info: FdInfo) -> TimerFd:
    """The state of a timerfd."""
    got = dict(line.split(": ", 1) for line in info.lines)
    return TimerFd(
        int(got["clockid"]),
        int(got["ticks"]),
        int(got["settime flags"], 8),
        _pair(got["it_value"]),
        _pair(got["it_interval"]),
    )


def _pair(text: str) -> tuple[int, int]:
    seconds, nanoseconds = text.strip("()").split(",")
    return int(seconds), int(nanoseconds)


def inotify_marks(info: FdInfo) -> list[InotifyMark]:
    """What an inotify descriptor watches."""
    found = []
    for line in info.lines:
        if line.startswith("inotify wd:"):
            got = dict(word.split(":", 1) for word in line.split()[1:])
            wd, inode, device, mask = (int(got[key], 16) for key in ("wd", "ino", "sdev", "mask"))
            handle_type = int(got["fhandle-type"], 16) if "fhandle-type" in got else None
            handle = bytes.fromhex(got.get("f_handle", ""))
            found.append(InotifyMark(wd, inode, kernel_device(device), mask, handle_type, handle))
    return found
