"""Mappings in the plan."""

from __future__ import annotations

from errno import ENOMEM
from types import SimpleNamespace
from typing import Any

import pytest

from engine.abi import mman
from engine.images import pb
from engine.kernel.proc import DetailedMapping, Mapping
from engine.plan.ops import MAY
from engine.resources.memory import mappings
from engine.resources.memory.mappings import ANON_PRIVATE, FILE_SHARED, REGULAR, TASK_END
from tests.unit.resources.task.trees import calls, task, words

START, END = 0x10000, 0x14000


def locked(prot: int, status: int) -> pb.vma_entry:
    flags = mman.MAP_LOCKED | (mman.MAP_SHARED if status & FILE_SHARED else mman.MAP_PRIVATE | mman.MAP_ANONYMOUS)
    return pb.vma_entry(start=START, end=END, pgoff=0, shmid=0, prot=prot, flags=flags, status=status, fd=-1)


@pytest.mark.parametrize(
    "prot, status, whole",
    [
        (mman.PROT_READ | mman.PROT_WRITE, REGULAR | ANON_PRIVATE, True),
        (mman.PROT_NONE, REGULAR | ANON_PRIVATE, False),
        (mman.PROT_READ, REGULAR | FILE_SHARED, False),
    ],
)
def test_only_pages_that_cannot_be_there_may_be_missing(prot: int, status: int, whole: bool) -> None:
    one = task()
    one.mm.vmas.append(locked(prot, status))
    with one.step(1, "settling") as step:
        mappings._settle(one.mm.vmas[0], False, step)
    (op,) = calls(one)
    assert words(op) == f"mlock {START} {END - START}"
    assert (op.policy == MAY, op.allowed) == ((False, ()) if whole else (True, (ENOMEM,)))


@pytest.mark.parametrize("vm_flags, on_fault", [({"lo"}, False), ({"lo", "lf"}, True)])
def test_pages_are_locked_at_once_or_when_they_are_touched(vm_flags: set[str], on_fault: bool) -> None:
    mapping = Mapping(START, END, mman.PROT_READ, shared=False, offset=0, device=0, inode=0, name="")
    entry = mappings._entry(None, mapping, frozenset(vm_flags))  # type: ignore[arg-type]
    one = task()
    with one.step(1, "settling") as step:
        mappings._settle(entry, False, step)
    lock = f"mlock2 {START} {END - START} {mman.MLOCK_ONFAULT}" if on_fault else f"mlock {START} {END - START}"
    assert list(map(words, calls(one))) == [lock]


VSYSCALL_PAGE = Mapping(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, mman.PROT_EXEC, False, 0, 0, 0, "[vsyscall]")


@pytest.mark.parametrize("start, refused", [(TASK_END - 4096, False), (1 << 50, True)])
@pytest.mark.parametrize("above", [[], [VSYSCALL_PAGE]])
def test_addresses_of_five_levels_are_refused(start: int, refused: bool, above: list[Mapping]) -> None:
    found: list[str] = []
    task: Any = SimpleNamespace(
        mm=pb.mm_entry(), tree=SimpleNamespace(known_mappings={}), refuse=lambda what, reason: found.append(what)
    )
    maps = [Mapping(START, END, 1, False, 0, 0, 0, ""), Mapping(start, start + 4096, 1, False, 0, 0, 0, ""), *above]
    task.mappings = [DetailedMapping(mapping, frozenset(), 4096, 0, 0, 0) for mapping in maps]
    mappings.collect(task)
    assert found == ([f"mapping {start:x}-{start + 4096:x}"] if refused else [])
