"""Dumps and restores that go call by call: a handful of programs; `zdtm run -a --step` runs all."""

from __future__ import annotations

import os

import pytest

from zdtm import engines, suite
from zdtm.pytest_plugin import Silent
from zdtm.report import explain
from zdtm.results import Outcome
from zdtm.runner import Runner
from zdtm.settings import Settings

PROGRAMS = ("epoll", "fork_tree", "memory_cow", "memory_large", "pipe_shared", "process_groups_left", "sessions",
            "signals_pending", "stopped_threads", "threads_tree", "tree_user", "zombies")  # fmt: skip
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="checkpoints need root")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_goes_on_after_a_dump_and_a_restore_by_steps(name: str) -> None:
    (test,) = suite.collect([name])
    result = Runner(Settings(engines.find("amber"), step=True), Silent()).run(test)
    assert result.outcome is Outcome.PASSED, explain(result)
