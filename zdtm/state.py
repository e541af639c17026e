"""What can be seen of a process tree from outside: read before a dump, and again after the restore.

A state is a dictionary of facts. A fact is one word or number about one thing of one process, so two states
are compared entry by entry and a difference names itself: `pid 12 fd 3: flags was 02, is 0102`.
This module referees the engine, hence shares no code with it and takes nothing from it on trust.

Numbers that the kernel gives out anew (inodes of pipes and sockets, namespaces, open file descriptions) are
replaced by the order of their first appearance in the tree: who shares what with whom stays visible, the
number does not.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat as stat_bits
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import proc, syscalls
from .proc import Mapping, Stat

ASPECTS = (
    "processes",
    "threads",
    "ids",
    "signals",
    "limits",
    "scheduling",
    "files",
    "descriptors",
    "positions",
    "mappings",
)


class Fact(NamedTuple):
    """The name of one fact."""

    pid: int
    aspect: str  # one of ASPECTS
    subject: str  # "fd 3", "thread 14", "" for the process itself
    what: str  # "flags"


State = dict[Fact, str]


class Numbers:
    """Replaces the kernel's numbers by the order of their first appearance, per kind of object."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[object, int]] = {}

    def name(self, kind: str, identity: object) -> str:
        seen = self._seen.setdefault(kind, {})
        return f"{kind} #{seen.setdefault(identity, len(seen) + 1)}"


class Descriptor(NamedTuple):
    pid: int
    fd: int
    target: str


GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a thing that ended while we look


def capture(pids: Iterable[int]) -> State:
    """The state of these processes; what ends while it is read (process, thread, descriptor) is left out."""
    numbers = Numbers()
    state: State = {}
    descriptors: list[Descriptor] = []
    for pid in sorted(pids):
        with contextlib.suppress(*GONE):
            facts = dict(_process(pid, numbers))
            opened = dict(_descriptors(pid, numbers))
            state.update(facts)
            for descriptor, its_facts in opened.items():
                state.update(its_facts)
                descriptors.append(descriptor)
    state.update(_sharing(descriptors))
    return state


# ---- one process


def _process(pid: int, numbers: Numbers) -> Iterator[tuple[Fact, str]]:
    directory = proc.PROC / str(pid)
    stat = proc.parse_stat(_text(directory / "stat"))
    status = proc.parse_fields(_text(directory / "status"))
    yield from _facts(pid, "processes", "", _identity(stat))
    if stat.state == "Z":  # all that its parent can ever learn is its wait status and its owner
        yield from _facts(pid, "ids", "", {"owner": status["Uid"].split()[0]})
        return
    yield from _facts(pid, "processes", "", _command(directory))
    yield from _facts(pid, "processes", "namespace", _namespaces(directory, numbers))
    yield from _facts(pid, "limits", "", proc.parse_limits(_text(directory / "limits")))
    yield from _facts(pid, "limits", "", {"oom_score_adj": _text(directory / "oom_score_adj").strip()})
    yield from _facts(pid, "signals", "", {key: status[key] for key in ("ShdPnd", "SigIgn", "SigCgt")})
    yield from _facts(pid, "signals", "", {"timers": _timers(directory)})
    yield from _facts(pid, "files", "", _places(directory, status))
    mappings = proc.parse_smaps(_text(directory / "smaps"))
    yield from _facts(pid, "mappings", "", mapping_facts(mappings, numbers))
    for thread in sorted(int(name) for name in os.listdir(directory / "task")):
        with contextlib.suppress(*GONE):
            yield from list(_thread(pid, thread))


def _facts(pid: int, aspect: str, subject: str, values: dict[str, str]) -> Iterator[tuple[Fact, str]]:
    return ((Fact(pid, aspect, subject, what), value) for what, value in values.items())


def _identity(stat: Stat) -> dict[str, str]:
    """Of the run states only those count in which a task stays by itself."""
    state = {"Z": f"zombie with wait status {stat.exit_code}", "T": "stopped"}.get(stat.state, "alive")
    return {
        "state": state,
        "name": stat.comm,
        "parent": str(stat.parent),
        "group": str(stat.group),
        "session": str(stat.session),
        "terminal": str(stat.terminal),
    }


