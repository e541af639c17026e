"""What is read about descriptors, held against what the kernel says of our own."""

from __future__ import annotations

import fcntl
import os
import select
from typing import TYPE_CHECKING

from engine.abi.fcntl import F_SETSIG
from engine.resources.files.descriptor import descriptors

from .stand_ins import Tree, describe

if TYPE_CHECKING:
    from pathlib import Path


def test_facts_are_those_of_fstat_and_fdinfo(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        os.lseek(fd, 4711, os.SEEK_SET)
        seen, facts = describe(Tree(), fd), os.fstat(fd)
    finally:
        os.close(fd)
    assert (seen.dev, seen.ino, seen.mode, seen.nlink) == (facts.st_dev, facts.st_ino, facts.st_mode, 1)
    assert (seen.uid, seen.gid, seen.size, seen.blocks) == (facts.st_uid, facts.st_gid, 5000, facts.st_blocks)
    assert (seen.link, seen.pos, seen.named, seen.owner, seen.signal) == (str(path), 4711, 0, 0, 0)
    assert seen.flags & ~0o100000 == os.O_RDWR | os.O_APPEND
    assert seen.raw_flags & os.O_CLOEXEC


def test_every_descriptor_is_found_also_by_two_threads(tmp_path: Path) -> None:
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(100)]
    try:
        found = {d.number: d.link for d in descriptors(Tree().tasks[0])}  # type: ignore[arg-type]
    finally:
        for fd in opened:
            os.close(fd)
    assert [found[fd] for fd in opened] == [str(tmp_path)] * 100


def test_text_of_any_length(tmp_path: Path) -> None:
    """An epoll instance with a line for each of 2000 targets, more than there is room for at first."""
    ends, epoll = os.pipe(), select.epoll()
    copies = [os.dup(ends[0]) for _ in range(2000)]
    for fd in copies:
        epoll.register(fd)
    for fd in copies:  # the targets stay as long as one number leads to them
        os.close(fd)
    text = describe(Tree(), epoll.fileno()).text
    epoll.close()
    for fd in ends:
        os.close(fd)
    assert text.count("tfd:") == 2000


def test_names_that_lead_elsewhere_or_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    fd = os.open(path, os.O_RDONLY)
    try:
        path.unlink()
        assert describe(Tree(), fd).named < 0
        (tmp_path / "file (deleted)").touch()
        assert describe(Tree(), fd).named == 1
    finally:
        os.close(fd)


def test_owners_and_locks_are_seen(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    path = tmp_path / "file"
    locked = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.fcntl(reader, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(writer, F_SETSIG, 10)
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert describe(Tree(), reader).owner == os.getpid()
        assert describe(Tree(), writer).signal == 10
        assert describe(Tree(), locked).info.locks[0].split()[1] == "FLOCK"
    finally:
        for fd in (reader, writer, locked):
            os.close(fd)


def test_path_descriptors_can_be_read(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    fd = os.open(link, os.O_PATH | os.O_NOFOLLOW)
    try:
        seen = describe(Tree(), fd)
    finally:
        os.close(fd)
    assert (seen.link, seen.named, seen.size) == (str(link), 0, len("nowhere"))
