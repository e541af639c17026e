"""Files by name: what is saved, what is compared, how they are opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Refused
from engine.images import pb

from .stand_ins import Tree, collect, new_tree, steps

ROWS = ("F06", "F14", "F18")


def saved(path: Path, flags: int, position: int = 0) -> pb.file_entry:
    """The entry that a dump writes about a file that is open with these flags."""
    fd = os.open(path, flags)
    try:
        os.lseek(fd, position, os.SEEK_SET)
        (file,) = collect(Tree(), fd)
    finally:
        os.close(fd)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some file"
    path.write_bytes(b"x" * 100)
    path.chmod(0o640)
    return path


def restored(directory: Path, entry: pb.file_entry, **options: Any) -> list[str]:
    tree = new_tree(directory, [entry], {10: {0: entry.id}}, **options)
    tree.opener.restore(tree.root)
    return steps(tree, 10)


def test_name_flags_and_position_come_back(file: Path, tmp_path: Path) -> None:
    entry = saved(file, os.O_RDWR | os.O_APPEND | os.O_NOATIME, 1000)
    assert (entry.reg.name, entry.reg.pos, entry.reg.size, entry.reg.mode) == (str(file), 1000, 100, 0o100640)
    opened, moved = restored(tmp_path, entry)[:2]
    assert opened.startswith(f'r0 = openat(AT_FDCWD, "{str(file)[:40]}')  # the listing cuts long names short
    assert "O_RDWR|O_APPEND|" in opened
    assert "O_NOATIME" in opened
    assert opened.endswith("== 0")
    assert moved == "r1 = lseek(r0, offset=0x3e8, SEEK_SET) == 0x3e8"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p.unlink(), "cannot be opened: No such file or directory"),
        (lambda p: p.write_bytes(b"longer" * 100), "its size changed: it was 100, now it is 600 bytes"),
        (lambda p: p.chmod(0o600), "its mode changed: it was 0640, now it is 0600"),
        (lambda p: (p.unlink(), p.mkdir(0o640)), "it is of another kind: it was -rw-r-----, now it is drw-r-----"),
    ],
)
def test_another_file_is_refused(file: Path, tmp_path: Path, change: Any, reason: str) -> None:
    entry = saved(file, os.O_RDONLY)
    change(file)
    with pytest.raises(Refused) as refusal:
        restored(tmp_path, entry)
    (obstacle,) = refusal.value.obstacles
    assert (obstacle.subject, obstacle.reason) == (f"file {file}", reason)
    assert obstacle.remedy


def test_modes_need_not_be_compared(file: Path, tmp_path: Path) -> None:
    entry = saved(file, os.O_RDONLY)
    file.chmod(0o600)
    assert restored(tmp_path, entry, skip_file_rwx_check=True)


def test_what_is_only_appended_to_may_have_grown(file: Path, tmp_path: Path) -> None:
    entry = saved(file, os.O_WRONLY | os.O_APPEND)
    file.write_bytes(b"longer" * 100)
    assert restored(tmp_path, entry)


def test_code_is_compared_by_its_build_id(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    entry = saved(program, os.O_RDONLY)
    assert len(entry.reg.build_id) == 5
    assert restored(tmp_path, entry)
    entry.reg.build_id[0] ^= 1
    with pytest.raises(Refused, match="its build id changed"):
        restored(tmp_path, entry)
    assert restored(tmp_path, entry, file_validation="filesize")


def test_a_file_under_another_name_only_is_refused(file: Path) -> None:
    tree, fd = Tree(), os.open(file, os.O_RDONLY)
    try:
        file.rename(file.parent / "other")
        os.link(file.parent / "other", file.parent / "third")
        (file.parent / "other").unlink()
        collect(tree, fd)
    finally:
        os.close(fd)
    (obstacle,) = tree.obstacles
    assert "its name was removed, but it has 1 others" in obstacle.reason
    assert "--link-remap" in obstacle.remedy


def test_a_name_that_ends_like_a_deleted_one(tmp_path: Path) -> None:
    path = tmp_path / "a (deleted)"
    path.touch()
    assert saved(path, os.O_RDONLY).reg.name == str(path)


def test_files_of_proc_about_a_process_are_refused() -> None:
    tree, fd = Tree(), os.open("/proc/self/status", os.O_RDONLY)
    try:
        collect(tree, fd)
    finally:
        os.close(fd)
    assert [o.reason for o in tree.obstacles] == ["files of /proc about a process are not supported"]


@pytest.mark.parametrize("name", ["", "relative", "/a\0b"])
def test_names_that_no_file_has_are_refused(tmp_path: Path, file: Path, name: str) -> None:
    entry = saved(file, os.O_RDONLY)
    entry.reg.name = name
    with pytest.raises(Refused, match="its name is no absolute path"):
        restored(tmp_path, entry)
