"""What can be seen of a process tree from outside: read before a dump, and again after the restore.

This referees the engine, hence shares no code with it and takes nothing from it on trust.

Numbers that the kernel gives out anew (inodes of pipes and sockets, namespaces, open file descriptions) are
replaced by the order of their first appearance in the tree: who shares what with whom stays visible, the
number does not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import proc
from .descriptors import Descriptor, descriptors_of, sharing_facts
from .facts import GONE, Fact, Numbers, State, bytes_of, facts_of, text_of
from .memory import mapping_facts
from .proc import Stat


def capture(pids: Iterable[int]) -> State:
    """The state of these processes; what ends while it is read (process, thread, descriptor) is left out."""
    numbers = Numbers()
    state: State = {}
    descriptors: list[Descriptor] = []
    for pid in sorted(pids):
        with contextlib.suppress(*GONE):
            facts = dict(_process(pid, numbers))
            opened = dict(descriptors_of(pid, numbers))
            state.update(facts)
            for descriptor, its_facts in opened.items():
                state.update(its_facts)
                descriptors.append(descriptor)
    state.update(sharing_facts(descriptors))
    return state


# ---- one process


def _process(pid: int, numbers: Numbers) -> Iterator[tuple[Fact, str]]:
    directory = proc.PROC / str(pid)
    stat = proc.parse_stat(text_of(directory / "stat"))
    status = proc.parse_fields(text_of(directory / "status"))
    yield from facts_of(pid, "processes", "", _identity(stat))
    if stat.state == "Z":  # all that its parent can ever learn is its wait status and its owner
        yield from facts_of(pid, "ids", "", {"owner": status["Uid"].split()[0]})
        return
    yield from facts_of(pid, "processes", "", _command(directory))
    yield from facts_of(pid, "cgroups", "", {"control groups": text_of(directory / "cgroup").strip()})
    yield from facts_of(pid, "processes", "namespace", _namespaces(directory, numbers))
    yield from facts_of(pid, "limits", "", proc.parse_limits(text_of(directory / "limits")))
    yield from facts_of(pid, "limits", "", {"oom_score_adj": text_of(directory / "oom_score_adj").strip()})
    yield from facts_of(pid, "signals", "", {key: status[key] for key in ("ShdPnd", "SigIgn", "SigCgt")})
    yield from facts_of(pid, "signals", "", {"timers": _timers(directory)})
    yield from facts_of(pid, "files", "", _places(directory, status))
    mappings = proc.parse_smaps(text_of(directory / "smaps"))
    yield from facts_of(pid, "mappings", "", mapping_facts(mappings, numbers))
    for thread in sorted(int(name) for name in os.listdir(directory / "task")):
        with contextlib.suppress(*GONE):
            yield from list(_thread(pid, thread))


def _identity(stat: Stat) -> dict[str, str]:
    """Of the run states only those count in which a task stays by itself."""
    staying = {"Z": f"zombie with wait status {stat.exit_code}", "T": "stopped", "t": "traced"}
    return {
        "state": staying.get(stat.state, "alive"),
        "name": stat.comm,
        "parent": str(stat.parent),
        "group": str(stat.group),
        "session": str(stat.session),
        "terminal": str(stat.terminal),
    }


def _command(directory: Path) -> dict[str, str]:
    files = ("cmdline", "environ", "auxv", "personality", "loginuid")
    return {name: bytes_of(directory / name) for name in files if (directory / name).exists()}


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
    """POSIX timers; the lines hold what timer_create() was told, and not the time left. In what order the kernel lists
    them depends on when they were made."""
    try:
        timers = ("\n" + text_of(directory / "timers").strip()).split("\nID: ")[1:]
        return "; ".join(sorted(timer.replace("\n", ", ") for timer in timers))
    except FileNotFoundError:  # a kernel without CONFIG_CHECKPOINT_RESTORE
        return ""


def _places(directory: Path, status: dict[str, str]) -> dict[str, str]:
    links = {name: os.readlink(directory / name) for name in ("cwd", "root", "exe")}
    return {**links, "umask": status["Umask"]}


# ---- one thread


_IDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
        "Seccomp_filters")  # fmt: skip


def _thread(pid: int, thread: int) -> Iterator[tuple[Fact, str]]:
    directory = proc.PROC / str(pid) / "task" / str(thread)
    stat = proc.parse_stat(text_of(directory / "stat"))
    status = proc.parse_fields(text_of(directory / "status"))
    subject = f"thread {thread}"
    scheduling = {"nice": stat.nice, "policy": stat.policy, "real-time priority": stat.rt_priority}
    yield from facts_of(pid, "threads", subject, {"name": stat.comm})
    yield from facts_of(pid, "ids", subject, {key: status[key] for key in _IDS if key in status})
    yield from facts_of(pid, "signals", subject, {key: status[key] for key in ("SigPnd", "SigBlk")})
    yield from facts_of(pid, "scheduling", subject, {key: str(value) for key, value in scheduling.items()})
