"""What an engine could leave behind outside the processes of a run: mounts, control groups, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .facts import text_of


class Mount(NamedTuple):
    """Known by its number: another one at the same place is another one, and its place may be renamed."""

    number: int
    point: str
    kind: str


class World(NamedTuple):
    """What was there at one moment."""

    mounts: frozenset[Mount]
    cgroups: frozenset[str]
    files: frozenset[str]


def survey(directories: Iterable[Path]) -> World:
    """The mounts of this namespace, the control groups, and the files below some directories."""
    mounts = [_mount(line) for line in text_of(Path("/proc/self/mountinfo")).split("\n") if line]
    roots = [mount.point for mount in mounts if mount.kind in ("cgroup", "cgroup2")]
    return World(
        mounts=frozenset(mounts),
        cgroups=frozenset(path for root in roots for path in _directories(root)),
        files=frozenset(path for directory in directories for path in _files(directory)),
    )


def _mount(line: str) -> Mount:
    words = line.split()
    return Mount(int(words[0]), words[4], words[words.index("-") + 1])


def new_things(before: World, after: World) -> list[str]:
    """In words: what there is after that was not there before."""
    known = {mount.number for mount in before.mounts}
    mounts = sorted(mount for mount in after.mounts if mount.number not in known)
    return [
        *(f"the mount {each.point} ({each.kind}) stayed" for each in mounts),
        *(f"the control group {each} stayed" for each in sorted(after.cgroups - before.cgroups)),
        *(f"the file {each} stayed" for each in sorted(after.files - before.files)),
    ]


def _directories(root: str) -> Iterator[str]:
    return (path for path, _, _ in os.walk(root))


def _files(root: Path) -> Iterator[str]:
    for path, directories, files in os.walk(root):
        yield from (os.path.join(path, name) for name in (*directories, *files))
