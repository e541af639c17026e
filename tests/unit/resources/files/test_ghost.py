"""Files without a name: saved, made again, and gone from the directory in both."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from engine.errors import ImageError
from engine.images import pb
from engine.images.directory import ImageDir
from engine.resources.files import ghost

from .stand_ins import Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from pathlib import Path

ROWS = ("F11", "F12", "F13", "F16", "F17")
TIMES = (1_000_000_000_123_456_789, 1_111_111_111_987_654_321)


def dump(tree: Tree, directory: Path) -> ImageDir:
    """remap-fpath.img and the ghosts of a tree."""
    directory.mkdir(exist_ok=True)
    images = ImageDir.create(str(directory))
    images.write("INVENTORY", None, [pb.inventory_entry(img_version=2, fdinfo_per_id=True)])
    tree.images = images
    ghost.write(tree, tree.registry.ghosts)  # type: ignore[arg-type]
    images.flush()
    return images


def come_back(tree: Tree, file: pb.file_entry, directory: Path) -> int:
    return ghost.read(dump(tree, directory))[file.id].make(file.reg.name)


@pytest.mark.parametrize("pieces", [[], [(0, 5000)], [(0, 10), (1_000_000, 70_000)], [(0, 3_000_000)]])
def test_contents_owner_mode_and_times_come_back(tmp_path: Path, pieces: list[tuple[int, int]]) -> None:
    path, tree = tmp_path / "name", Tree(ghost_limit=1 << 30)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for offset, length in pieces:
        os.pwrite(fd, os.urandom(length), offset)
    os.fchown(fd, 123, 456)
    os.fchmod(fd, 0o4751)
    os.utime(fd, ns=TIMES)
    path.unlink()
    (file,) = collect(tree, fd)
    made = come_back(tree, file, tmp_path / "images")
    before, after = os.fstat(fd), os.fstat(made)
    for field in ("st_mode", "st_uid", "st_gid", "st_size", "st_blocks", "st_atime_ns", "st_mtime_ns", "st_nlink"):
        assert getattr(before, field) == getattr(after, field), field
    copy = os.open(f"/proc/self/fd/{made}", os.O_RDONLY)
    assert os.pread(copy, 1 << 30, 0) == os.pread(fd, 1 << 30, 0)
    assert file.reg.name == str(path)
    assert os.listdir(tmp_path) == ["images"]
    for each in (fd, made, copy):
        os.close(each)


def test_descriptions_of_one_file_share_a_ghost(tmp_path: Path) -> None:
    path, tree = tmp_path / "name", Tree()
    first = os.open(path, os.O_RDWR | os.O_CREAT)
    second = os.open(path, os.O_WRONLY | os.O_APPEND)
    path.unlink()
    files = collect(tree, first, second)
    assert [f.id for f in files] == [1, 2]
    assert [(r.orig_id, r.remap_id, r.remap_type) for r in tree.registry.ghosts.remaps] == [(1, 1, 1), (2, 1, 1)]
    dump(tree, tmp_path)
    new = new_tree(tmp_path, files, {10: {0: 1, 1: 2}})
    with new.opener.giving() as given:
        assert len(given) == 1
        assert os.fstat(given[0]).st_nlink == 0
    new.opener.restore(new.root)
    opened = [text for text in steps(new, 10) if "openat" in text]
    assert [text.split('"')[1] for text in opened] == [f"/proc/self/fd/{new.opener.staging}"] * 2
    assert [text.split(", ")[2].split("|")[0] for text in opened] == ["O_RDWR", "O_WRONLY"]
    os.close(first)
    os.close(second)


def test_a_name_that_somebody_has_now_is_left_alone(tmp_path: Path) -> None:
    path, tree = tmp_path / "name", Tree()
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    path.unlink()
    (file,) = collect(tree, fd)
    path.write_text("another one")
    made = come_back(tree, file, tmp_path / "images")
    assert os.fstat(made).st_size == 0
    assert path.read_text() == "another one"
    assert sorted(os.listdir(tmp_path)) == ["images", "name"]
    os.close(fd)
    os.close(made)


def test_directories_and_what_was_in_them(tmp_path: Path) -> None:
    """The directories above are made for a moment, too."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    tree, inner = Tree(), tmp_path / "a" / "b"
    directory = os.open(inner, os.O_RDONLY)
    fd = os.open(inner / "name", os.O_RDWR | os.O_CREAT)
    (inner / "name").unlink()
    inner.rmdir()
    inner.parent.rmdir()
    files = collect(tree, directory, fd)
    ghosts = ghost.read(dump(tree, tmp_path / "images"))
    made = [ghosts[file.id].make(file.reg.name) for file in files]
    assert [stat.S_IFMT(os.fstat(each).st_mode) for each in made] == [stat.S_IFDIR, stat.S_IFREG]
    assert os.readlink(f"/proc/self/fd/{made[1]}") == f"{inner / 'name'} (deleted)"
    assert os.listdir(tmp_path) == ["images"]
    for each in (*made, fd, directory):
        os.close(each)


