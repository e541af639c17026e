"""Processors, I/O priority, timer slack, core dumps: what differs is set, what the image lacks is left as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engine.resources.task import affinity, core_dump, io_priority, own, timer_slack, tsc
from tests.unit.resources.task.trees import Born, calls, data, task, tree, warnings, words

if TYPE_CHECKING:
    from engine.rebuild import NewTask

MODULES = (affinity, io_priority, timer_slack, tsc)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine, where the engine has not the usual attributes either."""
    monkeypatch.setattr(own, "processors", lambda: {0, 1, 2, 70})
    monkeypatch.setattr(own, "affinity", lambda: {0, 1})
    monkeypatch.setattr(own, "io_priority", lambda: 0x4003)
    monkeypatch.setattr(own, "timer_slack", lambda: 1000)
    monkeypatch.setattr(own, "coredump_filter", lambda: 0x7F)


def with_attributes(processors: set[int], priority: int = 0, slack: int = 0) -> NewTask:
    one = task()
    core = one.core.thread_core
    core.cpu_affinity.extend(affinity.words(processors))
    core.io_priority, core.timer_slack = priority, slack
    return one


def restore(one: NewTask) -> None:
    for module in MODULES:
        module.restore_thread(one.leader)


def test_all_are_set_where_they_differ() -> None:
    one = with_attributes({1, 70}, 0x6000, 1 << 63)
    found = calls(one, restore)
    assert list(map(words, found)) == ["sched_setaffinity 0 16 &", "ioprio_set 1 0 24576", f"prctl 29 {1 << 63} 0 0 0"]
    assert data(one.tree.plan, found[0], 2, 16) == (2 | 1 << 70).to_bytes(16, "little")
    assert not warnings(one.tree)


def test_what_the_engine_has_itself_is_not_set() -> None:
    assert not calls(with_attributes({0, 1}, 0x4003, 1000), restore)


def test_an_image_without_them() -> None:
    assert not calls(task(), restore, core_dump.restore)


def test_processors_that_are_not_here_are_left_out() -> None:
    one = with_attributes({2, 5, 200})
    found = calls(one, restore)
    assert data(one.tree.plan, found[0], 2, 8) == (1 << 2).to_bytes(8, "little")
    assert warnings(one.tree) == ["pid 7: processors 5, 200 are not here, it keeps 2"]
    assert not affinity.missing(one.tree)


def test_a_thread_without_a_processor_is_refused() -> None:
    new = tree(Born(7, threads=(8,)))
    new.tasks[0].threads[1].core.thread_core.cpu_affinity.extend(affinity.words({3, 130}))
    (obstacle,) = affinity.missing(new)
    assert str(obstacle).startswith("pid 7, thread 8: none of its processors is here: 3, 130 (here are 0, 1, 2, 70)")


def test_time_stamps() -> None:
    one = task()
    one.core.thread_core.tsc_forbidden = True
    assert list(map(words, calls(one, restore))) == ["prctl 26 2 0 0 0"]


def test_words() -> None:
    assert affinity.words({0, 63, 64}) == [1 | 1 << 63, 1]


def test_coredump_filter() -> None:
    one = task()
    one.mm.coredump_filter = 0
    found = calls(one, core_dump.restore)
    assert list(map(words, found)) == [f"openat -100 & {os.O_WRONLY} 0", "write r & 3", "close r"]
    assert data(one.tree.plan, found[1], 1, 3) == b"0x0"
    one = task()
    one.mm.coredump_filter = 0x7F
    assert not calls(one, core_dump.restore)
