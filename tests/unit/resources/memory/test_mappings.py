"""Mappings in the plan."""

from __future__ import annotations

from errno import ENOMEM

import pytest

from engine.abi import mman
from engine.images import pb
from engine.kernel.proc import Mapping
from engine.plan.ops import MAY
from engine.resources.memory import mappings
from engine.resources.memory.mappings import ANON_PRIVATE, FILE_SHARED, REGULAR
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
