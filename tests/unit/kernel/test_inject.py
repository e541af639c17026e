"""Injection when something else happens: processes that are killed meanwhile, foreign signals, libraries replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from engine import questions
from engine.errors import AmberError, KernelError
from engine.kernel import inject, threads
from engine.kernel.freeze import Freezer
from engine.kernel.home import Home
from engine.kernel.inject import Injection, cure, find_gadgets, run
from engine.kernel.proc import ProcDir
from engine.plan.ops import Slot
from engine.questions import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from engine.kernel.proc import Mapping
    from engine.plan.builder import Emitter

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="injection needs the rights of root")

PROGRAM = """
import threading, time
threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(100000)], daemon=True).start()
for number in range(100000):
    print(number, flush=True)
    time.sleep(0.001)
"""


class Victim:
    """A process that counts, frozen, and an injection of it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
        self.line()
        self.freezer = Freezer(self.process.pid)
        self.freezer.freeze()
        self.threads = self.freezer.processes[0].threads
        self.homes = {thread.tid: Home.of(thread) for thread in self.threads}
        self.maps = self._maps()
        self.injection = Injection(self.threads, self.homes, find_gadgets(self.process.pid, self.maps), self.maps)
        self.ask(lambda emit: emit.call("gettid"))

    def ask(self, question: Callable[[Emitter], object]) -> None:
        """The same to every thread."""
        module = cast("ModuleType", SimpleNamespace(ask_thread=question))
        names = [f"thread {thread.tid}" for thread in self.threads]
        self.injection.form = Form([module], names, {}, self.injection.homes[self.process.pid].frame_size)

    def _maps(self) -> list[Mapping]:
        with ProcDir(self.process.pid) as proc:
            return proc.maps()

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def kill(self) -> None:
        """Somebody else does, and it is on its way before we go on."""
        self.process.send_signal(signal.SIGKILL)
        end = time.monotonic() + 10
        while any(self._state(tid) not in "ZX" for tid in os.listdir(f"/proc/{self.process.pid}/task")):
            assert time.monotonic() < end

    def _state(self, tid: str) -> str:
        with ProcDir(int(tid)) as proc:
            return proc.stat().state

    def check(self) -> None:
        """It was put back, and goes on counting."""
        assert self.injection.cured
        assert {thread.tid: Home.of(thread) for thread in self.threads} == self.homes
        assert self._maps() == self.maps
        self.freezer.thaw()
        before = int(self.line())
        assert [int(self.line()) for _ in range(100)] == list(range(before + 1, before + 101))

    def end(self) -> None:
        self.freezer.thaw()
        self.process.kill()
        with self.process:  # reaped, and its pipe closed
            self.injection.close()


@pytest.fixture
def victims() -> Iterator[list[Victim]]:
    descriptors = os.listdir("/proc/self/fd")
    made = [Victim() for _ in range(3)]
    yield made
    for victim in made:
        victim.end()
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def injections(victims: list[Victim]) -> list[Injection]:
    return [victim.injection for victim in victims]


def test_all_come_home(victims: list[Victim]) -> None:
    run(injections(victims))
    cure(injections(victims))
    for victim in victims:
        victim.check()


@pytest.mark.parametrize("moment", ["before", "loaded", "after"])
def test_one_that_is_killed_does_not_harm_the_others(
    victims: list[Victim], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = Injection.fill

    def kill_and_fill(injection: Injection) -> None:
        if injection is victims[1].injection:
            victims[1].kill()
        fill(injection)

    if moment == "before":
        victims[1].kill()
    if moment == "loaded":
        monkeypatch.setattr(Injection, "fill", kill_and_fill)
    if moment == "after":
        run(injections(victims))
        victims[1].kill()
    else:
        with pytest.raises(AmberError, match=r"ESRCH|ended by signal 9"):
            run(injections(victims))
    with pytest.raises(AmberError, match=r"ESRCH|ended by signal 9"):
        cure(injections(victims))
    victims[0].check()
    victims[2].check()


@pytest.mark.parametrize("round_", range(1, 8))
def test_one_that_is_killed_while_everybody_runs(
    victims: list[Victim], round_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of the times that all are waited for: in and out of mmap, the plan, in and out of munmap."""
    wait, rounds = threads.wait, 0

    def kill_then(tids: list[int]) -> list[int]:
        nonlocal rounds
        rounds, statuses = rounds + 1, wait(tids)
        if rounds == round_:
            victims[1].kill()
        return statuses

    monkeypatch.setattr(threads, "wait", kill_then)
    errors = []
    for story in (run, cure):
        try:
            story(injections(victims))
        except AmberError as error:
            errors.append(error)
    assert errors or rounds < round_
    victims[0].check()
    victims[2].check()


def test_somebody_elses_signal_is_no_halt(victims: list[Victim], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "verify", lambda *_: None)  # nobody is asked to sleep but here
    victim = victims[0]
    slots: list[Slot] = []

    def question(emit: Emitter) -> None:
        emit.call("nanosleep", emit.pack("QQ", 0, 200_000_000), 0)
        slots.append(emit.call("gettid"))

    victim.ask(question)
    timer = threading.Timer(0.05, victim.process.send_signal, (victim.injection.halt,))
    timer.start()
    run([victim.injection])
    timer.join()
    plan = victim.injection.form.plan
    with victim.injection.answers() as view:
        found = [int.from_bytes(view[at : at + 8], "little") for at in map(plan.slot_offset, slots)]
    assert found == [thread.tid for thread in victim.threads]
    cure(injections(victims))
    victim.check()


def test_code_that_was_replaced_is_searched_again(victims: list[Victim], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of an inode may be true of a file that is not there any more."""
    victim = victims[0]
    right = victim.injection.gadgets
    wrong = dict.fromkeys(inject._known, (0, 0))
    monkeypatch.setattr(inject, "_known", wrong)
    again = Injection(victim.threads, victim.homes, find_gadgets(victim.process.pid, victim.maps), victim.maps)
    again.close()
    assert again.gadgets == right
    cure(injections(victims))


def test_stepping_that_fails_is_cured(victims: list[Victim]) -> None:
    def fail(_: str) -> None:
        raise AmberError("enough")

    with pytest.raises(AmberError, match="enough") as caught:
        victims[0].injection.step(fail)
    cure(injections(victims))
    assert caught.tb
    victims[0].check()


def test_nothing_runs_in_a_process_without_a_way_home(victims: list[Victim], monkeypatch: pytest.MonkeyPatch) -> None:
    """What another engine left there is removed with our own arena, or by the next dump."""
    victims[0].injection.left = victims[0].maps[:1]
    monkeypatch.setattr(inject, "make", lambda calls: pytest.fail(f"{calls}"))
    cure(injections(victims))
    for victim in victims:
        victim.check()


def test_what_cannot_be_opened_is_named(victims: list[Victim]) -> None:
    with pytest.raises(KernelError, match=rf"pid {victims[0].process.pid}: open of /proc/…/nothing failed: ENOENT"):
        victims[0].injection._open("nothing")
    cure(injections(victims))
