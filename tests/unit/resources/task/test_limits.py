"""Limits that we can give, and limits that we cannot."""

from __future__ import annotations

import resource

import pytest

from engine.abi.resource import RLIM_INFINITY, RLIMIT64, RLIMIT_NOFILE
from engine.errors import ImageError
from engine.images import pb
from engine.resources.task import limits, oom, own
from tests.unit.resources.task.trees import calls, data, task, warnings, words


@pytest.fixture(params=[True, False])
def privileged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(own, "has", lambda capability: request.param)
    monkeypatch.setattr(own, "oom_score_adj", lambda: 0)
    monkeypatch.setattr(resource, "getrlimit", lambda number: (100, 1000 if number == RLIMIT_NOFILE else -1))
    return bool(request.param)


def test_a_limit_in_reach(privileged: bool) -> None:
    one = task()
    one.core.tc.rlimits.rlimits.extend(pb.rlimit_entry(cur=n, max=900) for n in range(16))
    found = calls(one, limits.restore)
    assert [words(op) for op in found] == [f"prlimit64 0 {n} & 0" for n in range(16)]
    assert RLIMIT64.unpack(data(one.tree.plan, found[7], 2, 16)) == {"rlim_cur": 7, "rlim_max": 900}
    assert not warnings(one.tree)


def test_a_hard_limit_out_of_reach_is_told(privileged: bool) -> None:
    one = task()
    wanted = pb.rlimit_entry(cur=5000, max=RLIM_INFINITY)
    assert limits.attainable(one, RLIMIT_NOFILE, wanted) == ((5000, RLIM_INFINITY) if privileged else (1000, 1000))
    assert ["RLIMIT_NOFILE" in text for text in warnings(one.tree)] == ([] if privileged else [True])


def test_infinity_is_the_highest(privileged: bool) -> None:
    wanted = pb.rlimit_entry(cur=1, max=RLIM_INFINITY)
    assert limits.attainable(task(), 0, wanted) == (1, RLIM_INFINITY)


def test_our_own_limits_are_inherited(privileged: bool) -> None:
    one = task()
    one.core.tc.rlimits.rlimits.extend(pb.rlimit_entry(cur=100, max=RLIM_INFINITY) for _ in range(RLIMIT_NOFILE))
    assert not calls(one, limits.restore)


def test_too_many_limits() -> None:
    one = task()
    one.core.tc.rlimits.rlimits.extend(pb.rlimit_entry(cur=0, max=0) for _ in range(17))
    with pytest.raises(ImageError, match="17 resource limits"):
        limits.restore(one)


def test_a_higher_oom_score_is_written(privileged: bool) -> None:
    one = task(oom_score_adj=300)
    found = calls(one, oom.restore)
    assert [words(op).split()[0] for op in found] == ["openat", "write", "close"]
    assert data(one.tree.plan, found[1], 1, 3) == b"300"
    assert not found[1].allowed


def test_our_own_oom_score_is_inherited(privileged: bool) -> None:
    assert not calls(task(oom_score_adj=0), oom.restore)


def test_a_lower_oom_score_may_be_out_of_reach(privileged: bool) -> None:
    one = task(oom_score_adj=-5)
    calls(one, oom.restore)
    assert ["out of reach" in text for text in warnings(one.tree)] == ([] if privileged else [True])
