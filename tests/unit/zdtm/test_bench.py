"""Measuring: what goes wrong ends the round, and the victim with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zdtm import bench, build, proc
from zdtm.bench import ROWS, BenchError, Round
from zdtm.engines import Engine


def test_rows_by_pattern() -> None:
    assert bench.chosen("") == list(ROWS)
    assert [row.name for row in bench.chosen("^1")] == ["1 MiB", "100 threads", "100 processes", "1000 files"]


@pytest.mark.parametrize(("pattern", "complaint"), [("sockets", "matches none of idle, 1 MiB"), ("(", "no regular")])
def test_no_row_is_an_error(pattern: str, complaint: str) -> None:
    with pytest.raises(BenchError, match=complaint):
        bench.chosen(pattern)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 0", r"the processes \[\d+\] are not gone"),  # a dump that did not end the tree
        ("echo Error: no luck > $4/$6; exit 3", "dump, idle: status 768: Error: no luck"),
        ("exit 3", "dump, idle: status 768: $"),
    ],
)
def test_an_engine_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, complaint: str) -> None:
    monkeypatch.setenv("ZDTM_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(bench, "_PATIENCE", 0.2)
    command = tmp_path / "engine"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    victim = build.program("bench-victim", [build.LIBRARY / "victim.c"])
    one = Round(Engine(command, "fake"), victim, ROWS[0], tmp_path)
    with pytest.raises(BenchError, match=complaint):
        one.measure()
    assert not [pid for pid, stat in proc.processes() if stat.session == one.victims[0].pid]
    with pytest.raises(ChildProcessError):
        os.waitpid(one.victims[0].pid, 0)
