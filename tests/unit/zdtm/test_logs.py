"""Verdicts, and the lines of a log that matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from zdtm import logs


@pytest.mark.parametrize(
    ("lines", "status", "complaint"),
    [
        (["READY", "PASS"], 0, ""),
        (["READY", "FAIL: a.c:3: lost", "PASS"], 0, "FAIL: a.c:3: lost"),
        (["ERROR: a.c:3: fork", "PASS"], 0, "ERROR: a.c:3: fork"),
        (["READY", "PASS"], 256, "the program exited with status 1 and said nothing"),
        (["READY", "PASS"], 11, "the program was killed by SIGSEGV and said nothing"),
        (["READY"], 0, "the program exited without a verdict"),
        (["PASS", "more"], 0, "the program exited without a verdict"),
        ([], 0, "the program exited without a verdict"),
    ],
)
def test_verdict(lines: list[str], status: int, complaint: str) -> None:
    assert logs.complaint(lines, status) == complaint


def test_ready_is_a_line_of_its_own() -> None:
    assert logs.is_ready(["x", "READY"])
    assert not logs.is_ready(["NOT READY"])


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        (["SKIP: no avx: none"], 0, "no avx: none"),
        (["READY"], 0, ""),
        (["SKIP: no avx", "ERROR: a.c:3: fork"], 0, ""),
        (["SKIP: no avx"], 11, ""),
    ],
)
def test_skip(lines: list[str], status: int, reason: str) -> None:
    assert logs.skip_reason(lines, status) == reason


def test_errors_and_warnings_are_the_excerpt(tmp_path: Path) -> None:
    log = tmp_path / "1" / "dump.log"
    log.parent.mkdir()
    log.write_text("(0) fine\n(1) Warn  (a.c:1): odd\n(2) Errors: none\n(3) Error (b.c:2): bad\n")
    (excerpt,) = logs.engine_excerpt(log)
    assert excerpt == ("1/dump.log", ("(1) Warn  (a.c:1): odd", "(3) Error (b.c:2): bad"))


@pytest.mark.parametrize(
    ("line", "crash"),
    [
        ("Traceback (most recent call last):", True),
        ("(00.1) Error (amber): bug in Amber: KeyError: 5", True),
        ("(00.1) Error (amber): pid 5: no", False),
    ],
)
def test_crashes_that_exit_like_failures(line: str, crash: bool) -> None:
    assert logs.is_crash(f"(00.0) begin\n{line}\n") == crash


def test_without_such_lines_it_is_the_end(tmp_path: Path) -> None:
    log = tmp_path / "dump.log"
    log.write_text("\n".join(map(str, range(100))))
    (excerpt,) = logs.engine_excerpt(log)
    assert excerpt.lines == tuple(map(str, range(85, 100)))


def test_a_missing_log_is_none(tmp_path: Path) -> None:
    assert logs.engine_excerpt(tmp_path / "none") == []