def _command(directory: Path) -> dict[str, str]:
    files = ("cmdline", "environ", "auxv", "personality", "cgroup", "loginuid")
    return {name: _bytes(directory / name) for name in files if (directory / name).exists()}


def _namespaces(directory: Path, numbers: Numbers) -> dict[str, str]:
    """Time namespaces are left out: a restore may need a new one for the clocks to go on."""
    names = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    found = {}
    for name in names:
        try:
            link = os.readlink(directory / "ns" / name)
        except (FileNotFoundError, PermissionError):
            continue
        ours = link == os.readlink(f"/proc/self/ns/{name}")
        found[name] = "the harness's" if ours else numbers.name(name, link)
    return found


def _timers(directory: Path) -> str:
    """POSIX timers; the lines hold what timer_create() was told, and not the time left."""
    try:
        return "; ".join(_text(directory / "timers").split("\n"))
    except FileNotFoundError:  # a kernel without CONFIG_CHECKPOINT_RESTORE
        return ""


def _places(directory: Path, status: dict[str, str]) -> dict[str, str]:
    links = {name: os.readlink(directory / name) for name in ("cwd", "root", "exe")}
    return {**links, "umask": status["Umask"]}


# ---- one thread


_IDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")


def _thread(pid: int, thread: int) -> Iterator[tuple[Fact, str]]:
    directory = proc.PROC / str(pid) / "task" / str(thread)
    stat = proc.parse_stat(_text(directory / "stat"))
    status = proc.parse_fields(_text(directory / "status"))
    subject = f"thread {thread}"
    scheduling = {"nice": stat.nice, "policy": stat.policy, "real-time priority": stat.rt_priority}
    yield from _facts(pid, "threads", subject, {"name": stat.comm})
    yield from _facts(pid, "ids", subject, {key: status[key] for key in _IDS if key in status})
    yield from _facts(pid, "signals", subject, {key: status[key] for key in ("SigPnd", "SigBlk")})
    yield from _facts(pid, "scheduling", subject, {key: str(value) for key, value in scheduling.items()})


# ---- memory


# The flags that a program asks for by mmap, mlock and madvise (proc_pid_smaps(5)); the others follow from the
# permissions, from the kind of memory, or, like soft-dirty, from what happened to it.
_ASKED_FLAGS = frozenset(("gd", "lo", "lf", "nr", "dc", "dd", "sr", "rr", "hg", "nh", "mg", "wf", "dp"))


def mapping_facts(mappings: Iterable[Mapping], numbers: Numbers) -> dict[str, str]:
    """Address range to a description of the mapping; neighbours that differ in nothing count as one.

    The kernel merges neighbours when it can and splits them when it must: the seams are no part of a state.
    """
    facts = {}
    for mapping in _merged(mappings):
        asked = " ".join(sorted(mapping.flags & _ASKED_FLAGS))
        words = mapping.permissions, _memory_object(mapping, numbers), asked
        facts[f"{mapping.start:x}-{mapping.end:x}"] = " ".join(word for word in words if word)
    return facts


def _merged(mappings: Iterable[Mapping]) -> Iterator[Mapping]:
    last: Mapping | None = None
    for mapping in mappings:
        if last and _continues(last, mapping):
            last = last._replace(end=mapping.end)
            continue
        if last:
            yield last
        last = mapping
    if last:
        yield last


def _continues(last: Mapping, mapping: Mapping) -> bool:
    follows = last._replace(start=last.end, end=mapping.end, flags=mapping.flags)
    if mapping.inode:
        follows = follows._replace(offset=last.offset + last.end - last.start)
    return follows == mapping and last.flags & _ASKED_FLAGS == mapping.flags & _ASKED_FLAGS


# What the kernel calls memory of MAP_SHARED | MAP_ANONYMOUS. A restore may make it with memfd_create(), whose
# name the kernel puts after /memfd: - both are nameless files of the same tmpfs.
_SHARED_ANONYMOUS = "/dev/zero (deleted)"


