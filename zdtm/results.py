"""What came of a run, and whether that was expected."""

from __future__ import annotations

import datetime
import enum
from typing import Any, NamedTuple

from .description import Description, Expectation


class Outcome(enum.Enum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPECTED = "failed as expected"


class Excerpt(NamedTuple):
    """The part of a log that says what happened."""

    title: str
    lines: tuple[str, ...]


class Result(NamedTuple):
    """The end of one run."""

    name: str
    outcome: Outcome
    step: str = ""  # where it failed
    message: str = ""
    seconds: float = 0.0
    excerpts: tuple[Excerpt, ...] = ()
    directory: str = ""  # kept for reading; empty when removed
    hard: bool = False  # a failure that no expectation covers: a crash, a hang

    def to_json(self) -> dict[str, Any]:
        values = self._asdict()
        return {**values, "outcome": self.outcome.value}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Result:
        excerpts = tuple(Excerpt(title, tuple(lines)) for title, lines in values["excerpts"])
        return cls(**{**values, "outcome": Outcome(values["outcome"]), "excerpts": excerpts})


def judge(result: Result, test: Description, engine: str, kernel: str, today: datetime.date) -> Result:
    """Applies the expected failures of a description to what came of its run."""
    applicable = [each for each in test.expect_fail if applies(each, engine, kernel)]
    for each in applicable:
        if each.until < today:
            text = f"the expected failure is out of date since {each.until}: {each.reason}"
            return result._replace(outcome=Outcome.FAILED, step=result.step or "verdict", message=text)
    if result.outcome is Outcome.PASSED and applicable:
        text = f"it passed, but was expected to fail: {applicable[0].reason}; remove expect_fail"
        return result._replace(outcome=Outcome.FAILED, step="verdict", message=text)
    for each in applicable:
        if result.outcome is Outcome.FAILED and not result.hard and each.step == result.step:
            return result._replace(outcome=Outcome.EXPECTED, message=f"{each.reason} ({result.message})")
    return result


def applies(expectation: Expectation, engine: str, kernel: str) -> bool:
    """Is this the engine and the kernel (release, `6.18.44-x`) that the expectation speaks of?"""
    return expectation.engine in ("any", engine) and kernel_matches(expectation.kernel, kernel)


def kernel_matches(comparisons: str, release: str) -> bool:
    """All of `< 6.12, >= 5.10`; as many numbers are compared as the comparison names."""
    return all(_compare(part.split(), release) for part in comparisons.split(",") if part.strip())


def _compare(comparison: list[str], release: str) -> bool:
    operator, wanted_text = comparison
    wanted = [int(number) for number in wanted_text.split(".")]
    numbers = release.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")
    running = [int(number) for number in numbers[: len(wanted)]]
    return {
        "<": running < wanted,
        "<=": running <= wanted,
        ">": running > wanted,
        ">=": running >= wanted,
        "==": running == wanted,
    }[operator]
