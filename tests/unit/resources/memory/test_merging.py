"""Memory that may be merged: the mark, and the mappings that are an exception."""

from __future__ import annotations

from engine.abi import mman
from engine.images import pb
from engine.resources.memory import mappings, merging
from tests.unit.resources.task.trees import calls, task, words


def mapping(number: int, flags: int = mman.MAP_PRIVATE, madv: int = 0, status: int = mappings.REGULAR) -> pb.vma_entry:
    start = number << 20
    return pb.vma_entry(
        start=start, end=start + 0x3000, pgoff=0, shmid=0, prot=3, flags=flags, status=status, fd=-1, madv=madv
    )


def test_the_mark_and_then_the_exceptions() -> None:
    one = task()
    one.mm.memory_merge = True
    one.mm.vmas.extend(
        [
            mapping(1, madv=1 << mman.MADV_MERGEABLE),
            mapping(2, madv=1 << mman.MADV_DONTFORK),
            mapping(3, flags=mman.MAP_SHARED),
            mapping(4, status=mappings.REGULAR | mappings.VDSO),
        ]
    )
    assert [words(op) for op in calls(one, merging.restore)] == ["prctl 67 1 0 0 0", f"madvise {2 << 20} 12288 13"]


def test_an_image_without_the_mark() -> None:
    one = task()
    one.mm.vmas.append(mapping(1))
    assert not calls(one, merging.restore)
