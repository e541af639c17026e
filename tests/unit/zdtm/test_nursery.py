"""The processes of a run: what is born is waited for, what is left is ended. In a process of its own each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from zdtm.nursery import Interrupted, Late, Nursery, Place, User, describe_status

SETTING = {"PATH": os.environ["PATH"]}


def in_a_child(body: Callable[[Nursery], None]) -> None:
    """A nursery changes its process: signals, adopted children."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body(Nursery())
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def shell(nursery: Nursery, script: str, directory: Path, **place: object) -> int:
    where = Place(directory, SETTING, directory / "log")._replace(**place)  # type: ignore[arg-type]
    return nursery.spawn(["/bin/sh", "-c", script], where)


def test_orphans_are_reaped_and_stubborn_ones_ended(tmp_path: Path) -> None:
    def body(nursery: Nursery) -> None:
        shell(nursery, "trap '' TERM; setsid sleep 50 & sleep 51 & sleep 0.1 & exit 4", tmp_path)
        nursery.until(lambda: len(nursery.tree()) == 2, 5)  # the two long ones, now ours
        assert nursery.end_all(5) == []
        assert nursery.tree() == []

    in_a_child(body)


def test_status_and_lateness(tmp_path: Path) -> None:
    def body(nursery: Nursery) -> None:
        assert os.waitstatus_to_exitcode(nursery.wait(shell(nursery, "exit 4", tmp_path), 5)) == 4
        slow = shell(nursery, "sleep 50", tmp_path)
        with pytest.raises(Late):
            nursery.wait(slow, 0.05)
        assert nursery.end_all(5) == []

    in_a_child(body)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_request_to_end_interrupts(number: signal.Signals) -> None:
    def body(nursery: Nursery) -> None:
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted):
            nursery.rest(5)

    in_a_child(body)


def test_a_program_finds_the_usual_state(tmp_path: Path) -> None:
    def body(nursery: Nursery) -> None:
        os.set_inheritable(os.open("/", os.O_RDONLY), True)
        script = "cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)'; ls /proc/self/fd | wc -w; pwd; echo $HOME; id -u"
        assert nursery.wait(shell(nursery, script, tmp_path), 5) == 0

    in_a_child(body)
    blocked, ignored, caught, descriptors, here, home, user = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[1] for line in (blocked, ignored, caught)] == ["0" * 16] * 3
    assert (descriptors, here, home, user) == ("4", str(tmp_path), "", str(os.geteuid()))  # 0, 1, 2 and ls's own


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
def test_another_user(tmp_path: Path) -> None:
    def body(nursery: Nursery) -> None:
        assert nursery.wait(shell(nursery, "id -u; id -g; id -G", Path("/"), output=log, user=user), 5) == 0

    log, user = tmp_path / "log", User(71, 72, (73, 74))
    in_a_child(body)
    assert log.read_text().split() == ["71", "72", "72", "73", "74"]


def test_an_own_session(tmp_path: Path) -> None:
    def body(nursery: Nursery) -> None:
        pid = shell(nursery, "sleep 50", tmp_path, own_session=True)
        nursery.until(lambda: os.getsid(pid) == pid, 5)
        assert os.getsid(shell(nursery, "sleep 50", tmp_path)) == os.getsid(0)
        assert nursery.end_all(5) == []

    in_a_child(body)


def test_statuses_in_words() -> None:
    assert describe_status(3 << 8) == "exited with status 3"
    assert describe_status(9) == "was killed by SIGKILL"
