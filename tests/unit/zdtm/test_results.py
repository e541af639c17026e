"""Expected failures, and what comes over the wire from a worker."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from zdtm.description import MODES, Expectation
from zdtm.engines import Engine
from zdtm.results import Circumstances, Excerpt, Outcome, Result, judge, kernel_matches
from zdtm.settings import Settings
from zdtm.worker import settings_from_json, settings_to_json

TODAY = datetime.date(2026, 11, 23)
HERE = Circumstances(("amber",), ("plain",), "6.18.44-x", TODAY)
KNOWN = Expectation("any", "", "dump", "known", TODAY, MODES, True)
FAILED = Result("a", Outcome.FAILED, "dump", "it broke")
PASSED = Result("a", Outcome.PASSED)


def outcome(result: Result, expectation: Expectation, here: Circumstances = HERE) -> Outcome:
    return judge(result, [expectation], here).outcome


def test_without_expectations_nothing_changes() -> None:
    assert judge(FAILED, [], HERE) == FAILED
    assert judge(PASSED, [], HERE) == PASSED


def test_a_known_failure_is_expected_and_says_why() -> None:
    result = judge(FAILED, [KNOWN], HERE)
    assert (result.outcome, result.message) == (Outcome.EXPECTED, "known (it broke)")


def test_another_step_is_not_what_was_expected() -> None:
    assert outcome(FAILED._replace(step="unharmed"), KNOWN) is Outcome.FAILED


def test_a_crash_or_hang_is_never_expected() -> None:
    assert outcome(FAILED._replace(hard=True), KNOWN) is Outcome.FAILED


def test_an_unexpected_pass_fails() -> None:
    result = judge(PASSED, [KNOWN], HERE)
    assert result.outcome is Outcome.FAILED
    assert "remove expect_fail" in result.message
    assert outcome(PASSED, KNOWN._replace(always=False)) is Outcome.PASSED


def test_out_of_date_expectations_fail() -> None:
    late = HERE._replace(today=TODAY + datetime.timedelta(1))
    for result in (FAILED, PASSED):
        assert outcome(result, KNOWN, late) is Outcome.FAILED
        assert "out of date since 2026-11-23" in judge(result, [KNOWN], late).message


def test_a_skip_stays_one() -> None:
    skipped = Result("a", Outcome.SKIPPED, message="no moon")
    assert judge(skipped, [KNOWN], HERE) == skipped


@pytest.mark.parametrize(
    "other",
    [
        KNOWN._replace(engine="criu"),
        KNOWN._replace(kernel="< 6.18"),
        KNOWN._replace(modes=("norst", "iters")),
    ],
)
def test_an_expectation_for_other_circumstances_does_not_count(other: Expectation) -> None:
    assert outcome(FAILED, other) is Outcome.FAILED
    assert outcome(PASSED, other) is Outcome.PASSED


@pytest.mark.parametrize(
    ("comparisons", "matches"),
    [
        ("", True),
        ("< 6.18", False),
        ("<= 6.18", True),
        ("< 6.18.45", True),
        ("> 6", False),
        (">= 6", True),
        ("== 6.18", True),
        ("> 6.9", True),
        (">= 5.10, < 6.12", False),
        (">= 5.10, < 7", True),
    ],
)
def test_kernels(comparisons: str, matches: bool) -> None:
    assert kernel_matches(comparisons, "6.18.44-fc-v657") is matches


def test_with_two_engines_either_may_fail_and_a_pass_is_no_surprise() -> None:
    both = HERE._replace(engines=("amber", "criu"))
    for engine in ("amber", "criu", "any"):
        assert outcome(FAILED, KNOWN._replace(engine=engine), both) is Outcome.EXPECTED
        assert outcome(PASSED, KNOWN._replace(engine=engine), both) is Outcome.PASSED


def test_settings_come_back_from_json() -> None:
    one, other = Engine(Path("/a"), "amber"), Engine(Path("/c"), "criu")
    for settings in (Settings(one), Settings(one, "stop", 3, 1.5, "always", Path("/r"), other)):
        assert settings_from_json(json.loads(json.dumps(settings_to_json(settings)))) == settings


def test_json_and_back() -> None:
    result = FAILED._replace(excerpts=(Excerpt("log", ("one", "two")),), hard=True, seconds=1.5)
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
