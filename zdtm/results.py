"""What came of a run, and whether that was expected."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

from .description import Expectation


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


class Circumstances(NamedTuple):
    """What expected failures depend on."""

    engines: tuple[str, ...]  # kinds: of the one that dumps, and of the one that restores if it is another
    modes: tuple[str, ...]
    kernel: str  # release, `6.18.44-x`
    today: datetime.date


def judge(result: Result, expectations: Sequence[Expectation], here: Circumstances) -> Result:
    """Applies the expected failures of a description to what came of its run."""
    if result.outcome not in (Outcome.PASSED, Outcome.FAILED):
        return result
    applicable = [each for each in expectations if _applies(each, here)]
    for each in applicable:
        if each.until < here.today:
            text = f"the expected failure is out of date since {each.until}: {each.reason}"
            return result._replace(outcome=Outcome.FAILED, step=result.step or "verdict", message=text)
    sure = [each for each in applicable if each.always and len(here.engines) == 1]
    if result.outcome is Outcome.PASSED and sure:
        text = f"it passed, but was expected to fail: {sure[0].reason}; remove expect_fail"
        return result._replace(outcome=Outcome.FAILED, step="verdict", message=text)
    for each in applicable:
        if result.outcome is Outcome.FAILED and not result.hard and each.step == result.step:
            return result._replace(outcome=Outcome.EXPECTED, message=f"{each.reason} ({result.message})")
    return result


def _applies(expectation: Expectation, here: Circumstances) -> bool:
    return (
        expectation.engine in ("any", *here.engines)
        and any(mode in here.modes for mode in expectation.modes)
        and kernel_matches(expectation.kernel, here.kernel)
    )


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
