"""What an engine could leave behind outside the processes of a run: mounts, control groups, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class World(NamedTuple):
    """What was there at one moment."""

    mounts: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]


def survey(directories: Iterable[Path]) -> World:
    """The mounts of this namespace, the control groups, and the files below some directories."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    roots = [words[4] for words in mounts if words[words.index("-") + 1] in ("cgroup", "cgroup2")]
    return World(
        mounts=frozenset(f"{words[4]} ({words[words.index('-') + 1]})" for words in mounts),
        cgroups=frozenset(path for root in roots for path in _directories(root)),
        files=frozenset(path for directory in directories for path in _files(directory)),
    )


def new_things(before: World, after: World) -> list[str]:
    """In words: what there is after that was not there before."""
    return [
        *(f"the mount {each} stayed" for each in sorted(after.mounts - before.mounts)),
        *(f"the control group {each} stayed" for each in sorted(after.cgroups - before.cgroups)),
        *(f"the file {each} stayed" for each in sorted(after.files - before.files)),
    ]


def _directories(root: str) -> Iterator[str]:
    return (path for path, _, _ in os.walk(root))


def _files(root: Path) -> Iterator[str]:
    for path, directories, files in os.walk(root):
        yield from (os.path.join(path, name) for name in (*directories, *files))
