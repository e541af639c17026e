"""Pages files: room that is made beside other work, and what becomes of it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import ImageError, KernelError
from engine.images import pages as images
from engine.images import pb
from engine.images.pages import PAGE, PE_PARENT, PE_PRESENT, PagesFile, check_pages, length_of
from engine.kernel import calls

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


@pytest.fixture(params=["tmpfs", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory on a memory file system of 8 MiB, and one elsewhere."""
    if request.param == "disk":
        yield tmp_path
        return
    if os.geteuid():
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.fixture
def memory() -> Iterator[tuple[int, bytes]]:
    """Our own memory to be saved: address and contents."""
    with mmap.mmap(-1, 3 * MIB) as area:
        area[:] = os.urandom(len(area))
        view = (ctypes.c_char * len(area)).from_buffer(area)
        yield ctypes.addressof(view), bytes(area)
        del view


def mprotect(address: int, size: int, protection: int) -> None:
    calls.syscall("mprotect", address, size, protection)


def save(pages: PagesFile, address: int, size: int, gently: bool) -> None:
    middle = address + size // 2 & -PAGE
    runs = [(address, middle), (middle, address + size)]
    assert pages.copy(os.getpid(), runs, lambda at: gently and at == middle) == size // PAGE


@pytest.mark.parametrize("gently", [False, True])
@pytest.mark.parametrize("estimate", [0, MIB, 6 * MIB])
def test_contents(place: Path, memory: tuple[int, bytes], estimate: int, gently: bool) -> None:
    path = place / "pages-1.img"
    pages = PagesFile(1, str(path), estimate)
    pages.settle()
    assert path.stat().st_size == estimate
    half = memory[0] + len(memory[1]) // 2
    try:
        if gently:  # only then what the task itself may not read is read
            mprotect(half, len(memory[1]) // 2, 0)
        save(pages, memory[0], len(memory[1]), gently)
    finally:
        mprotect(half, len(memory[1]) // 2, mmap.PROT_READ | mmap.PROT_WRITE)
    pages.close()
    assert path.read_bytes() == memory[1]


def test_nothing_leaves_no_file(place: Path) -> None:
    pages = PagesFile(1, str(place / "pages-1.img"), 4 * MIB)
    pages.close()
    assert os.listdir(place) == []


def test_no_room_is_told_before_the_freeze(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], check=True)
    try:
        pages = PagesFile(1, str(tmp_path / "pages-1.img"), 16 * MIB)
        with pytest.raises(KernelError, match="free some space") as caught:
            pages.settle()
        assert caught.value.errno == errno.ENOSPC
        pages.close()
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_room_where_the_kernel_cannot_populate(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MADV_POPULATE_WRITE came with Linux 5.14."""

    class Unable:
        def __init__(self, address: int, size: int) -> None: ...

        def wait(self) -> int:
            return -errno.EINVAL

    monkeypatch.setattr(images, "Populating", Unable)
    file = PagesFile(1, str(place / "pages-1.img"), MIB)
    file.settle()
    assert (place / "pages-1.img").stat().st_blocks * 512 >= MIB
    file.close()


@pytest.mark.parametrize(
    ("name", "size", "complaint"),
    [
        ("none/pages-1.img", 0, "none/pages-1.img: open failed: ENOENT"),
        (".", 0, "open failed: EISDIR"),
        ("pages-1.img", 1 << 62, "pages-1.img, 4611686018427387904 bytes: fallocate failed: E"),
    ],
)
def test_a_file_that_cannot_be_made(tmp_path: Path, name: str, size: int, complaint: str) -> None:
    before = descriptors()
    with pytest.raises(KernelError, match=complaint):
        PagesFile(1, f"{tmp_path}/{name}", size)
    assert descriptors() == before


def test_what_a_pagemap_may_refer_to(tmp_path: Path) -> None:
    path = tmp_path / "pages-1.img"
    check_pages(str(path), 0, "pagemap-7.img")
    with pytest.raises(ImageError, match=r"pages-1\.img: is missing; pagemap-7\.img refers"):
        check_pages(str(path), PAGE, "pagemap-7.img")
    path.write_bytes(bytes(PAGE))
    check_pages(str(path), PAGE, "pagemap-7.img")
    with pytest.raises(ImageError, match="is truncated; 8192 bytes are needed, it has 4096"):
        check_pages(str(path), 2 * PAGE, "pagemap-7.img")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ImageError, match="not a regular file"):
        check_pages(str(path), PAGE, "pagemap-7.img")


def test_how_much_of_the_pages_file_an_entry_has() -> None:
    old = pb.pagemap_entry(vaddr=0, compat_nr_pages=3)
    assert length_of(old, "") == 3 * PAGE
    assert length_of(pb.pagemap_entry(vaddr=0, compat_nr_pages=0, nr_pages=5, flags=PE_PRESENT), "") == 5 * PAGE
    assert length_of(pb.pagemap_entry(vaddr=0, compat_nr_pages=5, flags=0), "") == 0


@pytest.mark.parametrize("fields", [{"in_parent": True}, {"flags": PE_PARENT}])
def test_pages_of_a_parent_image_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ImageError, match=r"pagemap-shmem-5\.img: pages of a parent image"):
        length_of(pb.pagemap_entry(vaddr=0, compat_nr_pages=1, **fields), "pagemap-shmem-5.img")
