"""/proc/PID/mountinfo and cgroup (proc_pid_mountinfo(5), cgroups(7))."""

from __future__ import annotations

import os

from engine.tuples import NamedTuple

_OCTAL = frozenset("01234567")


class Mount(NamedTuple):
    """One mount, as its namespace shows it."""

    id: int
    parent: int
    device: int  # as in st_dev
    root: str  # the directory of the file system that is mounted; "//deleted" at its end: it is gone
    point: str  # where, below the reader's root
    options: str  # of this mount: "rw,nosuid"
    tags: dict[str, int]  # shared, master, propagate_from: peer groups; unbindable: 1
    fstype: str
    source: str
    super_options: str  # of the file system


class Cgroup(NamedTuple):
    """One line of /proc/PID/cgroup. Version 2 has hierarchy 0 and no controllers."""

    hierarchy: int
    controllers: tuple[str, ...]  # "cpu", "name=systemd"
    path: str


def parse_mountinfo(raw: bytes) -> list[Mount]:
    """The whole text."""
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    return [_parse_mount(line) for line in lines if line]


def _parse_mount(line: str) -> Mount:
    words = line.split(" ")  # not on runs of blanks: an empty source leaves nothing between two of them
    mnt_id, parent, device, root, point, options = words[:6]
    dash = words.index("-", 6)
    tags = dict(_parse_tag(word) for word in words[6:dash])
    fstype, source, super_options = words[dash + 1 : dash + 4]
    major, _, minor = device.partition(":")
    return Mount(
        int(mnt_id),
        int(parent),
        os.makedev(int(major), int(minor)),
        unescape(root),
        unescape(point),
        options,
        tags,
        unescape(fstype),
        unescape(source),
        unescape(super_options),
    )


def _parse_tag(word: str) -> tuple[str, int]:
    name, colon, number = word.partition(":")
    return name, int(number) if colon else 1


def unescape(text: str) -> str:
    """Undoes the kernel's octal escapes (`\\040` is a blank), of which the backslash itself is one."""
    first, *rest = text.split("\\")
    return first + "".join(_character(piece) for piece in rest)


def _character(piece: str) -> str:
    """What stood behind a backslash: three octal digits (fs/seq_file.c, mangle_path); kernels write nothing else."""
    digits = piece[:3]
    return chr(int(digits, 8)) + piece[3:] if len(digits) == 3 and set(digits) <= _OCTAL else "\\" + piece


def parse_cgroup(raw: bytes) -> list[Cgroup]:
    """The whole text. A path may end in " (deleted)"."""
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    rows = (line.split(":", 2) for line in lines if line)
    return [Cgroup(int(h), tuple(c.split(",")) if c else (), path) for h, c, path in rows]
