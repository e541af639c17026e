"""Amber and criu restore each other's images: a handful of programs; `zdtm compat -a` runs all.

Skipped without a criu of version 4 or newer in PATH; AMBER_CRIU may name another place.
"""

from __future__ import annotations

import os

import pytest

from zdtm import compat, suite
from zdtm.engines import EngineMissing
from zdtm.pytest_plugin import Silent
from zdtm.report import explain
from zdtm.results import Outcome
from zdtm.runner import Runner

PROGRAMS = ("file_position", "frozen_group", "memory_shared", "pipe_shared", "process_groups", "signals_pending",
            "stopped_report", "threads", "unlinked", "zombies")  # fmt: skip
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="checkpoints need root")


@pytest.fixture(scope="module")
def pairs() -> list[compat.Pair]:
    """Amber -> criu, and criu -> Amber."""
    try:
        return compat.pairs(compat.find_criu())[1:]
    except EngineMissing as error:
        pytest.skip(f"no criu to compare with: {error}")


@pytest.mark.parametrize("direction", [0, 1], ids=["amber-criu", "criu-amber"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_images_are_restored_by_the_other(name: str, direction: int, pairs: list[compat.Pair]) -> None:
    (test,) = suite.collect([name], "", [])
    result = Runner(compat.settings_of(pairs[direction]), Silent()).run(test)
    assert result.outcome is Outcome.PASSED, explain(result)
