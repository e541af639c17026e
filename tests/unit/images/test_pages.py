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

from engine.errors import KernelError
from engine.images.pages import PAGE, PagesFile
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
