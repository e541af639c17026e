"""One run of one test, top down: build, start, dump, restore, compare, verdict, and nothing left.

build      the program is compiled
start      it says READY
dump       the engine saves the tree            a failed dump must leave it as it was, else: unharmed
gone       … and ends it (norst: lets it run; stop: stops it)
restore    the engine brings it back, to our own children
state      what can be seen from outside is what it was
verdict    SIGTERM; the program checks its state itself
leftovers  no process, mount, control group or file stays
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import build, engines, leftovers, logs, proc, state
from .compare import described, differences
from .description import Description
from .engines import Engine
from .facts import State
from .nursery import Late, Nursery, Place, User, describe_status, open_terminal
from .results import Excerpt, Outcome, Result

ORDINARY_USER = User(18943, 58467, (27495, 48244))
_SETTLE = 1.0  # seconds that a state may take to stand still, and a stopped or dead tree to be so
_SHOWN = 10  # differences that are named


class Settings(NamedTuple):
    """How tests are run."""

    engine: Engine
    mode: str = "plain"  # plain, norst, stop
    iters: int = 1
    timeout: float | None = None  # seconds for each step, instead of the description's
    keep: str = "failed"  # which run directories stay: failed, always, never
    runs: Path = Path("/var/tmp/zdtm")


def modes(settings: Settings) -> tuple[str, ...]:
    """The modes that a test must allow to be run with these settings."""
    return (settings.mode, "iters") if settings.iters > 1 else (settings.mode,)


Tell = Callable[[str], None]  # is told the steps


class Failure(Exception):
    """The run failed at the current step. `hard`: no expected failure covers it."""

    def __init__(self, message: str, hard: bool = False) -> None:
        super().__init__(message)
        self.hard = hard


class Skip(Exception):
    """The program says that it cannot run here."""


class Run:
    """One run; perform() is the story."""

    def __init__(self, test: Description, settings: Settings, directory: Path, tell: Tell) -> None:
        self.test, self.settings, self.directory, self.tell = test, settings, directory, tell
        self.nursery = Nursery()
        self.timeout = settings.timeout or test.timeout
        self.step = "build"
        self.pid = 0
        self.terminal: int | None = None
        self.last_action: Path | None = None  # log of the engine's last action
        self.work = directory / "work"
        self.program = directory / "program"
        self.scratch = directory / "tmp"
        self.log = directory / "test.log"

    def perform(self) -> Result:
        """Never raises but Interrupted; leaves no process."""
        began = time.monotonic()
        outcome, message, hard = Outcome.PASSED, "", False
        try:
            self._story()
        except Skip as skip:
            outcome, message = Outcome.SKIPPED, str(skip)
        except Failure as failure:
            outcome, message, hard = Outcome.FAILED, str(failure), failure.hard
        except Late as late:
            outcome, message, hard = Outcome.FAILED, f"not done after {late}", True
        finally:
            stubborn = self.nursery.end_all(self.timeout)
        if stubborn:
            outcome, message, hard = Outcome.FAILED, f"{message}; SIGKILL does not end {stubborn}", True
        failed = outcome is Outcome.FAILED
        excerpts = tuple(self._excerpts()) if failed else ()
        step = self.step if failed else ""
        seconds = round(time.monotonic() - began, 3)
        return Result(self.test.name, outcome, step, message, seconds, excerpts, str(self.directory), hard)

    def _story(self) -> None:
        self._enter("build")
        executable = self._build()
        self._enter("start")
        self._start(executable)
        before, world = self._settled(), leftovers.survey(self.work, self.scratch)
        for number in range(1, self.settings.iters + 1):
            self._checkpoint(number, before)
            self._check_leftovers(world)
        self._enter("verdict")
        self._verdict()
        self._enter("leftovers")
        self._check_end(world)

    def _enter(self, step: str, detail: str = "") -> None:
        self.step = step
        self.tell(f"{step} {detail}".rstrip())

    # ---- build and start

    def _build(self) -> Path:
        """The program's copy in the run directory: other users can reach it, and it stays while it runs."""
        for directory in (self.work, self.program, self.scratch):
            directory.mkdir(mode=0o755)
        try:
            built = build.build(self.test)
        except build.BuildError as error:
            raise Failure(f"the compiler says:\n{error}", hard=True) from None
        executable = self.program / (self.test.name + self.test.program.suffix.replace(".c", ""))
        shutil.copy(built, executable)
        shutil.copy(build.LIBRARY / "zdtm_lib.py", self.program)
        return executable

    def _start(self, executable: Path) -> None:
        user = ORDINARY_USER if self.test.user else None
        if user:
            os.chown(self.work, user.uid, user.gid)
        if self.test.terminal:
            _master, self.terminal = open_terminal()
        place = Place(self.work, self._environment(), self.log, not self.test.terminal, user, self.terminal)
        interpreter = [_python(), "-B"] if executable.suffix == ".py" else []
        self.pid = self.nursery.spawn([*interpreter, executable, *self.test.arguments], place)
        self.nursery.until(self._has_started, self.timeout)
        lines = logs.read(self.log)
        if reason := logs.skip_reason(lines):
            raise Skip(reason)
        if not logs.is_ready(lines):
            raise Failure(logs.complaint(lines, self.nursery.wait(self.pid, 0)), hard=True)

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

    # ---- one checkpoint

    def _checkpoint(self, number: int, before: State) -> None:
        images = self.directory / "images" / str(number)
        images.mkdir(parents=True)
        detail = f"{number}/{self.settings.iters}" if self.settings.iters > 1 else ""
        if self.test.transition:
            self._let_it_work()
        self._enter("dump", detail)
        self._dump(images, before)
        self._enter("gone", detail)
        if self.settings.mode == "norst":
            self._check_running()
        else:
            self._check_gone()
            self._enter("restore", detail)
            self._restore(images)
        self._enter("state", detail)
        self._check_state(before)

    def _let_it_work(self) -> None:
        with contextlib.suppress(Late):
            self.nursery.until(lambda: False, random.uniform(0, 0.3))

    def _dump(self, images: Path, before: State) -> None:
        options = self.test.options
        words = engines.dump_words(self.settings.engine, self.pid, images, self.settings.mode, options)
        try:
            self._engine(words, images / "dump.log")
        except Failure as failure:
            self._check_unharmed(before, failure)
            raise

    def _restore(self, images: Path) -> None:
        self.nursery.forget(self.pid)
        pidfile = images / "restored.pid"
        words = engines.restore_words(self.settings.engine, images, pidfile, self.settings.mode, self.test.options)
        self._engine(words, images / "restore.log")
        if not pidfile.exists() or pidfile.read_text().strip() != str(self.pid):
            raise Failure(f"the pid file does not name {self.pid}")
        if self.settings.mode == "stop":
            self._check_stopped()
            for pid in self.nursery.tree():
                os.kill(pid, signal.SIGCONT)

    def _engine(self, words: list[str], log: Path) -> None:
        """One action of the engine. Raises Failure if it fails; a hang or a crash is never expected."""
        self.last_action = log
        environment = {**os.environ, "TMPDIR": str(self.scratch)}
        place = Place(log.parent, environment, log.with_suffix(".out"), terminal=self.terminal)
        pid = self.nursery.spawn(words, place)
        try:
            status = self.nursery.wait(pid, self.timeout)
        except Late as late:
            os.kill(pid, signal.SIGKILL)
            raise Failure(f"the engine was not done after {late}", hard=True) from None
        if status:
            raise Failure(f"the engine {describe_status(status)}", hard=os.WIFSIGNALED(status))

    # ---- checks

    def _settled(self) -> State:
        """The state, once it stands still; that of a transition test never does."""
        last = state.capture(self.nursery.tree())
        deadline = time.monotonic() + _SETTLE
        while not self.test.transition and time.monotonic() < deadline:
            now = state.capture(self.nursery.tree())
            if not differences(last, now, self.test.changes):
                break
            last = now
        return last

    def _check_state(self, before: State) -> None:
        """Right after a restore a task may still be on its way into its system call, so we look again."""
        changes = (*self.test.changes, "positions") if self.test.transition else self.test.changes
        deadline = time.monotonic() + _SETTLE
        while found := differences(before, state.capture(self.nursery.tree()), changes):
            if time.monotonic() > deadline:
                raise Failure("\n".join(described(found, _SHOWN)))

    def _check_unharmed(self, before: State, failure: Failure) -> None:
        """After a failed dump the tree must be as it was and pass its own check."""
        self._enter("unharmed")
        try:
            self._check_state(before)
            self._verdict()
        except Failure as harm:
            raise Failure(f"{failure}, and the tree was harmed: {harm}", failure.hard) from None
        self._enter("dump", "failed")

    def _check_gone(self) -> None:
        if self.settings.mode == "stop":
            self._check_stopped()
            self.nursery.end_all(_SETTLE)
        self._check_no_process("the dump")

    def _check_stopped(self) -> None:
        def moving() -> list[int]:
            return _pids_in_state(self.nursery.tree(), lambda letter: letter not in "TZ")

        self._await(lambda: not moving(), lambda: f"not stopped: {moving()}")

    def _check_running(self) -> None:
        def stopped() -> list[int]:
            return _pids_in_state(self.nursery.tree(), lambda letter: letter in "Tt")

        self._await(lambda: not stopped(), lambda: f"left stopped: {stopped()}")
        if self.nursery.has_ended(self.pid):
            raise Failure("the dump ended the tree that it was told to leave running")

    def _check_no_process(self, what: str) -> None:
        def names() -> str:
            return ", ".join(f"{pid} ({stat.comm})" for pid, stat in _stats(self.nursery.tree()))

        self._await(lambda: not self.nursery.tree(), lambda: f"processes stayed after {what}: {names()}")

    def _await(self, condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
        try:
            self.nursery.until(condition, _SETTLE)
        except Late:
            raise Failure(complaint()) from None

    def _check_leftovers(self, world: leftovers.World) -> None:
        now = leftovers.survey(self.work, self.scratch)
        if self.test.transition:
            now = now._replace(files=world.files)
        if found := leftovers.new_things(world, now):
            self._enter("leftovers")
            raise Failure("\n".join(found))

    def _verdict(self) -> None:
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

    def _check_end(self, world: leftovers.World) -> None:
        """The program's own files may stay: the directory is ours, and we remove it."""
        self._check_no_process("the end")
        now = leftovers.survey(self.scratch)
        if found := leftovers.new_things(world, now):
            raise Failure("\n".join(found))

    def _excerpts(self) -> Iterator[Excerpt]:
        if self.last_action and self.step not in ("build", "start"):
            yield from logs.engine_excerpt(self.last_action)
            yield from logs.tail_excerpt(self.last_action.with_suffix(".out"))
        yield from logs.tail_excerpt(self.log)


def _python() -> str:
    """The system's own interpreter: a virtual environment may be out of reach for other users."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _stats(pids: list[int]) -> Iterator[tuple[int, proc.Stat]]:
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield pid, proc.read_stat(pid)


def _pids_in_state(pids: list[int], accept: Callable[[str], bool]) -> list[int]:
    return [pid for pid, stat in _stats(pids) if accept(stat.state)]
