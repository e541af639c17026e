"""What the records of a tree allow: each task its own mappings, the tree its pids and descriptor numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from engine.errors import Refused
from engine.images import pb
from engine.plan import rules
from engine.plan.builder import Plan
from engine.plan.verify import verify
from engine.resources.memory.mappings import VSYSCALL, Area

if TYPE_CHECKING:
    from engine.rebuild import NewTree

PAGE = 4096
SCRATCH = Area(0x900000, 0x902000)


def tree() -> NewTree:
    """Two processes, the first of two threads, with one mapping each."""
    plan = Plan()

    def task(tids: list[int], start: int) -> SimpleNamespace:
        vmas = [pb.vma_entry(start=start, end=start + PAGE, pgoff=0, shmid=0, prot=3, flags=2, status=1, fd=-1),
                pb.vma_entry(start=0xFFFFFFFFFF600000, end=0xFFFFFFFFFF601000, pgoff=0, shmid=0, prot=4, flags=2,
                             status=VSYSCALL, fd=-1)]  # fmt: skip
        threads = [SimpleNamespace(tid=tid, actor=plan.actor(f"pid {tid}")) for tid in tids]
        return SimpleNamespace(mm=SimpleNamespace(vmas=vmas), threads=threads, leader=threads[0])

    tasks = [task([10, 11], 0x400000), task([20], 0x500000)]
    opener = SimpleNamespace(numbers=30)
    return cast("NewTree", SimpleNamespace(plan=plan, tasks=tasks, root=tasks[0], opener=opener, base=0x10000000))


def test_threads_share_what_their_process_may_touch() -> None:
    made = tree()
    made.plan.layout()
    found = rules.of_restore(made, SCRATCH)
    assert found.spaces[0].covers(0x400000, 0x401000) and found.spaces[1].covers(0x400000, 0x401000)
    assert not found.spaces[2].covers(0x400000, 0x401000) and found.spaces[2].covers(0x500000, 0x501000)
    assert all(space.covers(*SCRATCH) for space in found.spaces.values())
    assert found.tasks == {10, 11, 20}
    assert list(found.roots) == [0]
    assert found.arena == (0x10000000, 0x10000000 + made.plan.size)


def test_a_page_of_the_sibling_is_refused() -> None:
    made = tree()
    first, second, third = made.plan.actors
    emit = first.emit("pid 10, contents")
    emit.spawn(second, 0x10000)
    emit.spawn(third, 0)
    emit.full_io("pread64", 3, 0x500000, PAGE)
    for actor in made.plan.actors:
        actor.emit("end").halt()
    made.plan.layout()
    with pytest.raises(Refused, match=r"pid 10, contents: full pread64\(3, 0x500000, .* own memory: the image"):
        verify(made.plan, rules.of_restore(made, SCRATCH))
    first.ops[2].args = (29, 0x400000, PAGE, 0)
    verify(made.plan, rules.of_restore(made, Area(0, 0)))
    first.ops[2].args = (30, 0x400000, PAGE, 0)
    with pytest.raises(Refused, match="30 is no descriptor number"):
        verify(made.plan, rules.of_restore(made, SCRATCH))
