"""The descriptors of a process, as facts, and which of them are the same open file."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat as stat_bits
from collections.abc import Iterator
from typing import NamedTuple

from . import proc, syscalls
from .facts import GONE, Fact, Numbers, State, facts_of, text_of


class Descriptor(NamedTuple):
    pid: int
    fd: int
    target: str


def descriptors_of(pid: int, numbers: Numbers) -> Iterator[tuple[Descriptor, State]]:
    for fd in sorted(int(name) for name in os.listdir(proc.PROC / str(pid) / "fd")):
        with contextlib.suppress(*GONE):
            target = os.readlink(proc.PROC / str(pid) / "fd" / str(fd))
            yield Descriptor(pid, fd, target), _descriptor(pid, fd, target, numbers)


def _descriptor(pid: int, fd: int, target: str, numbers: Numbers) -> State:
    info = text_of(proc.PROC / str(pid) / "fdinfo" / str(fd))
    status = os.stat(proc.PROC / str(pid) / "fd" / str(fd))
    facts = descriptor_facts(target, info, status, numbers)
    flow = {"position": proc.parse_fields(info).get("pos", "")}
    if stat_bits.S_ISREG(status.st_mode):
        flow["size"] = str(status.st_size)
    subject = f"fd {fd}"
    return dict([*facts_of(pid, "descriptors", subject, facts), *facts_of(pid, "positions", subject, flow)])


# Every kernel object of these is a new one after a restore.
_NUMBERED = re.compile(r"(pipe|socket):\[(\d+)\]")
# Numbers of the kernel, and the expiry of timers, which runs.
_INFO_LEFT_OUT = ("pos", "flags", "mnt_id", "ino", "it_value", "eventfd-id", "ticks", "scm_fds", "tty-index")


# Without effect in a 64-bit process; tells a pipe that was opened by a name from one that pipe() made.
_O_LARGEFILE = 0o100000


def descriptor_facts(target: str, info: str, status: os.stat_result, numbers: Numbers) -> dict[str, str]:
    """What fdinfo, the link and stat() tell about one descriptor.

    Details are sorted: the kernel lists what an epoll watches in the order of addresses of its own.
    """
    if match := _NUMBERED.fullmatch(target):
        target = numbers.name(match[1], match[2])
    flags = int(proc.parse_fields(info).get("flags", "0"), 8) & ~_O_LARGEFILE
    facts = {"target": target, "flags": f"0{flags:o}", "mode": f"{status.st_mode:o}"}
    if stat_bits.S_ISREG(status.st_mode):
        facts["links"] = str(status.st_nlink)
    if stat_bits.S_ISBLK(status.st_mode) or stat_bits.S_ISCHR(status.st_mode):
        facts["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    details = [line for line in info.split("\n") if line and line.partition(":")[0] not in _INFO_LEFT_OUT]
    if details:
        facts["details"] = "; ".join(sorted(_without_numbers(line) for line in details))
    return facts


def _without_numbers(line: str) -> str:
    """Lock, epoll and inotify lines name inodes and devices; the owner, the descriptor or the mask stays."""
    if line.startswith("lock:"):
        return " ".join(word for word in line.split()[2:] if word.count(":") != 2)
    return re.sub(r"\b(ino|sdev|pos|f_handle|ignored_mask):\s*[0-9a-f]+", r"\1", " ".join(line.split()))


def sharing_facts(descriptors: list[Descriptor]) -> Iterator[tuple[Fact, str]]:
    """Which descriptors are the same open file: only those with the same target can be."""
    numbers = Numbers()
    groups: dict[str, list[Descriptor]] = {}
    for descriptor in descriptors:
        groups.setdefault(descriptor.target, []).append(descriptor)
    owners = {descriptor: first for group in groups.values() for descriptor, first in _same_files(group)}
    for descriptor in descriptors:
        if descriptor in owners:
            fact = Fact(descriptor.pid, "descriptors", f"fd {descriptor.fd}", "open file")
            yield fact, numbers.name("open file", owners[descriptor])


def _same_files(group: list[Descriptor]) -> Iterator[tuple[Descriptor, Descriptor]]:
    """Each descriptor with the first one that shares its open file; nothing when one of them has gone meanwhile."""

    def order(one: Descriptor, other: Descriptor) -> int:
        return syscalls.kcmp_file(one.pid, one.fd, other.pid, other.fd)

    try:
        ranked = sorted(group, key=functools.cmp_to_key(order))
        same = [i > 0 and order(ranked[i - 1], ranked[i]) == 0 for i in range(len(ranked))]
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EBADF):
            return
        raise
    first = ranked[0]
    for descriptor, shares in zip(ranked, same, strict=True):
        first = first if shares else descriptor
        yield descriptor, first
