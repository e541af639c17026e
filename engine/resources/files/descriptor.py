"""One descriptor of a frozen task: what /proc tells about it, read for a whole table in one crossing into C.

A table of a thousand descriptors is read while the tree is frozen, so there is no Python object per fact and no
system call per line: native/calls.c fills an array of structures, and Python unpacks it in one go.
"""

from __future__ import annotations

import os
import struct
from errno import ENOBUFS
from functools import cache

from engine.abi.fcntl import O_CLOEXEC
from engine.errors import KernelError
from engine.images import pb
from engine.kernel import calls
from engine.kernel._native import ffi, lib
from engine.kernel.proc import FdInfo
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from engine.frozen import FrozenTree
    from engine.kernel.proc import ProcDir, Stat

    class Holder(Protocol):
        """Whose descriptors are looked at: a frozen task, or, before the freeze, a running process."""

        @property
        def pid(self) -> int: ...
        @property
        def proc(self) -> ProcDir: ...
        @property
        def stat(self) -> Stat: ...
        @property
        def tree(self) -> FrozenTree: ...
        def refuse(self, what: str, reason: str, remedy: str = "") -> None: ...

FACTS = struct.Struct("<iI6Q5Iiiii5I")
"""struct descriptor of native/calls.c"""

TEXT = 300  # bytes of link and fdinfo for which there is room per descriptor, on average
MORE_TEXT = 65536  # and for one long one
_new = tuple.__new__
_buffer = ffi.new_allocator(should_clear_after_alloc=False)


class Descriptor(NamedTuple):
    """One descriptor, or another link of /proc/PID that leads to a file.

    The fields behind `place` are those of struct descriptor in native/calls.c, in its order.
    """

    task: Holder
    link: str  # "/etc/passwd", "pipe:[4711]", "anon_inode:[eventfd]"
    text: str  # of fdinfo, behind the common lines: locks, and what the kind of file adds
    place: tuple[str, str] | None  # not a descriptor but another link of /proc/PID, and what it is to the process
    number: int
    error: int
    dev: int
    ino: int
    rdev: int
    size: int
    blocks: int
    pos: int
    mode: int
    nlink: int
    uid: int
    gid: int
    raw_flags: int
    mnt_id: int
    named: int  # 0: the link is a path of this file; 1: of another one; -errno: of none
    owner: int
    signal: int

    @property
    def flags(self) -> int:
        """Status flags of the description, without O_CLOEXEC, which is the number's own."""
        return self.raw_flags & ~O_CLOEXEC

    @property
    def info(self) -> FdInfo:
        """fdinfo in its parts."""
        lines = self.text.split("\n")[:-1]
        locks = [line[6:] for line in lines if line.startswith("lock:\t")]
        return FdInfo(self.pos, self.raw_flags, self.mnt_id, self.ino, locks, lines[len(locks) :])

    @property
    def name(self) -> str:
        """For messages: number and link, control characters escaped."""
        link = self.link if self.link.isprintable() else ascii(self.link)[1:-1]
        return f"{self.place[1] if self.place else f'fd {self.number}'} ({link})"

    def open(self, flags: int) -> int:
        """The same file in a new description of ours, through the link in /proc."""
        try:
            link = self.place[0] if self.place else f"fd/{self.number}"
            return os.open(link, flags | O_CLOEXEC, dir_fd=self.task.proc.fd)
        except OSError as error:
            raise KernelError("open", error.errno or 0, f"pid {self.task.pid} {self.name}") from None

    def duplicate(self) -> int:
        """A descriptor of ours for the same description; the caller closes it."""
        pidfd = calls.pidfd_open(self.task.pid)
        try:
            return calls.pidfd_getfd(pidfd, self.number, f"pid {self.task.pid} {self.name}")
        finally:
            os.close(pidfd)

    def refuse(self, reason: str, remedy: str = "") -> None:
        """An obstacle, by name."""
        self.task.refuse(self.name, reason, remedy)


@cache
def no_owner() -> pb.fown_entry:
    """A file that sends no signals to anybody. One message for all: whoever takes it in makes a copy."""
    return pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)


def descriptors(task: Holder) -> list[Descriptor]:
    """All descriptors of a task, by number. What cannot be read is refused."""
    numbers = task.proc.descriptors()
    facts, texts = _survey(task, numbers, len(numbers) * TEXT + MORE_TEXT)
    found = []
    for fact in facts:
        if fact[1]:
            task.refuse(f"fd {fact[0]}", f"cannot be read: {os.strerror(fact[1])}")
            continue
        link, link_size, info, info_size = fact[-5:-1]
        name = texts[link : link + link_size].decode("utf-8", "surrogateescape")
        text = texts[info : info + info_size].decode("utf-8", "surrogateescape") if info_size else ""
        found.append(_new(Descriptor, (task, name, text, None, *fact[:-5])))  # faster than the constructor
    return found


def by_link(task: Holder, link: str, what: str, flags: int, name: str, facts: os.stat_result) -> Descriptor:
    """A link such as `exe` or `map_files/START-END`, as if it were a descriptor with these flags."""
    try:
        other = os.lstat(name)
        named = 0 if (other.st_dev, other.st_ino) == (facts.st_dev, facts.st_ino) else 1
    except OSError as error:
        named = -(error.errno or 0)
    return Descriptor(
        task, name, "", (link, what), number=-1, error=0, dev=facts.st_dev, ino=facts.st_ino, rdev=facts.st_rdev,
        size=facts.st_size, blocks=facts.st_blocks, pos=0, mode=facts.st_mode, nlink=facts.st_nlink, uid=facts.st_uid,
        gid=facts.st_gid, raw_flags=flags, mnt_id=-1, named=named, owner=0, signal=0,
    )  # fmt: skip


def _survey(task: Holder, numbers: list[int], size: int) -> tuple[list[tuple[int, ...]], Any]:
    """The facts and the texts that they refer to; again with more room if `size` bytes of text were too few."""
    rest = bytes(FACTS.size - 4)
    raw = bytearray().join([number.to_bytes(4, "little") + rest for number in numbers])
    texts = _buffer("char[]", size)
    pidfd = calls.pidfd_open(task.pid)
    try:
        lib.descriptor_facts(task.proc.fd, pidfd, ffi.from_buffer(raw), len(numbers), texts, size)
    finally:
        os.close(pidfd)
    facts = list(FACTS.iter_unpack(raw))
    if any(fact[1] == ENOBUFS for fact in facts):
        return _survey(task, numbers, size * 4)
    return facts, ffi.buffer(texts, size)
