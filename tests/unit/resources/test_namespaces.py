"""Which namespaces a tree may be in."""

from __future__ import annotations

import ctypes
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from engine.abi.sched import CLONE_NEWPID, CLONE_NEWUTS
from engine.images import pb
from engine.kernel.proc import ProcDir
from engine.resources import namespaces
from tests.unit.resources.task.trees import Born, tree

ROWS = ("NS01",)


@pytest.mark.parametrize("flags, kind", [(0, ""), (CLONE_NEWUTS, "uts"), (CLONE_NEWPID, "pid_for_children")])
def test_a_task_with_namespaces_of_its_own_is_refused(flags: int, kind: str) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, b"-" if flags and ctypes.CDLL(None).unshare(flags) else b"+")
        signal.pause()
    try:
        if os.read(reader, 1) == b"-":
            pytest.skip("unshare(2) is not allowed")
        with ProcDir(pid) as proc:
            refused: list[str] = []
            ids = pb.task_kobj_ids_entry()
            task: Any = SimpleNamespace(proc=proc, ids=ids, refuse=lambda *words: refused.append(words[1]))
            namespaces.collect_tree(SimpleNamespace(alive=[task]))  # type: ignore[arg-type]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert refused == ([f"its {kind} namespace is not the engine's, which is not supported"] if kind else [])
    assert ids.pid_ns_id == 1


def test_a_tree_that_had_namespaces_of_its_own() -> None:
    new = tree(Born(7))
    namespaces.number(new.inventory.root_ids)
    assert not namespaces.check(new)  # nothing is known of the task's
    namespaces.number(new.root.ids)
    assert not namespaces.check(new)
    new.root.ids.net_ns_id = 9
    assert [obstacle.reason for obstacle in namespaces.check(new)] == [
        "it was in a net namespace of its own, which is not supported"
    ]
