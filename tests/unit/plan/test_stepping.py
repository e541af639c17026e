"""The blob and remote calls: in the same frozen threads the same answers, and the task goes on as if undisturbed; in
the tasks of a restore the same births, meetings and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from engine.abi import prctl
from engine.abi.sched import CLONE_FILES, CLONE_FS, CLONE_PTRACE, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM
from engine.abi.signal import SIG_UNBLOCK, SIGSET_SIZE
from engine.abi.wait import P_PID, WEXITED, WNOWAIT, WSTOPPED
from engine.errors import EngineBug, PlanError
from engine.kernel.freeze import Freezer
from engine.kernel.home import Home
from engine.kernel.inject import Injection, cure, find_gadgets, run
from engine.kernel.proc import ProcDir
from engine.kernel.ptrace import Gone
from engine.kernel.skeleton import Role, Troupe
from engine.plan.builder import Plan
from engine.plan.ops import Slot
from engine.questions import Form
from tests.unit.plan.executors import BASE, FIRST_NUMBER, free_pids, play, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref

    Show = Callable[[str], None] | None

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


def test_meetings_in_frozen_tasks_are_bugs(victim: subprocess.Popen[str]) -> None:
    words: list[Ref] = []

    def meet(emit: Emitter) -> None:
        if words:
            emit.post(words[0])
        else:
            words.append(emit.buffer(4))
            emit.wait(words[0], 1)

    with Frozen(victim.pid) as injection, pytest.raises(EngineBug, match="asked questions do not meet"):
        injection.form = form_for(injection, meet)
        injection.step(lambda _: None)
    assert victim.poll() is None


# The tasks of a restore

THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_PTRACE
Executors = pytest.mark.parametrize("show", [None, lambda _: None], ids=["blob", "steps"])


def root_of(plan: Plan) -> Emitter:
    """The first actor, without descriptors."""
    emit = plan.actor("root").emit("root")
    emit.call("close_range", 0, -1, 0)
    return emit


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended: who loses his parent stays a zombie for a while."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def raise_signal(emit: Emitter, pid: int, number: int) -> None:
    """In the actor of that pid."""
    emit.call("rt_sigprocmask", SIG_UNBLOCK, emit.data((1 << number - 1).to_bytes(8, "little")), 0, SIGSET_SIZE)
    emit.call("tgkill", pid, pid, number)


@Executors
def test_a_helper_thread_ends(show: Show) -> None:
    plan, tids = Plan(23), free_pids(1)
    root = root_of(plan)
    helper, word, place = plan.actor("helper"), plan.buffer(4), plan.buffer(8)
    root.spawn(helper, THREAD)
    root.wait(word, 1)
    root.load(place)
    root.halt()
    emit = helper.emit("helper")
    emit.store(place, 4711)
    emit.post(word)
    emit.attempt("exit", 0)
    assert play(plan, threads(plan, tids), show).results[0][2] == 4711


@Executors
@pytest.mark.parametrize("end", ["exit_group", "SIGKILL", "SIGSEGV"])
def test_a_parent_sees_its_child_die(show: Show, end: str) -> None:
    """Who may be asleep in waitid long before that."""
    plan, tids = Plan(23), free_pids(2)
    root = root_of(plan)
    child, word = plan.actor("child"), plan.buffer(4)
    root.spawn(child, CLONE_PTRACE, tids[1], 17)
    root.post(word)
    root.call("waitid", P_PID, tids[1], 0, WEXITED | WNOWAIT, 0)
    info = root.buffer(128)
    root.call("waitid", P_PID, tids[1], info, WEXITED, 0)
    status = root.load(info + 24, 4)
    root.halt()
    emit = child.emit("child")
    emit.wait(word, 1)
    if end == "exit_group":
        emit.call("exit_group", 5)
    else:
        raise_signal(emit, tids[1], getattr(signal, end))
    expected = {"exit_group": 5, "SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV}[end]
    assert play(plan, threads(plan, tids[:1]), show).results[0][status.index] & 0x7F == expected


@Executors
def test_all_threads_stop_before_the_parent_sees_it(show: Show) -> None:
    """A thread takes part in the stop of its process when it comes out of its wait, though it does nothing then."""
    plan, tids = Plan(23), free_pids(3)
    root, leader, thread = root_of(plan), plan.actor("leader"), plan.actor("thread")
    stop = plan.buffer(4)
    root.spawn(leader, CLONE_PTRACE, tids[1], 17)
    root.call("waitid", P_PID, tids[1], 0, WSTOPPED, 0)
    root.halt()
    emit = leader.emit("leader")
    emit.spawn(thread, THREAD, tids[2])
    raise_signal(emit, tids[1], signal.SIGSTOP)
    emit.post(stop)
    emit.halt()
    emit = thread.emit("thread")
    emit.wait(stop, 1)
    emit.halt()
    roles = [Role(tids[0], tids[0], root.actor), Role(tids[1], tids[1], leader), Role(tids[1], tids[2], thread)]
    assert play(plan, roles, show).errors == [(0, 0)] * 3


@Executors
def test_what_fails_is_named_and_nobody_is_left(show: Show) -> None:
    plan, tids = Plan(23), free_pids(3)
    root, child, other = root_of(plan), plan.actor("child"), plan.actor("other")
    never = plan.buffer(4)
    root.spawn(child, CLONE_PTRACE, tids[1], 17)
    root.spawn(other, CLONE_PTRACE, tids[2], 17)
    root.wait(never, 1)
    root.halt()
    child.emit("child").wait(never, 1)
    child.emit("child").halt()
    other.emit("pid 4711, fd 7").call("dup3", 3, 7, 0)
    other.emit("other").post(never, 2)
    other.emit("other").halt()
    with pytest.raises(PlanError, match=r"pid 4711, fd 7: dup3\(3, 7, 0\) failed: EBADF"):
        play(plan, threads(plan, tids), show)
    assert not [tid for tid in tids if is_alive(tid)]


def test_nobody_is_left_who_was_born_unseen() -> None:
    """The root fails as soon as it has children, who halt nowhere."""
    for _ in range(5):
        plan, tids = Plan(23), free_pids(7)
        root, never = root_of(plan), plan.buffer(4)
        for number in range(1, 7):
            child = plan.actor(f"child {number}")
            child.emit("child").wait(never, 1)
            child.emit("child").halt()
            root.spawn(child, CLONE_PTRACE, tids[number], 17)
        root.call("close", 0)
        root.halt()
        plan.layout()
        troupe = Troupe(plan, BASE, threads(plan, tids[:4]))
        with pytest.raises(PlanError, match="EBADF"), troupe:
            troupe.play([], FIRST_NUMBER)
        assert not [tid for tid in tids if is_alive(tid)]


@Executors
def test_an_end_that_nobody_planned_is_an_error(show: Show) -> None:
    plan, tids = Plan(23), free_pids(1)
    root = root_of(plan)
    root.attempt("exit_group", 3)
    root.halt()
    with pytest.raises(Gone, match="ended with status 3"):
        play(plan, threads(plan, tids), show)


def test_steps_that_lead_nowhere_are_a_bug() -> None:
    """No such plan gets past the verifier."""
    plan, tids = Plan(23), free_pids(1)
    root = root_of(plan)
    root.wait(plan.buffer(4), 1)
    root.halt()
    with pytest.raises(EngineBug, match="nobody goes on: root"):
        play(plan, threads(plan, tids), lambda _: None)


def test_steps_show_each_op_with_its_result() -> None:
    plan, tids = Plan(23), free_pids(2)
    root = root_of(plan)
    thread, word = plan.actor("thread"), plan.buffer(4)
    root.spawn(thread, THREAD, tids[1])
    root.wait(word, 1)
    root.halt()
    emit = thread.emit("the thread's call")
    emit.attempt("dup", 9)
    emit.post(word)
    emit.halt()
    shown: list[str] = []
    play(plan, threads(plan, tids), shown.append)
    spawn = next(line for line in shown if "clone3(" in line)
    assert spawn.startswith("root: r1 = ") and spawn.endswith(f"-> {tids[1]}")
    (dup,) = [line for line in shown if "dup(" in line]
    assert " ".join(dup.split()) == "thread: r0 = dup(9) may fail -> -9"
    assert 'root: wait for "the thread\'s call"' in shown
    assert shown.count("root: halt") == shown.count("thread: halt") == 1
