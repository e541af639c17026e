"""What becomes of the tasks of a restore that fails: none is left, and nobody else is waited for."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import AmberError, KernelError
from engine.kernel.proc import ProcDir
from engine.kernel.ptrace import Tracee
from engine.kernel.skeleton import Role, Troupe
from engine.plan.builder import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="making pids needs the rights of root")
BASE = 0x10000000
CLONE_PTRACE, SIGCHLD = 0x2000, 17


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Another child of ours."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def free_pids() -> tuple[int, int]:
    """Two that nobody has just now."""
    found = [pid for pid in range(30000, 32000) if not os.path.exists(f"/proc/{pid}")]
    return found[0], found[1]


def troupe(last: str) -> Troupe:
    """A parent that bears a child; then both halt, or the parent ends, or an op of it fails."""
    plan, (pid, child_pid) = Plan(halt=23), free_pids()
    parent, child = plan.actor("the parent"), plan.actor("the child")
    emit = parent.emit("the parent")
    emit.spawn(child, CLONE_PTRACE, child_pid, SIGCHLD)
    if last != "halt":
        emit.call("exit_group", 0) if last == "end" else emit.call("close", -1)
    emit.halt()
    child.emit("the child").halt()
    plan.layout()
    return Troupe(plan, BASE, [Role(pid, pid, parent), Role(child_pid, child_pid, child)])


def children() -> str:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read()


def lives(tid: int) -> bool:
    """Zombies are left to whoever has inherited them."""
    try:
        with ProcDir(tid) as proc:
            return proc.stat().state not in "ZX"
    except KernelError:
        return False


@pytest.mark.parametrize("last", ["halt", "end", "fail"])
def test_nobody_is_left(bystander: subprocess.Popen[bytes], last: str) -> None:
    before = children()
    story: Any = pytest.raises(ZeroDivisionError if last == "halt" else AmberError)
    with story, troupe(last) as made:
        made.play([], 3)
        raise ZeroDivisionError
    assert children() == before
    assert not [tid for tid in made.by_tid if lives(tid)]
    assert bystander.poll() is None


def test_a_root_that_nobody_traces_yet(bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    before = children()
    monkeypatch.setattr(Tracee, "seize", fail)
    with pytest.raises(ZeroDivisionError), troupe("halt") as made:
        made.play([], 3)
    assert children() == before
