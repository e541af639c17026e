"""Inotify: watches by name and number, and a queue without the restore's own events."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from engine.errors import Refused
from engine.log import Log

from .stand_ins import Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="file handles are opened by root alone")
LIBC = ctypes.CDLL(None, use_errno=True)
IN_MODIFY, IN_CREATE, IN_ONESHOT = 0x2, 0x100, 0x80000000


@pytest.fixture
def instance() -> Iterator[int]:
    fd = LIBC.inotify_init1(os.O_NONBLOCK)
    yield fd
    os.close(fd)


def watch(instance: int, path: Path, mask: int) -> int:
    number = LIBC.inotify_add_watch(instance, os.fsencode(path), ctypes.c_uint32(mask))
    assert number > 0
    return int(number)


class Warnings(Log):
    """Keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def warning(self, text: str) -> None:
        self.texts.append(text)


def test_watches_have_their_numbers_again(tmp_path: Path, instance: int) -> None:
    (tmp_path / "a").mkdir()
    odd = tmp_path / os.fsdecode(b"odd \xff")
    odd.touch()
    gap = watch(instance, tmp_path, IN_CREATE)
    one, two = watch(instance, tmp_path / "a", IN_CREATE), watch(instance, odd, IN_MODIFY | IN_ONESHOT)
    LIBC.inotify_rm_watch(instance, gap)
    os.read(instance, 4096)  # IN_IGNORED
    (file,) = collect(Tree(), instance)
    assert {(w.wd, w.mask) for w in file.ify.wd} == {(one, IN_CREATE), (two, IN_MODIFY | IN_ONESHOT)}
    assert {w.i_ino for w in file.ify.wd} == {(tmp_path / "a").stat().st_ino, odd.stat().st_ino}
    tree = new_tree(tmp_path, [file], {10: {0: 1}})
    tree.opener.restore(tree.root)
    calls = [text.split(" = ", 1)[-1] for text in steps(tree, 10)]
    assert calls[:4] == [
        "inotify_init1(O_NONBLOCK) == 0",
        f"ioctl(r0, INOTIFY_IOC_SETNEXTWD, wd={one})",
        f'inotify_add_watch(r0, "{tmp_path}/a", mask=256) == {one}',
        f"ioctl(r0, INOTIFY_IOC_SETNEXTWD, wd={two})",
    ]
    assert calls[4].startswith("inotify_add_watch(r0, ") and calls[4].endswith(f"mask=0x80000002) == {two}")
    assert calls[-3].startswith("read(0, ") and calls[-2].startswith("repeat ")
    assert calls[-1] == "fcntl(0, F_SETFL, O_NONBLOCK)"


def test_events_that_wait_are_said_to_be_lost(tmp_path: Path, instance: int) -> None:
    watch(instance, tmp_path, IN_CREATE)
    (tmp_path / "new").touch()
    log = Warnings()
    collect(Tree(log=log), instance)
    assert len(log.texts) == 1 and "bytes of events that nobody has read yet are lost" in log.texts[0]


def test_what_has_no_name_any_more_is_refused(tmp_path: Path, instance: int) -> None:
    held = os.open(tmp_path / "gone", os.O_CREAT | os.O_RDWR)
    number = (tmp_path / "gone").stat().st_ino
    watch(instance, tmp_path / "gone", IN_MODIFY)
    (tmp_path / "gone").unlink()
    tree = Tree()
    collect(tree, instance)
    os.close(held)
    (obstacle,) = tree.obstacles
    assert f"it watches inode {number} of device" in obstacle.reason and "remove the watch" in obstacle.remedy


def test_what_is_not_there_is_refused_before_anything_starts(tmp_path: Path, instance: int) -> None:
    (tmp_path / "file").touch()
    watch(instance, tmp_path / "file", IN_MODIFY)
    (file,) = collect(Tree(), instance)
    (tmp_path / "file").unlink()
    with pytest.raises(Refused, match="file, which it watches, is not there"):
        new_tree(tmp_path, [file], {10: {0: 1}})


def test_an_image_without_names_is_read_by_its_handles(tmp_path: Path, instance: int) -> None:
    (tmp_path / "file").touch()
    number = watch(instance, tmp_path / "file", IN_MODIFY)
    (file,) = collect(Tree(), instance)
    file.ify.wd[0].f_handle.ClearField("path")
    tree = new_tree(tmp_path, [file], {10: {0: 1}})
    tree.opener.restore(tree.root)
    assert f'inotify_add_watch(r0, "{tmp_path}/file", mask=2) == {number}' in " ".join(steps(tree, 10))
