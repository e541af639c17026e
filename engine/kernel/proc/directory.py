"""An open /proc/PID: every file of it is read through one descriptor, so a reused pid cannot be mistaken.

A directory of /proc belongs to one process and not to its number: when the process is reaped, everything
below the descriptor fails, also when a new process has the same pid (fs/proc/base.c holds a `struct pid`).
"""

from __future__ import annotations

import os
from errno import ENOENT, ENOTDIR, ESRCH

from engine.errors import KernelError
from engine.kernel.proc.fdinfo import FdInfo, parse_fdinfo
from engine.kernel.proc.maps import DetailedMapping, Mapping, parse_maps, parse_smaps
from engine.kernel.proc.mounts import Cgroup, Mount, parse_cgroup, parse_mountinfo
from engine.kernel.proc.small import Limit, Timer, parse_auxv, parse_children, parse_limits, parse_timers
from engine.kernel.proc.stat import Stat, parse_stat
from engine.kernel.proc.status import Status, parse_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

# Enough for most files in one call: the kernel builds a file of one record in memory and hands it out whole,
# a file of many records (maps, mountinfo) by the page.
_CHUNK = 65536
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def read_all(name: str, dir_fd: int | None = None) -> bytes:
    """The whole file. OSError as open and read give it."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        parts = []
        while part := os.read(fd, _CHUNK):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


class ProcDir:
    """/proc/PID, or /proc/PID/task/TID: readers for its files. Closed by `close()` or at the end of a `with`.

    Every reader raises KernelError with ESRCH when the process is gone, and with the kernel's errno otherwise
    (ENOENT: this kernel has no such file; EACCES or EPERM: ptrace access is missing).
    """

    __slots__ = ("fd", "held", "pid", "subject")

    def __init__(self, pid: int, parent: int | None = None, subject: str = "") -> None:
        """Opens /proc/PID, or that of the thread `pid` below `parent`, the descriptor of its process."""
        self.pid = pid
        self.subject = subject or f"pid {pid}"
        self.fd = -1
        self.held: dict[str, bytes] = {}  # read ahead (ahead.py)
        name = f"/proc/{pid}" if parent is None else f"task/{pid}"
        try:
            self.fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except OSError as error:
            raise KernelError("open", ESRCH if error.errno == ENOENT else error.errno or 0, self.subject) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def alive(self) -> bool:
        """Whether the process exists still, as a zombie perhaps."""
        try:
            os.stat("stat", dir_fd=self.fd)
        except OSError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """A file as it is."""
        if name in self.held:
            return self.held.pop(name)
        try:
            return read_all(name, self.fd)
        except OSError as error:
            raise self._failure("read", name, error) from None

    def link(self, name: str) -> str:
        """Where a link points to: `exe`, `cwd`, `root`, `fd/3`, `ns/net`, `map_files/START-END`."""
        if name in self.held:
            return os.fsdecode(self.held.pop(name))
        try:
            return os.readlink(name, dir_fd=self.fd)
        except OSError as error:
            raise self._failure("readlink", name, error) from None

    def numbers(self, name: str) -> list[int]:
        """The entries of a directory of numbers, ascending."""
        try:
            fd = os.open(name, _OPEN_DIRECTORY, dir_fd=self.fd)
            try:
                return sorted(map(int, os.listdir(fd)))
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failure("list", name, error) from None

    def _failure(self, call: str, name: str, error: OSError) -> KernelError:
        number = error.errno or 0
        if number in (ENOENT, ENOTDIR) and not self.alive():
            number = ESRCH
        return KernelError(f"{call} of /proc/…/{name}", number, self.subject)

    def task(self, tid: int) -> ProcDir:
        """The directory of one thread."""
        return ProcDir(tid, self.fd, f"{self.subject} tid {tid}")

    def tasks(self) -> list[int]:
        """The tids of all threads, ascending."""
        return self.numbers("task")

    def descriptors(self) -> list[int]:
        """The numbers of all open descriptors, ascending. Empty for a zombie."""
        return self.numbers("fd")

    def children(self) -> list[int]:
        """The pids of the children of all threads; a list of a moment unless the process is frozen."""
        return [pid for tid in self.tasks() for pid in parse_children(self.read(f"task/{tid}/children"))]

    def maps(self) -> list[Mapping]:
        """The mappings, by address."""
        return parse_maps(self.read("maps"))

    def smaps(self) -> list[DetailedMapping]:
        """The mappings with flags and sizes, by address."""
        return parse_smaps(self.read("smaps"))

    def stat(self) -> Stat:
        """All fields of stat."""
        return parse_stat(self.read("stat"))

    def status(self) -> Status:
        """State, ids, signals, capabilities."""
        return parse_status(self.read("status"))

    def fdinfo(self, number: int) -> FdInfo:
        """One open descriptor."""
        return parse_fdinfo(self.read(f"fdinfo/{number}"))

    def limits(self) -> list[Limit]:
        """The resource limits, indexed by RLIMIT_*; readable where prlimit(2) is not allowed."""
        return parse_limits(self.read("limits"))

    def mountinfo(self) -> list[Mount]:
        """The mounts of the process's mount namespace, below its root."""
        return parse_mountinfo(self.read("mountinfo"))

    def cgroup(self) -> list[Cgroup]:
        """One place in each hierarchy."""
        return parse_cgroup(self.read("cgroup"))

    def timers(self) -> list[Timer]:
        """The POSIX timers (needs CONFIG_CHECKPOINT_RESTORE)."""
        return parse_timers(self.read("timers"))

    def auxv(self) -> list[tuple[int, int]]:
        """The auxiliary vector of the last execve."""
        return parse_auxv(self.read("auxv"))

    def comm(self) -> str:
        """The name, up to 15 bytes."""
        return self.read("comm")[:-1].decode("utf-8", "surrogateescape")

    def arguments(self) -> list[bytes]:
        """The words of the command line, as the process shows them now."""
        return self.read("cmdline").split(b"\0")[:-1]

    def personality(self) -> int:
        """As personality(2) takes it."""
        return int(self.read("personality"), 16)

    def number(self, name: str) -> int:
        """A file of one decimal number: oom_score_adj, loginuid, timerslack_ns."""
        return int(self.read(name))

    def namespaces(self) -> dict[str, int]:
        """The inode numbers of all namespaces: {"net": 4026531840, …}."""
        try:
            fd = os.open("ns", _OPEN_DIRECTORY, dir_fd=self.fd)
            try:
                return {name: os.stat(name, dir_fd=fd).st_ino for name in sorted(os.listdir(fd))}
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failure("stat", "ns", error) from None
