"""Reading ahead: the same texts, each given once; what found no room is read when it is asked for."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from engine.errors import KernelError
from engine.kernel.proc import ProcDir
from engine.kernel.proc.ahead import FILES, LINKS, Reader, hold_children

if TYPE_CHECKING:
    from collections.abc import Iterator

STEADY = ("limits", "auxv", "personality", "oom_score_adj")


@pytest.fixture
def proc() -> Iterator[ProcDir]:
    with ProcDir(os.getpid()) as proc:
        yield proc


def reader(mappings: int = 2000, threads: int = 64) -> Reader:
    made = Reader()
    made.expect(mappings, threads)
    return made


def test_texts_are_those_of_the_files(proc: ProcDir) -> None:
    texts = {name: proc.read(name) for name in STEADY}
    links = {name: proc.link(name) for name in ("exe", "cwd", "root", "ns/net", "ns/pid_for_children")}
    reader().read([(proc, [os.getpid()])])
    assert set(FILES) <= set(proc.held)
    assert {name: proc.held[name] for name in STEADY} == texts
    assert {name: proc.link(name) for name in links} == links
    assert f"task/{os.getpid()}/cgroup" in proc.held
    assert proc.status().pid == os.getpid()


def test_a_text_is_given_once(proc: ProcDir) -> None:
    reader().read([(proc, [])])
    proc.held["oom_score_adj"] = b"12345\n"
    assert proc.number("oom_score_adj") == 12345
    assert proc.number("oom_score_adj") != 12345


def test_what_found_no_room_is_read_when_it_is_asked_for(proc: ProcDir) -> None:
    limits = proc.read("limits")
    small = Reader()
    small._texts = bytearray(2 * len(limits))
    small.read([(proc, [])])
    assert not set(FILES) <= set(proc.held)
    assert proc.read("limits") == limits
    assert proc.smaps()


def test_errors_come_when_somebody_asks(proc: ProcDir) -> None:
    reader().read([(proc, [1 << 22])])
    with pytest.raises(KernelError, match="task/4194304/cgroup"):
        proc.read("task/4194304/cgroup")
    assert set(LINKS) & set(proc.held)


def test_many_threads(proc: ProcDir) -> None:
    done = threading.Event()
    others = [threading.Thread(target=done.wait) for _ in range(40)]
    for other in others:
        other.start()
    try:
        tids = proc.tasks()
        hold_children(proc, tids)
        assert len(proc.held) == len(tids) > 40
        reader().read([(proc, tids)])
        names = {f"task/{tid}/{name}" for tid in tids for name in ("status", "cgroup")} - {f"task/{proc.pid}/status"}
        assert names <= set(proc.held)
        assert f"Pid:\t{tids[-1]}\n".encode() in proc.held[f"task/{tids[-1]}/status"]
    finally:
        done.set()
        for other in others:
            other.join()
