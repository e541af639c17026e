"""Zombies and stopped tasks in the plan."""

from __future__ import annotations

import signal

import pytest

from engine.abi.prctl import PR_SET_DUMPABLE, PR_SET_NAME
from engine.abi.signal import SIG_UNBLOCK
from engine.abi.wait import P_PID, WALL, WEXITED, WNOWAIT, WSTOPPED
from engine.errors import ImageError
from engine.images import pb
from engine.rebuild import DEAD, STOPPED
from engine.resources.task import fates
from engine.resources.task.tree import prepare, restore
from tests.unit.resources.task.trees import Born, lines, shape, tree, warnings


def zombie(code: int) -> Born:
    return Born(6, 5, state=DEAD, exit_code=code)


def test_a_zombie_exits() -> None:
    assert shape(Born(5), zombie(77 << 8))["pid 6"][-1] == "exit_group 77"


def test_a_zombie_dies_of_its_signal_without_a_core_file() -> None:
    ends = shape(Born(5), zombie(signal.SIGSEGV))["pid 6"][-3:]
    assert ends == [f"prctl {PR_SET_DUMPABLE} 0 0 0 0", f"rt_sigprocmask {SIG_UNBLOCK} & 0 8", "tgkill 6 6 11"]


def test_a_zombie_has_its_name_first() -> None:
    assert f"prctl {PR_SET_NAME} &" in shape(Born(5), zombie(0))["pid 6"]


def test_a_zombie_has_its_owner() -> None:
    new = tree(Born(5), zombie(0))
    new.by_pid[6].core.thread_core.creds.CopyFrom(
        pb.creds_entry(
            uid=1000, euid=1000, suid=1000, fsuid=1000, gid=100, egid=100, sgid=100, fsgid=100, secbits=0
        )
    )
    prepare(new)
    restore(new)
    assert "setresuid 1000 1000 1000" in lines(new)["pid 6"]


def test_the_parent_sees_the_death_and_keeps_the_status() -> None:
    plan = shape(Born(5), zombie(9))["pid 5"]
    waiting = plan.index(f"waitid {P_PID} 6 0 {WEXITED | WNOWAIT} 0")
    assert plan[waiting + 1] == f"rt_sigaction {signal.SIGCHLD} & 0 8"


def test_a_death_that_is_told_by_another_signal_is_seen_and_forgotten_too() -> None:
    plan = shape(Born(5), Born(6, 5, state=DEAD, exit_signal=12), Born(7, 5, state=DEAD, exit_signal=0))["pid 5"]
    assert [line for line in plan if "waitid" in line] == [
        f"waitid {P_PID} {pid} 0 {WEXITED | WNOWAIT | WALL} 0" for pid in (6, 7)
    ]
    assert plan[-2:] == ["rt_sigaction 12 & 0 8"] * 2


def test_a_stopped_child_with_another_signal_is_waited_for() -> None:
    child = Born(6, 5, 6, state=STOPPED, stop_signal=20, exit_code=20 << 8 | 0x7F, exit_signal=0)
    assert f"waitid {P_PID} 6 0 {WSTOPPED | WALL} 0" in shape(Born(5), child)["pid 5"]


def test_a_death_that_would_end_or_stop_the_parent() -> None:
    with pytest.raises(ImageError, match="nobody survives a child like pid 6"):
        shape(Born(5), Born(6, 5, state=DEAD, exit_signal=signal.SIGKILL))


def test_a_core_file_that_will_not_be_is_told() -> None:
    new = tree(Born(5), zombie(signal.SIGSEGV | fates.CORE_DUMPED))
    prepare(new)
    restore(new)
    assert "dumped core" in warnings(new)[0]


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGSTOP, signal.SIGURG, 127])
def test_nobody_dies_of_a_harmless_signal(number: int) -> None:
    with pytest.raises(ImageError, match="ends nobody"):
        shape(Born(5), zombie(number))


def stopped(number: int, reported: bool, group: int = 6) -> Born:
    return Born(6, 5, group, state=STOPPED, stop_signal=number, exit_code=number << 8 | 0x7F if reported else 0)


def test_a_stop_that_was_reported_is_taken_by_the_parent() -> None:
    assert f"waitid {P_PID} 6 0 {WSTOPPED} 0" in shape(Born(5), stopped(20, reported=True))["pid 5"]


def test_a_stop_that_was_not_reported_is_left() -> None:
    assert not any("waitid" in line for line in shape(Born(5), stopped(20, reported=False))["pid 5"])


def test_the_same_signal_stops() -> None:
    assert shape(Born(5), stopped(22, reported=False))["pid 6"][-1] == f"tgkill 6 6 {signal.SIGTTOU}"


def test_an_orphaned_group_is_stopped_by_sigstop() -> None:
    """Group 5 has no member whose parent is in another group of the session."""
    assert shape(Born(5), stopped(20, False, group=5))["pid 6"][-1] == f"tgkill 6 6 {signal.SIGSTOP}"


def test_a_damaged_stop_signal() -> None:
    with pytest.raises(ImageError, match="signal 15 stops nobody"):
        shape(Born(5), stopped(15, reported=False))


def test_the_stop_comes_after_groups_and_deaths() -> None:
    plan = shape(Born(5), stopped(20, False), Born(7, 5, state=DEAD))["pid 6"]
    assert plan[:4] == ["setpgid 0 0", "post", "wait", "wait"]


def test_no_thread_of_a_stopped_process_halts_before_the_stop() -> None:
    new = tree(Born(5), Born(6, 5, 6, state=STOPPED, stop_signal=19, threads=(7,)))
    prepare(new)
    restore(new)
    assert lines(new)["pid 6, thread 7"] == ["wait"]
