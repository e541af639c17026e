"""Who shares a description, and what is refused."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
from pathlib import Path

import pytest

from engine.kernel import calls

from .stand_ins import Tree, collect


def test_duplicates_share_a_description_and_two_openings_do_not(tmp_path: Path) -> None:
    first, second = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    third = os.dup(first)
    try:
        ids = [file.id for file in collect(Tree(), first, second, third)]
    finally:
        for fd in (first, second, third):
            os.close(fd)
    assert ids == [1, 2, 1]


def test_questions_to_the_kernel_grow_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 descriptions that look the same from outside: each is found among the others in at most seven steps."""
    asked, kcmp = [], calls.kcmp
    monkeypatch.setattr(calls, "kcmp", lambda *args: asked.append(args) or kcmp(*args))  # type: ignore[func-returns-value]
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(128)]
    try:
        files = collect(Tree(), *opened)
    finally:
        for fd in opened:
            os.close(fd)
    assert len({file.id for file in files}) == 128
    assert len(asked) <= 128 * 7


def test_what_is_not_supported_is_refused_by_name(tmp_path: Path) -> None:
    tree, end = Tree(), socket.socket()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    named, locked = os.open(fifo, os.O_RDWR), os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    fcntl.flock(locked, fcntl.LOCK_EX)
    try:
        collect(tree, end.fileno(), named, locked)
    finally:
        end.close()
        os.close(named)
        os.close(locked)
    reasons = [obstacle.reason for obstacle in tree.obstacles]
    assert reasons == ["sockets are not supported", "named pipes are not supported",
                       "it holds file locks, which are not supported"]  # fmt: skip
    assert tree.obstacles[1].subject == f"fd {named} ({fifo})"


def test_what_was_expected_serves_while_it_is_the_same(tmp_path: Path) -> None:
    """Described before the freeze: what nothing changed is not described again, anything else is."""
    names = [tmp_path / name for name in ("same", "moved", "grown", "renamed", "removed", "locked", "other")]
    for name in names:
        name.write_bytes(b"content")
    opened = [os.open(name, os.O_RDWR) for name in names]
    tree = Tree(file_locks=False)
    try:
        tree.registry.expect(tree.tasks[0])  # type: ignore[arg-type]
        expected = [file.reg.name for file in tree.registry._expected.values()]
        assert {str(name) for name in names} <= set(expected)
        os.lseek(opened[1], 3, os.SEEK_SET)
        os.truncate(names[2], 100)
        names[3].rename(tmp_path / "name")
        names[4].unlink()
        fcntl.flock(opened[5], fcntl.LOCK_EX)
        os.dup2(opened[0], opened[6])
        files = collect(tree, *opened)
    finally:
        for fd in opened:
            os.close(fd)
    assert [(f.reg.name.rpartition("/")[2], f.reg.pos, f.reg.size) for f in files] == [
        ("same", 0, 7), ("moved", 3, 7), ("grown", 0, 100), ("name", 0, 7), ("removed", 0, 7), ("locked", 0, 7),
        ("same", 0, 7),
    ]  # fmt: skip
    assert [file.id for file in files] == [1, 2, 3, 4, 5, 6, 1] == [file.reg.id for file in files]
    assert [o.reason for o in tree.obstacles] == ["it holds file locks, which are not supported"]
    assert [file.id for file in tree.registry.files] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("change", ["grow", "chmod", "replace", "remove"])
def test_files_that_were_described_by_name_before_are_looked_at_again(tmp_path: Path, change: str) -> None:
    name = tmp_path / "mapped"
    name.write_bytes(bytes(4096))
    with open(name, "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE):
        lines = Path("/proc/self/maps").read_text().splitlines()
        span = next(line.split()[0] for line in lines if str(name) in line)
        start, end = (int(word, 16) for word in span.split("-"))
        tree = Tree()

        def ident() -> int:
            return tree.registry.path_id(tree.tasks[0], f"map_files/{start:x}-{end:x}", os.O_RDONLY, "it")  # type: ignore[arg-type]

        before = ident()
        assert tree.registry.is_still_true() and ident() == before
        if change == "grow":
            name.write_bytes(bytes(5000))
        elif change == "chmod":
            name.chmod(0o755)
        else:
            name.unlink()
            if change == "replace":
                name.write_bytes(bytes(4096))
        assert not tree.registry.is_still_true()
        if change in ("grow", "chmod"):
            now = ident()
            assert now != before
            assert (tree.registry.files[-1].reg.size, tree.registry.files[-1].id) == (name.stat().st_size, now)
