"""Parsers of /proc files: text in, plain values out. Our own, because the harness referees the engine.

Lines end with a newline and with nothing else, as str.splitlines() would have it: names may hold the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that a state consists of (proc_pid_stat(5))."""

    comm: str
    state: str
    parent: int
    group: int
    session: int
    terminal: int  # device number, 0 = none
    nice: int
    rt_priority: int
    policy: int
    exit_code: int  # wait status; readable with PTRACE_MODE_READ, else 0


class Mapping(NamedTuple):
    """One mapping of /proc/PID/smaps."""

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    inode: int
    name: str
    flags: frozenset[str]  # VmFlags


def parse_stat(text: str) -> Stat:
    """`comm` may hold blanks and parentheses: it ends at the last one."""
    head, tail = text.rstrip().rsplit(")", 1)
    words = tail.split()
    numbers = [int(word) for word in words[1:]]
    return Stat(
        comm=head.split("(", 1)[1],
        state=words[0],
        parent=numbers[0],
        group=numbers[1],
        session=numbers[2],
        terminal=numbers[3],
        nice=numbers[15],
        rt_priority=numbers[36],
        policy=numbers[37],
        exit_code=numbers[48],
    )


def parse_fields(text: str) -> dict[str, str]:
    """`Name:\\tvalue` lines of status and fdinfo; a name that comes again keeps its first value."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name, " ".join(value.split()))
    return fields


_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)")


def parse_smaps(text: str) -> Iterator[Mapping]:
    """Mappings in the order of their addresses; without VmFlags lines, as in `maps`, without flags."""
    head: re.Match[str] | None = None
    flags: frozenset[str] = frozenset()
    for line in text.split("\n"):
        if line.startswith("VmFlags:"):
            flags = frozenset(line.split()[1:])
        elif match := _HEAD.fullmatch(line):
            if head:
                yield _mapping(head, flags)
            head, flags = match, frozenset()
    if head:
        yield _mapping(head, flags)


def _mapping(head: re.Match[str], flags: frozenset[str]) -> Mapping:
    start, end, permissions, offset, device, inode, name = head.groups()
    bounds = int(start, 16), int(end, 16)
    return Mapping(*bounds, permissions, int(offset, 16), device, int(inode), name, flags)


def parse_limits(text: str) -> dict[str, str]:
    """/proc/PID/limits: name to `soft hard`. Columns touch when a number has all of its twenty digits."""
    lines = [line for line in text.split("\n")[1:] if line]
    return {line[:26].strip(): f"{line[26:47].strip()} {line[47:68].strip()}" for line in lines}


def read_stat(pid: int) -> Stat:
    """Raises FileNotFoundError or ProcessLookupError when the process is gone."""
    return parse_stat((PROC / str(pid) / "stat").read_text(errors="replace"))


def processes() -> Iterator[tuple[int, Stat]]:
    """Every process of this pid namespace, zombies included."""
    for directory in PROC.iterdir():
        if directory.name.isdigit():
            try:
                yield int(directory.name), read_stat(int(directory.name))
            except (FileNotFoundError, ProcessLookupError):
                continue


def parents() -> dict[int, int]:
    """Every process of this pid namespace and its parent."""
    return {pid: stat.parent for pid, stat in processes()}


def descendants(ancestor: int) -> list[int]:
    """Pids of all children, grandchildren, … of a process, parents first; zombies included."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(ancestor, []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found
