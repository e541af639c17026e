"""The tree of processes that a test program is: started, looked at, stopped, told to check itself, ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import build, logs, proc
from .compare import Difference, described, differences
from .description import Description
from .facts import GONE, State
from .nursery import Late, Nursery, Place, User, describe_status, open_terminal
from .state import capture

ORDINARY_USER = User(18943, 58467, (27495, 48244))
SETTLE = 2.0  # seconds that a change from outside may take: to stand still, to stop, to be gone
_PAUSE = 0.02  # seconds between two looks at a state
_SHOWN = 10  # differences that are named


class Failure(Exception):
    """The run failed at the current step. `hard`: no expected failure covers it."""

    def __init__(self, message: str, hard: bool = False) -> None:
        super().__init__(message)
        self.hard = hard


class Skip(Exception):
    """The program says that it cannot run here."""


class Tree:
    """One program and its descendants; they are all the descendants of this process."""

    def __init__(self, test: Description, directory: Path, nursery: Nursery, timeout: float) -> None:
        self.test, self.nursery, self.timeout = test, nursery, timeout
        self.pid = 0
        self.terminal: int | None = None
        self.changes = (*test.changes, "positions") if test.transition else test.changes
        self.work = directory / "work"
        self.program = directory / "program"
        self.log = directory / "test.log"

    # ---- beginning

    def build(self) -> Path:
        """The program's copy in the run directory: other users can reach it, and it stays while it runs."""
        self.work.mkdir(mode=0o755)
        self.program.mkdir(mode=0o755)
        try:
            built = build.build(self.test)
        except build.BuildError as error:
            raise Failure(f"the compiler says:\n{error}", hard=True) from None
        executable = self.program / (self.test.name + self.test.program.suffix.replace(".c", ""))
        shutil.copy(built, executable)
        shutil.copy(build.LIBRARY / "zdtm_lib.py", self.program)
        return executable

    def start(self, executable: Path) -> None:
        """Returns when the program is ready. Raises Skip, Failure, Late."""
        user = ORDINARY_USER if self.test.user else None
        if user:
            os.chown(self.work, user.uid, user.gid)
        if self.test.terminal:
            _master, self.terminal = open_terminal()
        own_session = not self.test.terminal
        place = Place(self.work, self._environment(), self.log, own_session, user, self.terminal)
        interpreter = [_python(), "-B"] if executable.suffix == ".py" else []
        self.pid = self.nursery.spawn([*interpreter, executable, *self.test.arguments], place)
        self.nursery.until(self._has_started, self.timeout)
        lines = logs.read(self.log)
        if logs.is_ready(lines):
            return
        status = self.nursery.wait(self.pid, 0)
        if reason := logs.skip_reason(lines, status):
            raise Skip(reason)
        raise Failure(logs.complaint(lines, status), hard=True)

    def _has_started(self) -> bool:
        return logs.is_ready(logs.read(self.log)) or self.nursery.has_ended(self.pid)

    def _environment(self) -> dict[str, str]:
        here = str(self.work)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": here,
            "TMPDIR": here,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.program),
        }

    # ---- looking

    def state(self) -> State:
        """The state, once it stands still but for what the program changes."""
        last = capture(self.nursery.tree())
        deadline = time.monotonic() + SETTLE
        while time.monotonic() < deadline:
            self.nursery.rest(_PAUSE)
            if not self._changes_since(last):
                break
            last = capture(self.nursery.tree())
        return last

    def check_state(self, before: State) -> None:
        """Right after a restore a task may still be on its way into its system call, so we look again."""
        found = self._changes_since(before)
        deadline = time.monotonic() + SETTLE
        while found and time.monotonic() < deadline:
            self.nursery.rest(_PAUSE)
            found = self._changes_since(before)
        if found:
            raise Failure("\n".join(described(found, _SHOWN)))

    def _changes_since(self, before: State) -> list[Difference]:
        return differences(before, capture(self.nursery.tree()), self.changes)

    def check_gone(self, after: str) -> None:
        """No process is left, zombies included."""

        def names() -> str:
            return ", ".join(f"{pid} ({stat.comm})" for pid, stat in self._stats())

        self._await(lambda: not self.nursery.tree(), lambda: f"processes stayed after {after}: {names()}")

    def check_alive(self) -> None:
        if self.nursery.has_ended(self.pid):
            raise Failure("the dump ended the tree that it was told to leave running")

    def check_stopped(self) -> None:
        """All of it stands still, and it is there at all."""
        if self.nursery.has_ended(self.pid):
            raise Failure("the tree has ended that should be stopped")

        def moving() -> list[int]:
            return [pid for pid, stat in self._stats() if stat.state not in "TZ"]

        self._await(lambda: not moving(), lambda: f"not stopped: {moving()}")

    def _stats(self) -> list[tuple[int, proc.Stat]]:
        found = []
        for pid in self.nursery.tree():
            try:
                found.append((pid, proc.read_stat(pid)))
            except GONE:
                continue
        return found

    def _await(self, condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
        try:
            self.nursery.until(condition, SETTLE)
        except Late:
            raise Failure(complaint()) from None

    # ---- ending

    def end_stopped(self) -> None:
        """What --leave-stopped is for: the caller ends the tree."""
        self.check_stopped()
        self.nursery.end_all(SETTLE)

    def go_on(self) -> None:
        """After a restore with --leave-stopped."""
        self.check_stopped()
        for pid in self.nursery.tree():
            with contextlib.suppress(ProcessLookupError):  # woken before, it may have ended another one
                os.kill(pid, signal.SIGCONT)

    def check_verdict(self) -> None:
        """Tells the program to check itself."""
        if self.nursery.has_ended(self.pid):
            status = self.nursery.wait(self.pid, 0)
            raise Failure(f"the program {describe_status(status)} before it was told to")
        os.kill(self.pid, signal.SIGTERM)
        try:
            status = self.nursery.wait(self.pid, self.timeout)
        except Late as late:
            raise Failure(f"the program did not end within {late} after SIGTERM") from None
        if complaint := logs.complaint(logs.read(self.log), status):
            raise Failure(complaint)


def _python() -> str:
    """The system's own interpreter: a virtual environment may be out of reach for other users."""
    return str(getattr(sys, "_base_executable", sys.executable))
