"""Which pages are a task's own."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from errno import EINVAL
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine.abi.fs import PAGE_IS_GUARD, PAGEMAP_SCAN, PM_SCAN_ARG
from engine.abi.mman import MADV_GUARD_INSTALL
from engine.errors import Refused
from engine.kernel import features
from engine.resources.memory import contents
from engine.resources.memory.contents import PAGE, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = 10


@pytest.fixture
def task() -> Iterator[Any]:
    """Ourselves, as far as a scan needs to know."""
    fd = os.open("/proc/self", os.O_PATH)
    yield SimpleNamespace(pid=os.getpid(), proc=SimpleNamespace(fd=fd))
    os.close(fd)


@pytest.fixture
def region() -> Iterator[int]:
    """Ten pages, of which all but the last two were written to."""
    memory = mmap.mmap(-1, PAGES * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[: 8 * PAGE] = b"x" * 8 * PAGE
    at = ctypes.c_char.from_buffer(memory)
    yield ctypes.addressof(at)
    del at
    memory.close()


def own(found: list[Run], start: int) -> list[int]:
    """The numbers of those pages of the region that are among them."""
    pages = range(PAGES)
    return [n for n in pages if any(run.start <= start + n * PAGE < run.end for run in found)]


def test_pages_that_were_touched(task: Any, region: int) -> None:
    assert own(contents._own_pages(task), region) == list(range(8))


def test_guard_pages_are_refused(task: Any, region: int) -> None:
    libc = ctypes.CDLL(None)
    if libc.madvise(ctypes.c_void_p(region + 3 * PAGE), PAGE, MADV_GUARD_INSTALL):
        pytest.skip("there are no guard pages")
    if not features.works("pagemap_scan_guard_pages"):
        pytest.skip("this kernel does not tell them apart")
    with pytest.raises(Refused) as caught:
        contents._own_pages(task)
    where = f"memory {region + 3 * PAGE:x}-{region + 4 * PAGE:x}"
    assert [o.subject for o in caught.value.obstacles] == [f"pid {task.pid} {where}"]


def test_a_kernel_that_cannot_tell_guard_pages(task: Any, region: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.ioctl

    def older(fd: int, request: int, argument: bytearray) -> int:
        if request == PAGEMAP_SCAN and PM_SCAN_ARG.get(argument, "return_mask") & PAGE_IS_GUARD:
            raise OSError(EINVAL, "Invalid argument")
        return real(fd, request, argument)

    monkeypatch.setattr(contents, "_guard_category", [PAGE_IS_GUARD])
    monkeypatch.setattr(fcntl, "ioctl", older)
    assert own(contents._own_pages(task), region) == list(range(8))
    assert contents._guard_category == []
