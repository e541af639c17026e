"""What people read: lines while it runs, a summary at the end."""

from __future__ import annotations

import io
from pathlib import Path

from zdtm.description import Description, load
from zdtm.report import Report, headline, summary
from zdtm.results import Excerpt, Outcome, Result

PASSED = Result("one", Outcome.PASSED, seconds=0.25)
FAILED = Result(
    "two",
    Outcome.FAILED,
    "state",
    "fd 3 is gone\nfd 4 is gone",
    1.0,
    (Excerpt("1/dump.log", ("Error (a.c:1): bad",)),),
    "/runs/two-x",
)


def a_test(directory: Path) -> Description:
    (directory / "one.c").touch()
    (directory / "one.yaml").write_text("doc: x\nrows: [X]\n")
    return load(directory / "one.yaml")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_headlines() -> None:
    assert headline(PASSED) == "PASS  one (0.25 s)"
    assert headline(FAILED) == "FAIL  two at state (1.00 s): fd 3 is gone"
    assert headline(Result("a", Outcome.SKIPPED, message="no moon")) == "skip  a (0.00 s): no moon"
    assert headline(Result("a", Outcome.EXPECTED, "dump", "known (x)")) == "xfail a (0.00 s): known (x)"


def test_summary_names_what_failed_where_and_why() -> None:
    text = summary([PASSED, FAILED], 3, 2.5)
    assert text.splitlines() == [
        "",
        "two failed at state: fd 3 is gone",
        "fd 4 is gone",
        "  1/dump.log:",
        "    Error (a.c:1): bad",
        "  kept in /runs/two-x",
        "",
        "failed: two",
        "1 passed, 1 failed, 1 not run in 2.5 s",
    ]


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    stream, test = io.StringIO(), a_test(tmp_path)
    report = Report(1, stream=stream)
    report.started(test)
    report.reached(test, "dump")
    report.finished(PASSED)
    report.close()
    assert stream.getvalue() == "PASS  one (0.25 s)\n"


def test_verbose_names_steps(tmp_path: Path) -> None:
    stream, test = io.StringIO(), a_test(tmp_path)
    Report(1, verbose=True, stream=stream).reached(test, "dump")
    assert stream.getvalue() == "      one: dump\n"


def test_a_terminal_sees_what_runs(tmp_path: Path) -> None:
    stream, test = Terminal(), a_test(tmp_path)
    report = Report(2, stream=stream)
    report.started(test)
    report.reached(test, "dump")
    assert stream.getvalue().endswith("\r\x1b[K[0/2, 0 s] one (dump)")
    report.finished(FAILED._replace(name="one"))
    assert stream.getvalue().endswith("\r\x1b[K[1/2, 1 failed, 0 s] ")
    report.close()
    assert stream.getvalue().endswith("\r\x1b[K")
