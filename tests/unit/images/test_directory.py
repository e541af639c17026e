"""Image directories: files by type and id, versions, missing and stale files, failures of the file system."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ImageError, KernelError
from engine.images import contents, pb
from engine.images.directory import ImageDir

TASK = pb.pstree_entry(pid=5, ppid=1, pgid=5, sid=5, threads=[5])


@pytest.fixture
def images(tmp_path: Path) -> Iterator[ImageDir]:
    with ImageDir.create(str(tmp_path)) as images:
        images.write("INVENTORY", None, [pb.inventory_entry(img_version=2, fdinfo_per_id=True)])
        yield images


def test_files_by_type_and_id(images: ImageDir, tmp_path: Path) -> None:
    images.write("FS", 812, [pb.fs_entry(cwd_id=1, root_id=2)])
    assert (tmp_path / "fs-812.img").stat().st_mode & 0o777 == 0o644
    assert images.read_one("FS", 812).root_id == 2
    assert images.exists("FS", 812) and not images.exists("FS", 813)


def test_payloads(images: ImageDir) -> None:
    entries = [(pb.pipe_data_entry(pipe_id=5, bytes=2), b"ab"), (pb.pipe_data_entry(pipe_id=6, bytes=0), b"")]
    images.write("PIPES_DATA", None, entries)
    assert images.read_with_payload("PIPES_DATA") == entries
    assert [message.pipe_id for message in images.read("PIPES_DATA")] == [5, 6]


def test_missing_files_are_empty_images(images: ImageDir) -> None:
    assert images.read("PSTREE") == []
    with pytest.raises(ImageError, match=r"pstree\.img: the file is missing"):
        images.read("PSTREE", required=True)
    with pytest.raises(ImageError, match=r"core-5\.img: the file is missing"):
        images.read_one("CORE", 5)


def test_no_messages_no_file(images: ImageDir) -> None:
    images.write("PSTREE", None, [TASK])
    images.write("PSTREE", None, [])
    assert not images.exists("PSTREE")
    images.write("PSTREE", None, [])


def test_one_message(images: ImageDir) -> None:
    images.write("PSTREE", None, [TASK, TASK])
    with pytest.raises(ImageError, match=r"pstree\.img: 2 entries instead of one"):
        images.read_one("PSTREE")


def test_version_1(images: ImageDir, tmp_path: Path) -> None:
    images.write("INVENTORY", None, [pb.inventory_entry(img_version=1, fdinfo_per_id=True)])
    images.write("PSTREE", None, [TASK])
    path = tmp_path / "pstree.img"
    with pytest.raises(ImageError, match="magic is 0x54564319"):
        images.read("PSTREE")
    path.write_bytes(path.read_bytes()[4:])
    assert images.read("PSTREE") == [TASK]


@pytest.mark.parametrize(
    ("inventory", "cause"),
    [
        (pb.inventory_entry(img_version=3, fdinfo_per_id=True), "version 3 of the images is not known"),
        (pb.inventory_entry(img_version=2), "without fdinfo_per_id"),
    ],
)
def test_foreign_inventories(images: ImageDir, inventory: pb.inventory_entry, cause: str) -> None:
    images.write("PSTREE", None, [TASK])
    images.write("INVENTORY", None, [inventory])
    with pytest.raises(ImageError, match=cause):
        images.read("PSTREE")


def test_without_an_inventory(tmp_path: Path) -> None:
    with (
        ImageDir.open(str(tmp_path)) as images,
        pytest.raises(ImageError, match=r"inventory\.img: the file is missing"),
    ):
        images.read("PSTREE")


def test_statistics_need_no_inventory(tmp_path: Path) -> None:
    with ImageDir.create(str(tmp_path)) as work:
        work.write("STATS", "dump", [pb.stats_entry()])
        assert work.read_one("STATS", "dump") == pb.stats_entry()


def test_discard(images: ImageDir, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    images.write("PSTREE", None, [TASK])
    Path(images.raw_path("PAGES", 1)).write_bytes(bytes(4096))
    assert images.path("notes") == str(tmp_path / "notes")
    images.path("pages-2.img")
    images.discard()
    assert sorted(os.listdir(tmp_path)) == ["notes"]


def test_descriptor_in_place_of_a_path(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with ImageDir.create(fd) as images:
        images.write("FS", 5, [pb.fs_entry(cwd_id=1, root_id=2)])
        assert images.raw_path("PAGES", 1) == str(tmp_path / "pages-1.img")
    os.fstat(fd)
    os.close(fd)
    assert (tmp_path / "fs-5.img").exists()


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"image directory .*/none: open failed: ENOENT .*make the directory"):
        ImageDir.create(str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(KernelError, match="ENOTDIR"):
        ImageDir.open(str(tmp_path / "file"))


def test_what_is_no_file_is_refused(images: ImageDir, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pstree.img")
    with pytest.raises(ImageError, match=r"pstree\.img: not a regular file"):
        images.read("PSTREE")
    (tmp_path / "files.img").mkdir()
    with pytest.raises(ImageError, match=r"files\.img: not a regular file"):
        images.read("FILES")
    with pytest.raises(KernelError, match=r"files\.img: write failed: EISDIR"):
        images.write("FILES", None, [pb.file_entry(type=pb.REG, id=1)])
    (tmp_path / "cgroup.img").symlink_to("cgroup.img")
    with pytest.raises(ImageError, match="Too many levels of symbolic links"):
        images.read("CGROUP")


def test_huge_files_are_not_read(images: ImageDir, tmp_path: Path) -> None:
    (tmp_path / "pstree.img").touch()
    os.truncate(tmp_path / "pstree.img", 1 << 40)
    with pytest.raises(ImageError, match="1099511627776 bytes are more than an image of this type has"):
        images.read("PSTREE")


def test_a_file_that_hides_its_size_is_not_read_for_ever(
    images: ImageDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pstree.img").symlink_to("/proc/self/status")
    assert (tmp_path / "pstree.img").stat().st_size == 0
    images.read_one("INVENTORY")
    monkeypatch.setattr(contents, "LARGEST", 16)
    with pytest.raises(ImageError, match="bytes are more than an image of this type has"):
        images.read("PSTREE")


def test_full_disk(images: ImageDir, tmp_path: Path) -> None:
    (tmp_path / "pstree.img").symlink_to("/dev/full")
    with pytest.raises(KernelError, match=r"pstree\.img: write failed: ENOSPC .*free some space"):
        images.write("PSTREE", None, [TASK])


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        ImageDir.create(str(tmp_path)).close()
        ImageDir.open(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_posted_files_are_written_together(images: ImageDir, tmp_path: Path) -> None:
    for number in range(40):
        images.post("FS", number, [pb.fs_entry(cwd_id=number, root_id=2)])
    images.post("PSTREE", None, [TASK])
    assert os.listdir(tmp_path) == ["inventory.img"]
    images.flush()
    assert [images.read_one("FS", number).cwd_id for number in range(40)] == list(range(40))
    assert images.read_one("PSTREE") == TASK
    assert (tmp_path / "fs-7.img").stat().st_mode & 0o777 == 0o644
    images.flush()


def test_a_posted_file_that_cannot_be_written_is_named(images: ImageDir, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fs-5.img")
    for number in range(20):
        images.post("FS", number, [pb.fs_entry(cwd_id=number, root_id=2)])
    with pytest.raises(KernelError, match=r"fs-5\.img: write failed: ENXIO|write.*fs-5\.img"):
        images.flush()
    images.discard()
    assert os.listdir(tmp_path) == []


def test_a_full_file_system_is_explained(images: ImageDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.images.directory.write_all", lambda fd, posted: [(posted[0][0], errno.ENOSPC)])
    images.post("PSTREE", None, [TASK])
    with pytest.raises(KernelError, match="free some space"):
        images.flush()


def test_what_is_posted_is_checked_at_once(images: ImageDir) -> None:
    with pytest.raises(ImageError, match="pstree_entry lacks"):
        images.post("PSTREE", None, [pb.pstree_entry(pid=1)])
    images.post("PSTREE", None, [])
    assert not images.exists("PSTREE")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_file_that_fits_in_part_is_no_success(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        with ImageDir.create(str(tmp_path)) as images:
            images.post("PSTREE", None, [TASK] * 10000)
            with pytest.raises(KernelError, match=r"pstree\.img: write failed: ENOSPC .*free some space"):
                images.flush()
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
