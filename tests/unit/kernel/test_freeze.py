"""Freezing and thawing when threads end, run or are signalled at a bad moment: nobody stays traced, parents hear."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from engine.abi import ptrace as abi
from engine.errors import AmberError, UsageError
from engine.kernel import calls, freeze
from engine.kernel.freeze import Alarm, Freezer, Frozen
from engine.kernel.proc import ProcDir
from engine.kernel.ptrace import Gone, Tracee, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tracing needs the rights of root")

PROGRAM = """
import os, signal, sys, threading, time
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"signal\\n"))
for _ in range(int(sys.argv[1])):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
os.write(1, b"ready\\n")
while True:
    time.sleep(1000)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:])
print(child.pid, flush=True)
print("ended by", -child.wait(), flush=True)
"""
NOBODY = 1 << 22  # above every pid (PID_MAX_LIMIT)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Four threads, and a handler that tells of SIGUSR1."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "3"], stdout=subprocess.PIPE, text=True) as process:
        assert said(process) == "ready\n"
        yield process
        process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def tracers(pid: int) -> set[int]:
    found = set()
    for tid in os.listdir(f"/proc/{pid}/task"):
        with ProcDir(int(tid)) as proc:
            found.add(proc.status().tracer_pid)
    return found


def seized(process: subprocess.Popen[str]) -> Frozen:
    """All threads are asked to stop, and nobody has waited for them."""
    frozen = Frozen(process.pid, None, ProcDir(process.pid))
    freeze._seize(frozen, frozen.proc.tasks())
    assert len(frozen.threads) == 4
    return frozen


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_parent_hears_of_who_was_killed_while_it_was_frozen() -> None:
    command = [sys.executable, "-c", PARENT, "sleep", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(said(parent))
        freezer = Freezer(child)
        freezer.freeze()
        os.kill(child, signal.SIGKILL)
        freezer.thaw()
        assert said(parent) == "ended by 9\n"


def test_threads_that_run_are_let_go(process: subprocess.Popen[str]) -> None:
    freezer = Freezer(process.pid)
    freezer.freeze()
    assert tracers(process.pid) == {os.getpid()}
    request(abi.PTRACE_CONT, freezer.processes[0].threads[1].tid)
    freezer.thaw()
    assert tracers(process.pid) == {0}


def test_giving_up_lets_everybody_go_and_loses_no_signal(process: subprocess.Popen[str]) -> None:
    freezer = Freezer(process.pid)
    freezer.processes = [seized(process)]
    calls.syscall("tgkill", process.pid, process.pid, signal.SIGUSR1)
    freezer._give_up()
    assert said(process) == "signal\n"
    assert tracers(process.pid) == {0}


def test_a_signal_that_a_thread_stopped_for_is_delivered(process: subprocess.Popen[str]) -> None:
    freezer = Freezer(process.pid)
    freezer.freeze()
    leader = freezer.processes[0].threads[0]
    calls.syscall("tgkill", process.pid, process.pid, signal.SIGUSR1)
    request(abi.PTRACE_CONT, leader.tid)
    assert leader.wait() == (signal.SIGUSR1, 0)
    leader.let_go()
    freezer.processes[0].threads.remove(leader)
    freezer.thaw()
    assert said(process) == "signal\n"


def test_an_error_keeps_nobody_else_frozen(process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer(process.pid)
    freezer.freeze()
    detach, failing, opened = Tracee.detach, freezer.processes[0].threads[2], freezer.processes[0].proc

    def fail(tracee: Tracee) -> None:
        detach(tracee)
        if tracee is failing:
            raise AmberError("no")

    monkeypatch.setattr(Tracee, "detach", fail)
    with pytest.raises(AmberError, match="no"):
        freezer.thaw()
    assert tracers(process.pid) == {0}
    assert opened.fd == -1


def test_a_process_that_ends_just_now_does_not_hang_the_freezing(process: subprocess.Popen[str]) -> None:
    """Its leader's end is told when all other threads were waited for."""
    frozen = seized(process)
    stopped = frozen.threads[1]
    assert stopped.wait().event == abi.PTRACE_EVENT_STOP
    os.kill(process.pid, signal.SIGKILL)  # Popen's would wait for it
    until(lambda: frozen.proc.stat().state == "Z")  # a stop of before is told no more
    with frozen.proc, Alarm(5, "hung"), pytest.raises(Gone):
        freeze._await_stops(frozen, [tracee for tracee in frozen.threads if tracee is not stopped])
    assert not frozen.threads


def test_a_thread_that_took_the_leaders_number(process: subprocess.Popen[str]) -> None:
    frozen = seized(process)
    frozen.threads.append(Tracee(process.pid, NOBODY))
    freeze._await_stops(frozen, list(frozen.threads))
    assert NOBODY not in [tracee.tid for tracee in frozen.threads]
    freezer = Freezer(process.pid)
    freezer.processes = [frozen]
    freezer.thaw()
    assert tracers(process.pid) == {0}


def test_who_is_gone_for_good_is_no_part_of_the_tree(process: subprocess.Popen[str]) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        gone = Frozen(other.pid, None, ProcDir(other.pid))
        freezer = Freezer(process.pid)
        freezer.processes, freezer._seen = [gone], {other.pid: gone}
        with pytest.raises(AmberError, match="left the tree"):
            freezer.freeze()
        assert tracers(process.pid) == {0}
        gone.proc = ProcDir(other.pid)
        other.kill()
    freezer.processes, freezer._seen = [gone], {other.pid: gone}
    freezer.freeze()
    assert [frozen.pid for frozen in freezer.processes] == [process.pid]
    assert gone.proc.fd == -1
    freezer.thaw()


def test_a_freeze_that_takes_too_long(process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def dawdle(_: Freezer) -> bool:
        time.sleep(1)
        return True

    descriptors = os.listdir("/proc/self/fd")
    freezer = Freezer(process.pid)
    freezer.timeout = 0.05  # type: ignore[assignment]
    walk = Freezer._pass
    monkeypatch.setattr(Freezer, "_pass", lambda freezer: walk(freezer) and dawdle(freezer))
    with pytest.raises(AmberError, match="could not be frozen"):
        freezer.freeze()
    assert tracers(process.pid) == {0}
    assert os.listdir("/proc/self/fd") == descriptors
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_only_the_main_thread_can_be_given_a_limit() -> None:
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            Alarm(1, "rang").__enter__()
        except UsageError as error:
            errors.append(error)

    other = threading.Thread(target=enter)
    other.start()
    other.join()
    assert "main thread" in str(errors[0])
