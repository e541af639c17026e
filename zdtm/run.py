"""One run of one test, top down: build, start, dump, restore, compare, verdict, and nothing left.

build      the program is compiled
start      it says READY
dump       the engine saves the tree            a failed dump must leave all as it was, else: unharmed, leftovers
gone       … and ends it (norst: lets it run; stop: stops it)
restore    the engine brings it back, to our own children
state      what can be seen from outside is what it was
verdict    SIGTERM; the program checks its state itself
leftovers  no process, mount, control group or file stays
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import engines, leftovers, logs
from .description import Description
from .facts import State
from .images import complaint as image_complaint
from .nursery import Late, Nursery, Place, describe_status
from .results import Excerpt, Outcome, Result
from .settings import Settings
from .tree import SETTLE, Failure, Skip, Tree

Tell = Callable[[str], None]  # is told the steps


class Run:
    """One run; perform() is the story."""

    def __init__(self, test: Description, settings: Settings, directory: Path, tell: Tell) -> None:
        self.test, self.settings, self.directory, self.tell = test, settings, directory, tell
        self.nursery = Nursery()
        self.options = engines.stepping(test.options) if settings.step else test.options
        self.timeout = settings.timeout or test.timeout
        self.tree = Tree(test, directory, self.nursery, self.timeout)
        self.step = "build"
        self.last_action: Path | None = None  # log of the engine's last action
        self.scratch = directory / "tmp"

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
        self.scratch.mkdir()
        executable = self.tree.build()
        self._enter("start")
        self.tree.start(executable)
        before, world = self.tree.state(), leftovers.survey(self._places())
        for number in range(1, self.settings.iters + 1):
            self._checkpoint(number, before, world)
            self._check_leftovers(world, self._places())
        self._enter("verdict")
        self.tree.check_verdict()
        self._enter("leftovers")
        self.tree.check_gone("the end")
        self._check_leftovers(world, [self.scratch])  # the program's own files may stay

    def _enter(self, step: str, detail: str = "") -> None:
        self.step = step
        self.tell(f"{step} {detail}".rstrip())

    # ---- one checkpoint

    def _checkpoint(self, number: int, before: State, world: leftovers.World) -> None:
        images = self.directory / "images" / str(number)
        images.mkdir(parents=True)
        detail = f"{number}/{self.settings.iters}" if self.settings.iters > 1 else ""
        if self.test.transition:
            self.nursery.rest(random.uniform(0, 0.3))
        self._enter("dump", detail)
        self._dump(images, before, world)
        self._enter("gone", detail)
        self._check_dumped()
        if self.settings.mode != "norst":
            self._enter("restore", detail)
            self._restore(images)
        self._enter("state", detail)
        self.tree.check_state(before)

    def _dump(self, images: Path, before: State, world: leftovers.World) -> None:
        engine, mode = self.settings.engine, self.settings.mode
        words = engines.dump_words(engine, self.tree.pid, images, mode, self.options)
        try:
            self._engine(words, images / "dump.log")
        except Failure as failure:
            self._check_unharmed(before, world, failure)
            raise
        if complaint := image_complaint(images):
            raise Failure(complaint)

    def _restore(self, images: Path) -> None:
        engine, mode = self.settings.restorer, self.settings.mode
        pidfile = images / "restored.pid"
        self.nursery.forget(self.tree.pid)
        words = engines.restore_words(engine, images, pidfile, mode, self.options)
        self._engine(words, images / "restore.log")
        if not pidfile.exists() or pidfile.read_text().strip() != str(self.tree.pid):
            raise Failure(f"the pid file does not name {self.tree.pid}")
        if mode == "stop":
            self.tree.go_on()

    def _engine(self, words: list[str], log: Path) -> None:
        """One action of the engine. Raises Failure if it fails; a hang or a crash is never expected."""
        self.last_action = log
        environment = {**os.environ, "TMPDIR": str(self.scratch)}
        place = Place(log.parent, environment, log.with_suffix(".out"), terminal=self.tree.terminal)
        pid = self.nursery.spawn(words, place)
        try:
            status = self.nursery.wait(pid, self.timeout)
        except Late as late:
            os.kill(pid, signal.SIGKILL)
            raise Failure(f"the engine was not done after {late}", hard=True) from None
        if status:
            said = "\n".join(logs.read(log) + logs.read(place.output))
            crash = os.WIFSIGNALED(status) or logs.is_crash(said)
            raise Failure(f"the engine {describe_status(status)}", hard=crash)

    # ---- checks

    def _check_dumped(self) -> None:
        if self.settings.mode == "norst":
            self.tree.check_alive()
            return
        if self.settings.mode == "stop":
            self.tree.end_stopped()
        self.tree.check_gone("the dump")

    def _check_unharmed(self, before: State, world: leftovers.World, failure: Failure) -> None:
        """After a failed dump the tree must be as it was, pass its own check, and nothing else must be there."""
        self._enter("unharmed")
        try:
            self.tree.check_state(before)
            self._check_leftovers(world, self._places())
            self.tree.check_verdict()
        except Failure as harm:
            raise Failure(f"{failure}, and the tree was harmed: {harm}", failure.hard) from None
        self._enter("dump", "failed")

    def _places(self) -> list[Path]:
        """Where an engine must leave no file; in a transition test the program itself comes and goes there."""
        return [self.scratch] if self.test.transition else [self.scratch, self.tree.work]

    def _check_leftovers(self, world: leftovers.World, places: list[Path]) -> None:
        """Other runs may have control groups for a moment, so we look again."""
        deadline = time.monotonic() + SETTLE
        while found := leftovers.new_things(world, leftovers.survey(places)):
            if time.monotonic() > deadline:
                self._enter("leftovers")
                raise Failure("\n".join(found))
            self.nursery.rest(0.1)

    def _excerpts(self) -> Iterator[Excerpt]:
        if self.last_action and self.step not in ("build", "start"):
            yield from logs.engine_excerpt(self.last_action)
            yield from logs.tail_excerpt(self.last_action.with_suffix(".out"))
        yield from logs.tail_excerpt(self.tree.log)
