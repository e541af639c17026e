"""What the logs of a run say: the verdict of a test program, the lines of an engine that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .nursery import describe_status
from .results import Excerpt

_TAIL = 15  # lines


def read(path: Path) -> list[str]:
    """Lines of a log; of a missing one none."""
    try:
        return path.read_text(errors="backslashreplace").splitlines()
    except FileNotFoundError:
        return []


def is_ready(lines: Iterable[str]) -> bool:
    return "READY" in lines


def skip_reason(lines: list[str], status: int) -> str:
    """Why a program says that it cannot run here; empty when it does not say so, or when something went wrong."""
    if _failure(lines, status):
        return ""
    return next((line.partition(": ")[2] for line in lines if line.startswith("SKIP: ")), "")


def complaint(lines: list[str], status: int) -> str:
    """What keeps a program's run from being a pass; empty for PASS as the last line and exit status 0."""
    if failure := _failure(lines, status):
        return failure
    if not lines or lines[-1] != "PASS":
        return "the program exited without a verdict"
    return ""


def _failure(lines: list[str], status: int) -> str:
    for line in lines:
        if line.startswith(("FAIL", "ERROR")):
            return line
    return f"the program {describe_status(status)} and said nothing" if status else ""


_CRASH = re.compile(r"^Traceback \(most recent call last\)|bug in Amber: ", re.MULTILINE)


def is_crash(text: str) -> bool:
    """Whether an engine that exited like after any other failure says that the fault is its own."""
    return bool(_CRASH.search(text))


_ENGINE_LINE = re.compile(r"\b(Error|Warn)\b")


def engine_excerpt(path: Path) -> list[Excerpt]:
    """The last lines that speak of errors and warnings; the last lines of all if none does."""
    lines = read(path)
    telling = [line for line in lines if _ENGINE_LINE.search(line)]
    return _excerpt(path, telling or lines)


def tail_excerpt(path: Path) -> list[Excerpt]:
    return _excerpt(path, read(path))


def _excerpt(path: Path, lines: list[str]) -> list[Excerpt]:
    return [Excerpt(f"{path.parent.name}/{path.name}", tuple(lines[-_TAIL:]))] if lines else []
