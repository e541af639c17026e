"""Births, groups and sessions in the plan."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from engine.abi.sched import CLONE_ARGS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM
from engine.abi.wait import P_PID, WEXITED
from engine.errors import ImageError, Refused
from engine.plan.ops import SPAWN
from engine.resources.task.tree import entry, prepare, restore
from tests.unit.resources.task.trees import STAGING, Born, data, lines, shape, tree


def test_a_chain_of_births() -> None:
    plan = shape(Born(5), Born(6, 5), Born(7, 6))
    assert [line for line in plan["pid 5"] if "spawn" in line] == ["spawn 6"]
    assert [line for line in plan["pid 6"] if "spawn" in line] == ["spawn 7"]


@pytest.mark.parametrize("number", [None, 0, 40])
def test_the_signal_of_an_end(number: int | None) -> None:
    new = tree(Born(5), Born(6, 5, exit_signal=number))
    prepare(new)
    restore(new)
    lines(new)
    (op,) = [op for op in new.root.leader.actor.ops if op.code == SPAWN]
    place = CLONE_ARGS.offsets["exit_signal"]
    assert data(new.plan, op, 0, CLONE_ARGS.size)[place] == (17 if number is None else number)


@pytest.mark.parametrize("parent, number, noted", [(5, 17, False), (5, 0, True), (5, 40, True), (0, 40, False)])
def test_only_another_signal_than_sigchld_is_noted(parent: int, number: int, noted: bool) -> None:
    stat = SimpleNamespace(pgrp=6, session=6, exit_signal=number)
    made = entry(SimpleNamespace(pid=6, ppid=parent, threads=[], stat=stat))  # type: ignore[arg-type]
    assert (made.HasField("exit_signal"), made.exit_signal) == (noted, number if noted else 0)


def test_the_first_task_forgets_the_skeleton() -> None:
    plan = shape(Born(5))["pid 5"]
    assert f"close_range 0 {STAGING - 1} 0" in plan
    assert sum("rt_sigaction" in line for line in plan) == 63


def test_a_session_begins_between_two_groups_of_children() -> None:
    plan = shape(Born(5), Born(6, 5, 6, 6), Born(7, 6, 5, 5), Born(8, 6, 6, 6))["pid 6"]
    order = [plan.index(word) for word in ("spawn 7", "setsid", "spawn 8")]
    assert order == sorted(order)


def test_who_joins_a_group_waits_for_its_leader() -> None:
    plan = shape(Born(5), Born(6, 5, 7), Born(7, 5, 7))
    assert plan["pid 7"][:2] == ["setpgid 0 0", "post"]
    assert plan["pid 6"][:2] == ["wait", "setpgid 0 7"]


def test_nobody_joins_the_group_that_he_is_born_in() -> None:
    plan = shape(Born(5), Born(6, 5), Born(7, 5, 7, 7), Born(8, 7, 7, 7), Born(9, 7))
    assert not any("setpgid" in line for lines in plan.values() for line in lines)


def test_a_leader_of_a_session_makes_no_group() -> None:
    assert not any("setpgid" in line for line in shape(Born(5))["pid 5"])


def test_a_group_from_outside_is_left_alone() -> None:
    plan = shape(Born(5, 0, 50, 50), Born(6, 5, 50, 50), shell_job=True)
    assert not any("setpgid" in line or "setsid" in line for lines in plan.values() for line in lines)


def test_a_dead_leader_has_a_stand_in_until_all_have_joined() -> None:
    plan = shape(Born(5), Born(6, 5, 8), Born(7, 5, 8))
    assert plan["stand-in for pid 8"] == ["prctl 1 9 0 0 0", "setpgid 0 0", "post", "post", "wait", "exit_group 0"]
    assert plan["pid 6"] == plan["pid 7"] == ["wait", "setpgid 0 8", "post"]
    assert plan["pid 5"].index("spawn 8") < plan["pid 5"].index(f"waitid {P_PID} 8 0 {WEXITED} 0")


def test_who_left_its_group_makes_it_and_leaves_it_when_another_one_is_in_it() -> None:
    plan = shape(Born(5), Born(6, 5, 5), Born(7, 6, 6))
    assert plan["pid 6"] == ["spawn 7", "setpgid 0 0", "post", "wait", "wait", "setpgid 0 5"]
    assert plan["pid 7"] == ["wait", "setpgid 0 6", "post"]


def test_who_left_for_a_group_from_outside_goes_back_to_the_engines() -> None:
    plan = shape(Born(5, 0, 50, 50), Born(6, 5, 50, 50), Born(7, 6, 6, 50), shell_job=True)
    assert plan["pid 6"][-1] == f"setpgid 0 {os.getpgrp()}"


def test_two_who_keep_one_anothers_groups_need_a_third() -> None:
    plan = shape(Born(5), Born(6, 5, 7), Born(7, 5, 6), Born(8, 5, 6))
    assert [line for line in plan["pid 6"] if "setpgid" in line] == ["setpgid 0 0", "setpgid 0 7"]
    with pytest.raises(Refused, match="pid 6: it left its process group"):
        shape(Born(5), Born(6, 5, 7), Born(7, 5, 6))


def test_threads_share_everything() -> None:
    new = tree(Born(5, threads=(6, 7)))
    prepare(new)
    restore(new)
    assert [line for line in lines(new)["pid 5"] if "spawn" in line] == ["spawn 6", "spawn 7"]
    for op in new.root.leader.actor.ops:
        if op.code == SPAWN:
            flags = int.from_bytes(data(new.plan, op, 0, 8), "little")
            assert flags & (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND) == CLONE_THREAD | CLONE_VM | CLONE_SIGHAND


def test_a_session_led_from_outside_needs_shell_job() -> None:
    with pytest.raises(Refused, match=r"session 50 is led by nobody in the tree .*--shell-job"):
        shape(Born(5, 0, 50, 50))


def test_an_impossible_session_is_refused() -> None:
    with pytest.raises(Refused, match="pid 5: processes that do not descend from pid 6"):
        shape(Born(5), Born(6, 5, 6, 6), Born(7, 5, 6, 6))


def test_all_obstacles_are_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        shape(Born(5, 0, 50, 50), Born(6, 5, 6, 6), Born(7, 5, 6, 6))
    assert len(caught.value.obstacles) == 2


HUGE = [Born((1 << 22) + 1), Born(10, group=1 << 31), Born(10, session=(1 << 32) - 1), Born(10, threads=(1 << 23,))]


@pytest.mark.parametrize("born", HUGE)
def test_numbers_that_no_process_has_are_refused(born: Born) -> None:
    with pytest.raises(ImageError, match=rf"pstree\.img: no process has the number \d+ \(it is with pid {born.pid}\)"):
        tree(born)
    tree(Born(1 << 22))
