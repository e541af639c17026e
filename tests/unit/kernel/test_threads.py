"""Many threads in one crossing: the same facts as one by one, and every row with a result of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.abi import ptrace as abi
from engine.errors import KernelError
from engine.kernel import threads
from engine.kernel.freeze import Freezer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.kernel.ptrace import Tracee

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tracing needs the rights of root")

PROGRAM = """
import signal, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
for _ in range(5):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
"""
NOBODY = 1 << 22  # above every pid (PID_MAX_LIMIT)


@pytest.fixture
def stopped() -> Iterator[list[Tracee]]:
    """The six threads of a frozen process."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        freezer = Freezer(process.pid)
        freezer.freeze()
        with freezer:
            yield freezer.processes[0].threads
        process.kill()


def test_facts_are_those_of_each_thread(stopped: list[Tracee]) -> None:
    assert len(stopped) == 6
    for tracee, facts in zip(stopped, threads.look([t.tid for t in stopped]), strict=True):
        assert facts.registers == tracee.registers()
        assert facts.xstate == tracee.xstate()
        assert facts.mask == tracee.signal_mask() and facts.mask >> signal.SIGUSR2 - 1 & 1
        assert facts.rseq == tracee.rseq()
        assert facts.rseq_section == 0
        assert facts.tls == b"".join(tracee.thread_area(number) for number in (12, 13, 14))


def test_a_thread_that_is_not_ours_is_named(stopped: list[Tracee]) -> None:
    with pytest.raises(KernelError, match=f"task {NOBODY}") as caught:
        threads.look([stopped[0].tid, NOBODY])
    assert caught.value.errno == errno.ESRCH


def test_requests_keep_their_own_results(stopped: list[Tracee]) -> None:
    first, last = stopped[0], stopped[-1]
    registers = first.registers() | {"r15": 0x1234567890ABCDEF}
    requests = threads.Requests()
    requests.set_registers(first.tid, registers)
    requests.add(abi.PTRACE_CONT, NOBODY)
    requests.set_signal_mask(last.tid, 0b101)
    requests.set_xstate(last.tid, last.xstate())
    results = requests.run()
    assert results[1] == -errno.ESRCH
    assert [result < 0 for result in results] == [False, True, False, False]
    assert first.registers() == registers
    assert last.signal_mask() == 0b101


def test_the_first_failure_is_told(stopped: list[Tracee]) -> None:
    tids = [stopped[0].tid, NOBODY]
    with pytest.raises(KernelError, match=rf"a test.*task {NOBODY}|task {NOBODY}.*a test"):
        threads.must([0, 0, 0, -errno.ESRCH], tids, "a test")
    threads.must([0, 8, 0, 0], tids, "a test")
    threads.must([], [], "a test")


def test_waiting_for_all(stopped: list[Tracee]) -> None:
    tids = [tracee.tid for tracee in stopped[1:3]]
    requests = threads.Requests()
    for tid in tids:
        requests.add(abi.PTRACE_CONT, tid)
        requests.add(abi.PTRACE_INTERRUPT, tid)
    requests.run()
    statuses = threads.wait([*tids, os.getpid()])
    assert [status >> 16 for status in statuses[:2]] == [abi.PTRACE_EVENT_STOP] * 2
    assert statuses[2] == -errno.ECHILD


def test_a_signal_interrupts_the_waiting() -> None:
    """As the alarm that ends a freeze must."""

    class Rang(Exception):
        pass

    def ring(*_: object) -> None:
        raise Rang

    old = signal.signal(signal.SIGALRM, ring)
    with subprocess.Popen(["sleep", "1000"]) as child:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Rang):
                threads.wait([child.pid])
            signal.signal(signal.SIGALRM, lambda *_: child.send_signal(signal.SIGTERM))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert threads.wait([child.pid]) == [signal.SIGTERM]  # not the end of the waiting
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
            child.kill()
