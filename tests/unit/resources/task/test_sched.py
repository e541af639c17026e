"""Scheduling, personality, membarrier registrations."""

from __future__ import annotations

from engine.abi.sched import SCHED_FIFO, SCHED_RESET_ON_FORK
from engine.resources.task import barriers, personality, sched
from tests.unit.resources.task.trees import calls, data, task, words


def test_policy_with_its_flag_then_nice() -> None:
    one = task()
    core = one.core.thread_core
    core.sched_policy, core.sched_prio, core.sched_nice = SCHED_FIFO | SCHED_RESET_ON_FORK, 42, -5
    found = calls(one, lambda t: sched.restore_thread(t.leader))
    assert [words(op) for op in found] == ["sched_setscheduler 0 1073741825 &", "setpriority 0 0 -5"]
    assert data(one.tree.plan, found[0], 2, 4) == (42).to_bytes(4, "little")


def test_personality() -> None:
    one = task(personality=0x40000)
    assert [words(op) for op in calls(one, lambda t: personality.restore_thread(t.leader))] == ["personality 262144"]


def test_only_what_was_registered_is_registered() -> None:
    one = task(membarrier_registration_mask=0x10 | 0x4)
    assert [words(op) for op in calls(one, barriers.restore)] == ["membarrier 4 0 0", "membarrier 16 0 0"]
    assert not calls(task(), barriers.restore)
