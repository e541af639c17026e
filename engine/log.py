"""The log: lines as CRIU's tools expect them, written late so that frozen tasks never wait for a disk.

Levels are CRIU's: 0 only messages, 1 errors, 2 warnings, 3 information (lines get times), 4 debugging.
Lines are collected in memory and written by `flush`, which the work calls outside of frozen time; errors
and warnings carry the prefixes "Error (amber): " and "Warn (amber): ", for which other tools search.
"""

from __future__ import annotations

import os
import time

ROWS = {"G16": "logs by level, with times"}

MESSAGE, ERROR, WARNING, INFO, DEBUG = range(5)
DEFAULT_LEVEL = WARNING
_PREFIX = {MESSAGE: "", ERROR: "Error (amber): ", WARNING: "Warn (amber): ", INFO: "", DEBUG: ""}
_LEVEL_WITH_TIMES = INFO


class Log:
    """Lines up to `level`, written to the descriptor `fd` (-1: nowhere); the caller keeps the descriptor."""

    __slots__ = ("_fd", "_lines", "_since", "level")

    def __init__(self, fd: int = -1, level: int = DEFAULT_LEVEL) -> None:
        self._fd, self.level = fd, level
        self._lines: list[str] = []
        self._since = time.monotonic_ns()

    def error(self, text: str) -> None:
        self._line(ERROR, text)

    def warning(self, text: str) -> None:
        self._line(WARNING, text)

    def info(self, text: str) -> None:
        self._line(INFO, text)

    def debug(self, text: str) -> None:
        self._line(DEBUG, text)

    def message(self, text: str) -> None:
        """A line that every level shows."""
        self._line(MESSAGE, text)

    def flush(self) -> None:
        """Write what was collected. A log that cannot be written does not stop the work."""
        data = "".join(self._lines).encode(errors="surrogateescape")
        self._lines.clear()
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:
                return

    def _line(self, level: int, text: str) -> None:
        if level > self.level or self._fd < 0:
            return
        head = self._time() if self.level >= _LEVEL_WITH_TIMES else ""
        prefix = _PREFIX[level]
        self._lines += [f"{head}{prefix}{line}\n" for line in text.splitlines()]

    def _time(self) -> str:
        microseconds = (time.monotonic_ns() - self._since) // 1000
        return f"({microseconds // 1_000_000:02d}.{microseconds % 1_000_000:06d}) "


SILENT = Log(-1, MESSAGE)


class Progress:
    """One line on a terminal that says what long work is at; nothing when `fd` is no terminal (or -1)."""

    __slots__ = ("_fd", "_shown")

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd if fd >= 0 and os.isatty(fd) else -1
        self._shown = False

    def show(self, what: str, done: int = 0, total: int = 0) -> None:
        """Show `what` and how much of it is done (`total` 0: unknown), in place of what was shown before."""
        if self._fd < 0:
            return
        share = f" {100 * done // total}%" if total else ""
        self._write(f"\r\x1b[K{what}{share}")
        self._shown = True

    def clear(self) -> None:
        """Take the line away: something else is about to be printed, or the work is done."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        try:
            os.write(self._fd, text.encode())
        except OSError:
            self._fd = -1
