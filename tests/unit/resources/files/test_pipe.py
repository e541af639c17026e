"""Pipes: reading without taking, and what a plan makes of it."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

import pytest

from engine.abi.fcntl import F_SETPIPE_SZ
from engine.errors import ImageError, Refused
from engine.images import pb
from engine.resources.files import pipe

from .stand_ins import NOBODY, Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from pathlib import Path

PACKETS = "pipes in packet mode (O_DIRECT) are not supported"
READ, WRITE = os.O_RDONLY, os.O_WRONLY


def end(ident: int, flags: int, pipe_id: int = 7) -> pb.file_entry:
    entry = pb.pipe_entry(id=ident, pipe_id=pipe_id, flags=flags, fown=NOBODY)
    return pb.file_entry(type=2, id=ident, pipe=entry)


def planned(
    directory: Path, files: list[pb.file_entry], size: int = 65536, data: bytes = b"", **owner: int
) -> list[str]:
    """The calls that make a pipe for the first of two processes."""
    tree = new_tree(directory, files, {10: {file.id: file.id for file in files}})
    saved = pb.pipe_data_entry(pipe_id=7, bytes=len(data), size=size, **owner)
    tree.images.write("PIPES_DATA", None, [(saved, data)])
    tree.opener.share(tree.root)
    tree.opener.restore(tree.root)
    return steps(tree, 10)


@pytest.mark.parametrize(("size", "length"), [(65536, 0), (65536, 1), (65536, 65536), (4096, 4096), (1 << 20, 999_999)])
def test_contents_are_read_and_stay(size: int, length: int) -> None:
    tree, content = Tree(), os.urandom(length)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, size)
    os.write(writer, content)
    files = collect(tree, reader, writer)
    pipe.write(tree, tree.registry.found[pipe.TYPE])  # type: ignore[arg-type]
    os.close(writer)
    left = b"".join(iter(lambda: os.read(reader, 1 << 20), b""))
    os.close(reader)
    ((entry, payload),) = tree.images.files["PIPES_DATA", None]
    assert (entry.size, entry.bytes, payload) == (size, length, content)
    assert left == content
    assert [file.pipe.pipe_id for file in files] == [entry.pipe_id] * 2


def test_many_small_pieces() -> None:
    tree = Tree()
    reader, writer = os.pipe2(os.O_NONBLOCK)
    for i in range(10):
        os.write(writer, bytes([i]) * (i * 300 + 1))
    collect(tree, reader, writer)
    pipe.write(tree, tree.registry.found[pipe.TYPE])  # type: ignore[arg-type]
    ((_, payload),) = tree.images.files["PIPES_DATA", None]
    assert payload == b"".join(bytes([i]) * (i * 300 + 1) for i in range(10))
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("side", [0, 1])
def test_an_end_that_somebody_else_holds_is_refused(side: int) -> None:
    ends, tree = os.pipe(), Tree()
    collect(tree, ends[side])
    (obstacle,) = tree.obstacles
    assert obstacle.reason == "its other end is held by a process outside of the tree"
    os.close(ends[1 - side])
    tree = Tree()
    collect(tree, ends[side])
    assert tree.obstacles == []
    os.close(ends[side])


def test_packet_mode_is_refused() -> None:
    ends, tree = os.pipe2(os.O_DIRECT), Tree()
    collect(tree, *ends)
    (obstacle,) = tree.obstacles  # the mode is the writer's
    assert obstacle == (f"fd {ends[1]} (pipe:[{os.fstat(ends[1]).st_ino}])", PACKETS, "")
    for fd in ends:
        os.close(fd)


@pytest.mark.parametrize("packets", [[b"abc"], [b"a", b"b", b"c"], [b"abc", b"defg"]])
def test_packets_are_refused_when_the_mode_is_over_too(packets: list[bytes]) -> None:
    ends, tree = os.pipe2(os.O_DIRECT), Tree()
    for packet in packets:
        os.write(ends[1], packet)
    fcntl.fcntl(ends[1], fcntl.F_SETFL, 0)
    collect(tree, *ends)
    with pytest.raises(Refused, match="packets are in it"):
        pipe.write(tree, tree.registry.found[pipe.TYPE])  # type: ignore[arg-type]
    for fd in ends:
        os.close(fd)


def test_both_ends_with_contents(tmp_path: Path) -> None:
    calls = planned(tmp_path, [end(1, READ), end(2, WRITE | os.O_NONBLOCK)], 4096, b"hello")
    assert calls[:7] == [
        "r0 = pipe2(&5, O_NONBLOCK)",
        "r1 = load32(&5{8 bytes})",
        "r2 = load32(&5{4 bytes})",
        "r3 = fcntl(r2, F_SETPIPE_SZ, size=0x1000) == 0x1000",
        "r4 = full write(r2, &6{68656c6c6f}, length=5)",
        "r5 = fcntl(r1, F_SETFL, 0)",
        "r6 = fcntl(r2, F_SETFL, O_NONBLOCK)",
    ]


def test_the_owner_is_noted() -> None:
    ends, tree = os.pipe(), Tree()
    os.fchmod(ends[0], 0o604)
    collect(tree, *ends)
    pipe.write(tree, tree.registry.found[pipe.TYPE])  # type: ignore[arg-type]
    ((entry, _),) = tree.images.files["PIPES_DATA", None]
    assert (entry.uid, entry.gid, entry.mode) == (os.geteuid(), os.getegid(), stat.S_IFIFO | 0o604)
    for fd in ends:
        os.close(fd)


def test_a_pipe_is_given_to_its_owner(tmp_path: Path) -> None:
    calls = planned(tmp_path, [end(1, READ)], uid=1000, gid=100, mode=stat.S_IFIFO | 0o640)
    found = [text.split(" = ")[1] for text in calls if "fch" in text]
    assert found == ["fchown(r1, uid=0x3e8, gid=100)", "fchmod(r1, 0o640)"]


def test_a_pipe_like_any_new_one_is_left_as_it_is(tmp_path: Path) -> None:
    owner = {"uid": os.geteuid(), "gid": os.getegid(), "mode": stat.S_IFIFO | 0o600}
    assert not [text for text in planned(tmp_path, [end(1, READ)], **owner) if "fch" in text]


def test_a_reader_alone_gets_its_data_and_then_the_end(tmp_path: Path) -> None:
    calls = planned(tmp_path, [end(1, READ)], data=b"hello")
    writing = next(i for i, text in enumerate(calls) if "write" in text)
    assert any("close(" in text for text in calls[writing:])


def test_further_descriptions_are_opened_through_proc(tmp_path: Path) -> None:
    calls = planned(tmp_path, [end(1, READ), end(2, READ | os.O_NONBLOCK), end(3, os.O_RDWR)])
    opened = [text for text in calls if "/proc/self/fd/" in text]
    assert len(opened) == 2
    assert "O_NONBLOCK" in opened[0]
    assert "O_RDWR" in opened[1]


def test_more_contents_than_room_is_a_damaged_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="pipe 7 holds more than its 4096 bytes"):
        planned(tmp_path, [end(1, READ)], size=4096, data=b"x" * 4097)
