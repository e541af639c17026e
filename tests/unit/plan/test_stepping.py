"""The blob and remote calls, in the same frozen threads: the same answers, and the task goes on as if undisturbed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from engine.abi import prctl
from engine.abi.sched import CLONE_VM
from engine.errors import EngineBug, PlanError, Refused
from engine.kernel.freeze import Freezer
from engine.kernel.home import Home
from engine.kernel.inject import Injection, cure, find_gadgets, run
from engine.kernel.proc import ProcDir
from engine.plan.ops import Slot
from engine.questions import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="injection needs the rights of root")

PROGRAM = """
import threading, time
other = threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(100000)], daemon=True)
other.start()
print("ready", flush=True)
for _ in range(100000):
    print(sum(range(1000)), flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[str]]:
    """A process of two threads that prints the same line again and again."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


class Frozen:
    """A context in which plans run in a victim, by either executor."""

    def __init__(self, pid: int) -> None:
        self.freezer = Freezer(pid)

    def __enter__(self) -> Injection:
        self.freezer.freeze()
        (process,) = self.freezer.processes
        with ProcDir(process.pid) as proc:
            maps = list(proc.maps())
        homes = {thread.tid: Home.of(thread) for thread in process.threads}
        self.injection = Injection(process.threads, homes, find_gadgets(process.pid, maps), maps)
        return self.injection

    def __exit__(self, *_: object) -> None:
        cure([self.injection])
        self.freezer.thaw()


def questions(emit: Emitter) -> None:
    emit.attempt("brk", 0)
    emit.call("gettid")
    emit.attempt("prctl", prctl.PR_GET_DUMPABLE)
    place, name = emit.buffer(8), emit.buffer(16)
    emit.call("prctl", prctl.PR_GET_TID_ADDRESS, place, 0, 0, 0)
    emit.load(place)
    emit.call("prctl", prctl.PR_GET_NAME, name)
    emit.attempt("getpgid", -5)
    emit.store(name, emit.load(name, 4), 8)


def form_for(injection: Injection, ask: Callable[[Emitter], None]) -> Form:
    """Every thread is asked the same."""
    names = [f"thread {thread.tid}" for thread in injection.threads]
    module = cast("ModuleType", SimpleNamespace(ask_thread=ask))
    return Form([module], names, {}, injection.homes[injection.leader.tid].frame_size)


def ask(pid: int, how: str) -> tuple[list[list[int]], list[str]]:
    shown = list[str]()
    with Frozen(pid) as injection:
        form = form_for(injection, questions)
        injection.form, plan = form, form.plan
        if how == "step":
            injection.step(shown.append)
        else:
            run([injection])
        view = bytes(injection.answers())
    slots = [[plan.slot_offset(Slot(actor.index, i)) for i in range(actor.slots)] for actor in plan.actors]
    return [[int.from_bytes(view[at : at + 8], "little", signed=True) for at in row] for row in slots], shown


def test_both_executors_give_the_same_answers(victim: subprocess.Popen[str]) -> None:
    by_blob, _ = ask(victim.pid, "run")
    by_steps, shown = ask(victim.pid, "step")
    assert by_steps == by_blob
    assert len(by_blob) == 2
    assert by_blob[0][1] == victim.pid
    assert any("gettid() -> " in line for line in shown)
    assert any("getpgid(pid=-5)" in line and line.endswith("-> -3") for line in shown)  # ESRCH


def test_the_victim_goes_on(victim: subprocess.Popen[str]) -> None:
    for _ in range(5):
        ask(victim.pid, "step")
        time.sleep(0.03)
    assert victim.stdout
    assert {victim.stdout.readline() for _ in range(10)} == {"499500\n"}
    assert victim.poll() is None


def test_a_failed_call_is_the_same_error(victim: subprocess.Popen[str]) -> None:
    def bad(emit: Emitter) -> None:
        emit.call("getpgid", -5)
        emit.call("getpid")

    errors = []
    for how in ("run", "step"):
        with Frozen(victim.pid) as injection, pytest.raises(PlanError) as caught:
            injection.form = form_for(injection, bad)
            run([injection]) if how == "run" else injection.step(lambda _: None)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert f"pid {victim.pid}: getpgid(pid=-5) failed: ESRCH" in errors[0]
    assert victim.poll() is None


def test_births_are_bugs(victim: subprocess.Popen[str]) -> None:
    def bear(emit: Emitter) -> None:
        child = emit.plan.actor("child")
        child.emit("child").halt()
        emit.spawn(child, CLONE_VM)

    with Frozen(victim.pid) as injection, pytest.raises(EngineBug, match="a frozen task bears nobody"):
        form_for(injection, bear)
    assert victim.poll() is None


def test_meetings_are_refused_by_name(victim: subprocess.Popen[str]) -> None:
    words: list[Ref] = []

    def meet(emit: Emitter) -> None:
        if words:
            emit.post(words[0])
        else:
            words.append(emit.buffer(4))
            emit.wait(words[0], 1)

    with Frozen(victim.pid) as injection, pytest.raises(Refused, match="waiting for another task"):
        injection.form = form_for(injection, meet)
        injection.step(lambda _: None)
    assert victim.poll() is None
