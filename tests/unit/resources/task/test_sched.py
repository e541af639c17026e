"""Scheduling, personality, membarrier registrations."""

from __future__ import annotations

import pytest

from engine.abi.sched import (
    SCHED_ATTR,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_FLAG_RECLAIM,
    SCHED_FLAG_RESET_ON_FORK,
    SCHED_RESET_ON_FORK,
)
from engine.errors import ImageError
from engine.resources.task import barriers, personality, sched
from tests.unit.resources.task.trees import calls, data, task, words


def test_policy_with_its_flag_then_nice() -> None:
    one = task()
    core = one.core.thread_core
    core.sched_policy, core.sched_prio, core.sched_nice = SCHED_FIFO | SCHED_RESET_ON_FORK, 42, -5
    found = calls(one, lambda t: sched.restore_thread(t.leader))
    assert [words(op) for op in found] == ["sched_setscheduler 0 1073741825 &", "setpriority 0 0 -5"]
    assert data(one.tree.plan, found[0], 2, 4) == (42).to_bytes(4, "little")


def test_deadline_with_its_flags() -> None:
    one = task()
    core = one.core.thread_core
    core.sched_policy, core.sched_nice = SCHED_DEADLINE | SCHED_RESET_ON_FORK, 3
    core.sched_flags = SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM
    core.sched_runtime, core.sched_deadline, core.sched_period = 10, 1 << 40, 1 << 41
    found = calls(one, lambda t: sched.restore_thread(t.leader))
    assert [words(op) for op in found] == ["sched_setattr 0 & 0", "setpriority 0 0 3"]
    attr = data(one.tree.plan, found[0], 1, 48)
    wanted = SCHED_ATTR.pack(
        size=48, sched_policy=6, sched_flags=3, sched_runtime=10, sched_deadline=1 << 40, sched_period=1 << 41
    )
    assert attr == wanted[:48]


def test_deadline_of_an_image_that_does_not_say_which() -> None:
    one = task()
    one.core.thread_core.sched_policy = SCHED_DEADLINE
    with pytest.raises(ImageError, match=r"core-7.img: .* no runtime"):
        sched.restore_thread(one.leader)


def test_personality() -> None:
    one = task(personality=0x40000)
    assert [words(op) for op in calls(one, lambda t: personality.restore_thread(t.leader))] == ["personality 262144"]


def test_only_what_was_registered_is_registered() -> None:
    one = task(membarrier_registration_mask=0x10 | 0x4)
    assert [words(op) for op in calls(one, barriers.restore)] == ["membarrier 4 0 0", "membarrier 16 0 0"]
    assert not calls(task(), barriers.restore)
