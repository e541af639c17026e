"""A real program that is dumped and restored at random moments of its life, by the commands a user would type.

The program is undisturbed first; how long that took says when to strike. If it ends before all checkpoints were
made, it is started once more, so that the number asked for is always the number made.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FULL = os.environ.get("AMBER_TORTURE") == "full"
SEED = int(os.environ.get("AMBER_TORTURE_SEED", "1"))
PR_SET_CHILD_SUBREAPER = 36
MOST_LIVES = 60
LIMIT = 600.0  # seconds for one life, checkpoints included


def count(short: int, full: int) -> int:
    """How often to try: AMBER_TORTURE=full asks for the long run."""
    return full if FULL else short


def become_subreaper() -> None:
    """Restored trees whose restorer has gone come to us, so that we can wait for them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


class Program(NamedTuple):
    """What to run, where, and how its result is read."""

    argv: list[str]
    prepare: Callable[[Path], None]
    result: Callable[[Path], str]
    refusal: str = ""  # what a dump may rightly say at some moments; then the program runs on, and it is tried again


class Journey:
    """Lives of one program in directories of their own."""

    def __init__(self, program: Program, place: Path, images: Path, checkpoints: int) -> None:
        self.program, self.place, self.images = program, place, images
        self.wanted, self.made, self.refused = checkpoints, 0, 0
        self.random = random.Random(SEED)
        become_subreaper()

    def __str__(self) -> str:
        return f"{self.made} checkpoints, {self.refused} refusals"

    def travel(self) -> str:
        """All the checkpoints, in as many lives as they take; what the program made must not differ. Returns it."""
        undisturbed, seconds = self.live(self.place / "undisturbed", [])
        life = 0
        while self.made < self.wanted:
            life += 1
            moments = self._moments(seconds, self.wanted - self.made)
            disturbed, _ = self.live(self.place / f"life-{life}", moments)
            assert disturbed == undisturbed, f"life {life}: {disturbed!r}, undisturbed {undisturbed!r}"
            assert life <= MOST_LIVES, "the program ends before it can be checkpointed"
        return undisturbed

    def live(self, place: Path, moments: list[float]) -> tuple[str, float]:
        """One life, checkpointed after each of `moments` (seconds of running since the last one)."""
        place.mkdir(parents=True)
        self.program.prepare(place)
        with open(place / "log", "wb") as log:
            process = subprocess.Popen(
                self.program.argv, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            seconds = self._run(process.pid, moments)
        except BaseException:
            end_session(process.pid)
            raise
        finally:
            process.returncode = 0  # reaped here, as a child of ours or as an orphan
        return self.program.result(place), seconds

    def _run(self, pid: int, moments: list[float]) -> float:
        started = time.monotonic()
        for moment in moments:
            if self._ended(pid, moment):
                return time.monotonic() - started
            self._checkpoint(pid)
        if not self._ended(pid, LIMIT):
            raise AssertionError(f"pid {pid} hangs after checkpoint {self.made}")
        return time.monotonic() - started

    def _moments(self, seconds: float, checkpoints: int) -> list[float]:
        at = sorted(self.random.uniform(0, 0.95 * seconds) for _ in range(checkpoints))
        return [b - a for a, b in zip([0.0, *at], at, strict=False)]

    def _ended(self, pid: int, within: float) -> bool:
        """Whether the root ends within so many seconds; that it ended well is then sure."""
        until = time.monotonic() + within
        while True:
            reaped, status = reap(pid)
            if reaped:
                assert status == 0, f"pid {pid} ended with status {status:#x} after {self.made} checkpoints"
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(min(0.02, max(until - time.monotonic(), 0)))

    def _checkpoint(self, pid: int) -> None:
        """Dump, end, restore; nothing if the program ends first."""
        if not self._dump(pid):
            return
        until = time.monotonic() + LIMIT
        while not reap(pid)[0]:  # the kill is asynchronous
            assert time.monotonic() < until, f"pid {pid} lives on after dump {self.made + 1}"
            time.sleep(0.01)
        reap_orphans()
        restore = amber("restore", "-d", "-D", str(self.images))
        while (
            "EEXIST" in restore.stderr and time.monotonic() < until
        ):  # somebody else on this machine has a pid of ours
            time.sleep(0.5)
            restore = amber("restore", "-d", "-D", str(self.images))
        assert restore.returncode == 0, f"restore {self.made + 1}: {restore.stderr}"
        self.made += 1

    def _dump(self, pid: int) -> bool:
        """Strikes again after a refusal that the program is known to cause. False if the program ended before."""
        while True:
            shutil.rmtree(self.images, ignore_errors=True)
            self.images.mkdir(parents=True)
            dump = amber("dump", "-t", str(pid), "-D", str(self.images))
            if dump.returncode == 0:
                return True
            if reap(pid, peek=True)[0]:
                return False
            known = self.program.refusal
            assert known and known in dump.stderr, f"dump {self.made + 1}: {dump.stderr}"
            self.refused += 1
            time.sleep(self.random.uniform(0, 0.05))


def amber(*argv: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user types it."""
    program = os.path.join(os.path.dirname(sys.executable), "amber")
    return subprocess.run(
        [program, *argv], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def reap(pid: int, peek: bool = False) -> tuple[bool, int]:
    """Whether a child has ended, and its status as wait(2) gives it."""
    if peek:
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return info is not None, 0
    reaped, status = os.waitpid(pid, os.WNOHANG)
    return reaped == pid, status


def reap_orphans() -> None:
    """Buries what a killed tree left us."""
    for child in children():
        try:
            os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            continue


def children() -> list[int]:
    """Our own, in any state."""
    pid = os.getpid()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def session_of(sid: int) -> list[int]:
    """Every process of a session, zombies left out."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", errors="replace") as file:
                state, _, _, session = file.read().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == sid and state not in "ZX":
            found.append(int(name))
    return found


def end_session(sid: int) -> None:
    """Kills what is left of a failed test."""
    for pid in session_of(sid):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    reap_orphans()