def test_symbolic_links(tmp_path: Path) -> None:
    link, tree = tmp_path / "link", Tree()
    link.symlink_to("some/where")
    fd = os.open(link, os.O_PATH | os.O_NOFOLLOW)
    link.unlink()
    (file,) = collect(tree, fd)
    made = come_back(tree, file, tmp_path / "images")
    assert os.readlink("", dir_fd=made) == "some/where"
    os.close(fd)
    os.close(made)


def test_what_takes_too_much_room_is_refused(tmp_path: Path) -> None:
    """Room, not size: a hole costs nothing."""
    tree = Tree(ghost_limit=8192)
    opened = []
    for name, length in (("holes", 0), ("full", 16384)):
        opened.append(os.open(tmp_path / name, os.O_RDWR | os.O_CREAT))
        os.pwrite(opened[-1], b"x" * length, 0)
        os.ftruncate(opened[-1], 1 << 30)
        (tmp_path / name).unlink()
    collect(tree, *opened)
    for fd in opened:
        os.close(fd)
    (obstacle,) = tree.obstacles
    assert obstacle.subject.startswith(f"fd {opened[1]} ")
    assert "16384 bytes, more than the limit of 8192" in obstacle.reason
    assert "--ghost-limit" in obstacle.remedy


def test_images_of_impossible_ghosts_are_refused(tmp_path: Path) -> None:
    tree = Tree()
    images = dump(tree, tmp_path)
    entry = pb.ghost_file_entry(uid=0, gid=0, mode=stat.S_IFREG, chunks=True, size=10)
    images.write("GHOST_FILE", 1, [entry, (pb.ghost_chunk_entry(len=5, off=6), b"12345")])
    images.write("REMAP_FPATH", None, [pb.remap_file_path_entry(orig_id=1, remap_id=1, remap_type=1)])
    with pytest.raises(ImageError, match=r"ghost-file-1\.img: a chunk lies behind the end"):
        ghost.read(images)
    images.write("REMAP_FPATH", None, [pb.remap_file_path_entry(orig_id=1, remap_id=1, remap_type=2)])
    with pytest.raises(ImageError, match="file id 1: hard links"):
        ghost.read(images)


def test_a_target_that_no_link_has_is_refused(tmp_path: Path) -> None:
    images = dump(Tree(), tmp_path)
    entry = pb.ghost_file_entry(uid=0, gid=0, mode=stat.S_IFLNK | 0o777, symlnk_target="a\0b")
    images.write("GHOST_FILE", 1, [entry])
    images.write("REMAP_FPATH", None, [pb.remap_file_path_entry(orig_id=1, remap_id=1, remap_type=1)])
    with pytest.raises(ImageError, match=r"ghost-file-1\.img: embedded null"):
        ghost.read(images)[1].make(str(tmp_path / "name"))
    assert not (tmp_path / "name").exists()
