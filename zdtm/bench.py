"""`zdtm bench`: how long a checkpoint takes, engine against engine.

Engines take turns (A B A B …) in one run on one machine, each round with a fresh process; medians are compared.
Frozen time is what the engine's own stats-dump says; wall times are those of the commands, from start to end, and for
an engine that is a Python library also of a call in a process that has it imported ("warm"). Images lie on a
memory file system. Before each round memory and file are touched, because on a virtual machine the first touch is dear.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from . import build, images, logs, proc, syscalls
from .engines import Engine

MIB = 1 << 20
_PATIENCE = 10.0  # seconds that a victim gets to be gone


class Row(NamedTuple):
    """One kind of victim."""

    name: str
    arguments: tuple[str, ...]
    memory: int  # bytes to prime


ROWS = (
    Row("idle", ("idle",), 0),
    Row("1 MiB", ("memory", "1"), MIB),
    Row("64 MiB", ("memory", "64"), 64 * MIB),
    Row("512 MiB", ("memory", "512"), 512 * MIB),
    Row("2048 MiB", ("memory", "2048"), 2048 * MIB),
    Row("100 threads", ("threads", "100"), 0),
    Row("100 processes", ("processes", "100"), 0),
    Row("1000 files", ("files", "1000"), 0),
)


class Sample(NamedTuple):
    """One round. Times in milliseconds, sizes in bytes."""

    frozen: float
    dump_wall: float
    restore_wall: float
    restore_warm: float | None
    image_bytes: int
    peak_memory: int  # of the larger command


COLUMNS = {
    "frozen": "frozen ms", "dump_wall": "dump ms", "restore_wall": "restore ms", "restore_warm": "restore warm ms",
    "image_bytes": "image MiB", "peak_memory": "peak MiB",
}  # fmt: skip


class BenchError(Exception):
    """A round could not be measured."""


def chosen(pattern: str) -> list[Row]:
    """The rows whose names match a regular expression. Raises BenchError when there is none."""
    try:
        rows = [row for row in ROWS if re.search(pattern, row.name)]
    except re.error as error:
        raise BenchError(f"{pattern!r} is no regular expression: {error}") from None
    if not rows:
        raise BenchError(f"{pattern!r} matches none of {', '.join(row.name for row in ROWS)}")
    return rows


def run(engines: list[Engine], rows: list[Row], rounds: int, place: Path) -> dict[str, dict[str, list[Sample]]]:
    """{row: {engine: samples}}; the engines in turns."""
    syscalls.become_subreaper()
    victim = build.program("bench-victim", [build.LIBRARY / "victim.c"])
    found: dict[str, dict[str, list[Sample]]] = {}
    for row in rows:
        samples = found.setdefault(row.name, {engine.kind: [] for engine in engines})
        for _ in range(rounds):
            for engine in engines:
                with tempfile.TemporaryDirectory(dir=place, prefix="zdtm-bench-") as directory:
                    _prime(row.memory, Path(directory))
                    samples[engine.kind].append(Round(engine, victim, row, Path(directory)).measure())
                _tell(".")
    _tell("\n")
    return found


class Round:
    """One victim, one dump, one restore (or two: by the command and warm)."""

    def __init__(self, engine: Engine, victim: Path, row: Row, directory: Path) -> None:
        self.engine, self.victim, self.row = engine, victim, row
        self.images, self.work = directory / "images", directory / "work"
        self.images.mkdir()
        self.work.mkdir()
        self.peak = 0
        self.victims: list[subprocess.Popen[bytes]] = []

    def measure(self) -> Sample:
        """The victim is ended whatever happens."""
        try:
            pid = self._start()
            dump_wall = self._command("dump", "-t", str(pid))
            self._reap(pid)
            frozen = images.frozen_time((self.images / "stats-dump").read_bytes()) / 1e3
            size = sum(file.stat().st_size for file in self.images.iterdir())
            restore_wall = self._command("restore", "--restore-detached", "--pidfile", str(self.work / "pid"))
            self._end(pid)
            warm = self._warm(pid) if self.engine.kind == "amber" else None
            return Sample(frozen, dump_wall, restore_wall, warm, size, self.peak)
        finally:
            for victim in self.victims:  # also when it was dumped: a restore may have been interrupted
                self._end(victim.pid)

    def _start(self) -> int:
        process = subprocess.Popen(
            [self.victim, *self.row.arguments], cwd=self.work, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        process.returncode = 0  # it is reaped by us, not by Popen
        self.victims.append(process)
        assert process.stdout is not None
        with process.stdout as ready:
            if ready.read(1) != b"!":
                raise BenchError(f"{self.row.name}: the victim did not start")
        time.sleep(0.05)
        return process.pid

    def _command(self, command: str, *words: str) -> float:
        """Milliseconds of one command of the engine."""
        log = self.images / f"{command}.log"
        head = [str(self.engine.command), command, "--no-default-config"]
        argv = [*head, "-D", str(self.images), "-o", log.name, "-v1", *words]
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, os.environ)
        _, status, usage = os.wait4(pid, 0)
        wall = (time.perf_counter() - began) * 1e3
        if status:
            said = "\n".join(logs.read(log))[-400:]
            raise BenchError(f"{self.engine.kind} {command}, {self.row.name}: status {status}: {said}")
        self.peak = max(self.peak, usage.ru_maxrss * 1024)
        return wall

    def _warm(self, pid: int) -> float:
        """Milliseconds of engine.restore() in a process that has it imported."""
        argv = [sys.executable, "-c", WARM, str(self.images)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"warm restore, {self.row.name}: {done.stderr[-400:]}")
        self._end(pid)
        return float(done.stdout)

    def _end(self, pid: int) -> None:
        """Ends a victim and all that belongs to its session, and reaps them (we are their subreaper)."""
        for member in _session(pid):
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._reap(pid)

    def _reap(self, pid: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while members := _session(pid):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.engine.kind}, {self.row.name}: the processes {members} are not gone")
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.001)


WARM = """
import ctypes, sys, time
import engine
import engine.restorer
began = time.perf_counter()
engine.restore(engine.RestoreOptions(images_dir=sys.argv[1], detached=True))
print((time.perf_counter() - began) * 1e3)
"""


def table(found: dict[str, dict[str, list[Sample]]]) -> str:
    """Markdown: medians, and the ratio of the first engine to the second."""
    engines = list(next(iter(found.values())))
    lines = ["| victim | " + " | ".join(f"{title}: {' / '.join(engines)}" for title in COLUMNS.values()) + " |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for row, samples in found.items():
        cells = [_cell([_median(samples[e], column) for e in engines], column) for column in COLUMNS]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(found: dict[str, dict[str, list[Sample]]]) -> str:
    """Every sample."""
    plain = {row: {e: [s._asdict() for s in many] for e, many in samples.items()} for row, samples in found.items()}
    return json.dumps({"unit": {"times": "ms", "sizes": "bytes"}, "rows": plain}, indent=1)


def _cell(medians: list[float | None], column: str) -> str:
    scale = MIB if column in ("image_bytes", "peak_memory") else 1
    text = " / ".join("-" if m is None else f"{m / scale:.1f}" for m in medians)
    if len(medians) == 2 and all(medians) and medians[0] is not None and medians[1] is not None:
        text += f" ({medians[0] / medians[1]:.2f})"
    return text


def _median(samples: list[Sample], column: str) -> float | None:
    values = [getattr(sample, column) for sample in samples]
    return statistics.median(values) if values and None not in values else None


def _session(pid: int) -> list[int]:
    return [member for member, stat in proc.processes() if stat.session == pid]


def _prime(size: int, directory: Path) -> None:
    """Touches as much memory, and writes a file, of that size: what the host backs now, it backs in the round. A child
    does it, so that our own peak stays small: a command inherits it as its own (getrusage(2), ru_maxrss)."""
    if not size:
        return
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    try:
        _touch(size, directory / "scratch")
    finally:
        os._exit(0)


def _touch(size: int, scratch: Path) -> None:
    with mmap.mmap(-1, size) as area:
        for at in range(0, size, mmap.PAGESIZE):
            area[at] = 1
    with scratch.open("wb") as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    scratch.unlink()


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()
