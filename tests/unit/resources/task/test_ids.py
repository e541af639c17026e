"""What threads and processes share."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from engine.abi.sched import CLONE_FILES, CLONE_FS
from engine.images import pb
from engine.resources.task import ids

FEW = 3


def live(writer: int, flags: int) -> None:
    """A process with threads, one of which, not the last, leaves what they share."""
    ready = threading.Barrier(FEW + 1)

    def body(leave: int) -> None:
        ctypes.CDLL(None).unshare(leave)
        ready.wait()
        signal.pause()

    for number in range(FEW):
        threading.Thread(target=body, args=(flags if number == 1 else 0,), daemon=True).start()
    ready.wait()
    os.write(writer, b".")
    signal.pause()


def refused_of(pid: int) -> list[tuple[int, str]]:
    refused: list[tuple[int, str]] = []

    def thread(tid: int) -> Any:
        return SimpleNamespace(tid=tid, refuse=lambda reason: refused.append((tid, reason)))

    tids = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    task: Any = SimpleNamespace(pid=pid, threads=[thread(tid) for tid in tids], ids=pb.task_kobj_ids_entry())
    ids.collect_tree(SimpleNamespace(alive=[task]))  # type: ignore[arg-type]
    return [(tids.index(tid), reason) for tid, reason in refused]


@pytest.mark.parametrize(
    "flags, what",
    [(0, ""), (CLONE_FS, "working directory and umask"), (CLONE_FILES, "descriptor table")],
)
def test_a_thread_that_left_what_its_process_has_is_refused(flags: int, what: str) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        live(writer, flags)
    try:
        os.read(reader, 1)
        refused = refused_of(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
    assert refused == ([(2, f"it has a {what} of its own, which is not supported")] if what else [])
