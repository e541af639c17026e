"""The log: levels, prefixes, times, and that nothing is written before flush."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Iterator

import pytest

from engine import log as logs
from engine.log import Log, Progress

ROWS = ("G16",)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def shown(pipe: tuple[int, int], level: int) -> str:
    log = Log(pipe[1], level)
    log.error("broken")
    log.warning("odd")
    log.info("stage")
    log.debug("detail")
    log.message("looks good")
    log.flush()
    os.set_blocking(pipe[0], False)
    return os.read(pipe[0], 4096).decode()


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (0, ["looks good"]),
        (1, ["Error (amber): broken", "looks good"]),
        (2, ["Error (amber): broken", "Warn (amber): odd", "looks good"]),
    ],
)
def test_levels(pipe: tuple[int, int], level: int, lines: list[str]) -> None:
    assert shown(pipe, level).splitlines() == lines


@pytest.mark.parametrize(("level", "count"), [(3, 4), (4, 5), (9, 5)])
def test_lines_have_times_from_level_3(pipe: tuple[int, int], level: int, count: int) -> None:
    lines = shown(pipe, level).splitlines()
    assert len(lines) == count
    assert all(re.match(r"\(\d\d\.\d{6}\) \w", line) for line in lines)


def test_every_line_of_a_text_has_the_prefix(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.error("one\ntwo")
    log.flush()
    assert os.read(pipe[0], 4096) == b"Error (amber): one\nError (amber): two\n"


def test_nothing_is_written_before_flush_and_all_of_it_once(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)
    log = Log(pipe[1])
    log.error("broken")
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    log.flush()
    log.flush()
    assert os.read(pipe[0], 4096) == b"Error (amber): broken\n"


def test_a_log_that_cannot_be_written_does_not_stop_the_work() -> None:
    log = Log(os.open("/dev/full", os.O_WRONLY))
    log.error("broken")
    log.flush()


def test_the_silent_log_keeps_nothing() -> None:
    logs.SILENT.error("broken")
    logs.SILENT.message("looks good")
    assert logs.SILENT._lines == []


def test_progress_on_a_terminal_is_one_line_that_goes_away() -> None:
    ours, theirs = pty.openpty()
    progress = Progress(theirs)
    progress.show("pages", 1, 4)
    progress.show("images")
    progress.clear()
    progress.clear()
    expected = b"\r\x1b[Kpages 25%\r\x1b[Kimages\r\x1b[K"
    seen = b""
    while len(seen) < len(expected):  # a terminal hands over what it has got so far
        seen += os.read(ours, 4096)
    assert seen == expected


def test_no_progress_in_a_pipe(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)
    Progress(pipe[1]).show("pages", 1, 4)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
