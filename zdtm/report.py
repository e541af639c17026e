"""How runs are shown: live on a terminal, line by line in a pipe, and a summary of what failed and why."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO

from .description import Description
from .results import Outcome, Result

_WORDS = {
    Outcome.PASSED: "PASS",
    Outcome.FAILED: "FAIL",
    Outcome.SKIPPED: "skip",
    Outcome.EXPECTED: "xfail",
}


class Report:
    """Listens to a runner and prints. `verbose` also prints each step."""

    def __init__(self, total: int, verbose: bool = False, stream: TextIO = sys.stdout) -> None:
        self._total, self._verbose, self._stream = total, verbose, stream
        self._live = stream.isatty()
        self._running: dict[str, str] = {}
        self._counts: Counter[Outcome] = Counter()
        self._began = time.monotonic()

    def started(self, test: Description) -> None:
        self._running[test.name] = ""
        self._draw()

    def reached(self, test: Description, step: str) -> None:
        self._running[test.name] = step
        if self._verbose:
            self._line(f"      {test.name}: {step}")
        self._draw()

    def finished(self, result: Result) -> None:
        self._running.pop(result.name, None)
        self._counts[result.outcome] += 1
        self._line(headline(result))
        self._draw()

    def close(self) -> None:
        """Takes the live line away."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, text: str) -> None:
        self.close()
        print(text, file=self._stream, flush=True)

    def _draw(self) -> None:
        if not self._live:
            return
        done = sum(self._counts.values())
        running = ", ".join(f"{name} ({step})" if step else name for name, step in self._running.items())
        failed = f", {self._counts[Outcome.FAILED]} failed" if self._counts[Outcome.FAILED] else ""
        seconds = time.monotonic() - self._began
        text = f"[{done}/{self._total}{failed}, {seconds:.0f} s] {running}"
        self._stream.write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()


def headline(result: Result) -> str:
    """One line for one result."""
    where = f" at {result.step}" if result.step and result.outcome is Outcome.FAILED else ""
    first_line = result.message.partition("\n")[0]
    why = f": {first_line}" if first_line else ""
    return f"{_WORDS[result.outcome]:5} {result.name}{where} ({result.seconds:.2f} s){why}"


def explain(result: Result) -> str:
    """A failure with what the logs say about it."""
    return "\n".join(_explanation(result))


def _explanation(result: Result) -> Iterator[str]:
    yield f"{result.name} failed at {result.step}: {result.message}"
    for title, lines in result.excerpts:
        yield f"  {title}:"
        yield from (f"    {line}" for line in lines)
    if result.directory:
        yield f"  kept in {result.directory}"


def summary(results: Sequence[Result], total: int, seconds: float) -> str:
    """Every failure explained, then the counts."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]] or ["no test"]
    if missing := total - len(results):
        parts.append(f"{missing} not run")
    parts[-1] += f" in {seconds:.1f} s"
    blocks = [f"\n{explain(result)}" for result in failed]
    names = [f"failed: {' '.join(sorted(result.name for result in failed))}"] if failed else []
    return "\n".join([*blocks, "", *names, ", ".join(parts)])