def _memory_object(mapping: Mapping, numbers: Numbers) -> str:
    if not mapping.inode:
        return mapping.name
    name = _SHARED_ANONYMOUS if mapping.name == f"/memfd:{_SHARED_ANONYMOUS}" else mapping.name
    if name.endswith(" (deleted)"):
        name += f" {numbers.name('object', (mapping.device, mapping.inode))}"
    return f"{name} at {mapping.offset:#x}"


# ---- descriptors


def _descriptors(pid: int, numbers: Numbers) -> Iterator[tuple[Descriptor, State]]:
    for fd in sorted(int(name) for name in os.listdir(proc.PROC / str(pid) / "fd")):
        with contextlib.suppress(*GONE):
            target = os.readlink(proc.PROC / str(pid) / "fd" / str(fd))
            yield Descriptor(pid, fd, target), _descriptor(pid, fd, target, numbers)


def _descriptor(pid: int, fd: int, target: str, numbers: Numbers) -> State:
    info = _text(proc.PROC / str(pid) / "fdinfo" / str(fd))
    status = os.stat(proc.PROC / str(pid) / "fd" / str(fd))
    facts = descriptor_facts(target, info, status, numbers)
    position = {"position": proc.parse_fields(info).get("pos", "")}
    subject = f"fd {fd}"
    return dict([*_facts(pid, "descriptors", subject, facts), *_facts(pid, "positions", subject, position)])


# Every kernel object of these is a new one after a restore.
_NUMBERED = re.compile(r"(pipe|socket):\[(\d+)\]")
# Numbers of the kernel, and the expiry of timers, which runs.
_INFO_LEFT_OUT = ("pos", "flags", "mnt_id", "ino", "it_value", "eventfd-id", "ticks", "scm_fds", "tty-index")


# Without effect in a 64-bit process; tells a pipe that was opened by a name from one that pipe() made.
_O_LARGEFILE = 0o100000


def descriptor_facts(target: str, info: str, status: os.stat_result, numbers: Numbers) -> dict[str, str]:
    """What fdinfo, the link and stat() tell about one descriptor."""
    if match := _NUMBERED.fullmatch(target):
        target = numbers.name(match[1], match[2])
    flags = int(proc.parse_fields(info).get("flags", "0"), 8) & ~_O_LARGEFILE
    facts = {"target": target, "flags": f"{flags:#o}", "mode": f"{status.st_mode:o}"}
    if stat_bits.S_ISREG(status.st_mode):
        facts["size"] = str(status.st_size)
        facts["links"] = str(status.st_nlink)
    if stat_bits.S_ISBLK(status.st_mode) or stat_bits.S_ISCHR(status.st_mode):
        facts["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    details = [line for line in info.splitlines() if line.partition(":")[0] not in _INFO_LEFT_OUT]
    if details:
        facts["details"] = "; ".join(_without_numbers(line) for line in details)
    return facts


def _without_numbers(line: str) -> str:
    """Lock, epoll and inotify lines name inodes and devices; the owner, the descriptor or the mask stays."""
    if line.startswith("lock:"):
        return " ".join(word for word in line.split()[2:] if word.count(":") != 2)
    return re.sub(r"\b(ino|sdev|pos|f_handle|ignored_mask):\s*[0-9a-f]+", r"\1", " ".join(line.split()))


def _sharing(descriptors: list[Descriptor]) -> Iterator[tuple[Fact, str]]:
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
    """Each descriptor with the first one that shares its open file; nothing when kcmp(2) is not to be had."""

    def order(one: Descriptor, other: Descriptor) -> int:
        return syscalls.kcmp_file(one.pid, one.fd, other.pid, other.fd)

    try:
        ranked = sorted(group, key=functools.cmp_to_key(order))
        same = [i > 0 and order(ranked[i - 1], ranked[i]) == 0 for i in range(len(ranked))]
    except OSError:
        return
    first = ranked[0]
    for descriptor, shares in zip(ranked, same, strict=True):
        first = first if shares else descriptor
        yield descriptor, first


# ---- files


def _text(path: Path) -> str:
    return path.read_text(errors="backslashreplace")


def _bytes(path: Path) -> str:
    """Contents in printable form; what we may not read is not compared."""
    try:
        return repr(path.read_bytes())[2:-1]
    except PermissionError:
        return "?"
