"""Facts: what the state of a process tree consists of.

A fact is one word or number about one thing of one process, so two states are compared entry by entry and a
difference names itself: `pid 12 fd 3: flags was 02, is 0102`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
    "cgroups",
)


class Fact(NamedTuple):
    """The name of one fact."""

    pid: int
    aspect: str  # one of ASPECTS
    subject: str  # "fd 3", "thread 14", "" for the process itself
    what: str  # "flags"


State = dict[Fact, str]

GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a thing that ended while we look


class Numbers:
    """Replaces the kernel's numbers by the order of their first appearance, per kind of object."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[object, int]] = {}

    def name(self, kind: str, identity: object) -> str:
        seen = self._seen.setdefault(kind, {})
        return f"{kind} #{seen.setdefault(identity, len(seen) + 1)}"


def facts_of(pid: int, aspect: str, subject: str, values: dict[str, str]) -> Iterator[tuple[Fact, str]]:
    """Facts about one thing."""
    return ((Fact(pid, aspect, subject, what), value) for what, value in values.items())


def text_of(path: Path) -> str:
    """The contents, line ends as they are: a name may hold a carriage return."""
    return path.read_bytes().decode(errors="backslashreplace")


def bytes_of(path: Path) -> str:
    """Contents in printable form; what we may not read is not compared."""
    try:
        return repr(path.read_bytes())[2:-1]
    except PermissionError:
        return "?"
