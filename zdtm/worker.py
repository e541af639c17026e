"""The process that performs one run: `python -m zdtm.worker`, started by `runner.py`.

It is two processes. The outer one makes namespaces of pids and mounts and waits; the inner one is the first
process of these, so everything that a run leaves behind can be seen, comes to it to be reaped, reaches nobody
else, and dies with it at the latest. The pids of a test are free when they are restored, however many tests
run at the same time. Without the privilege for namespaces the inner one is a subreaper.

The request is JSON on standard input; on standard output come JSON lines: `{"step": …}` for each step, at
last `{"result": …}`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from . import build, syscalls
from .description import Description, load
from .engines import Engine
from .nursery import HANDLED, Interrupted, pause
from .results import Circumstances, Outcome, Result, judge
from .run import Run
from .settings import Settings

_POLL = 0.02  # seconds


def main() -> int:
    """Reads the request, performs the run, prints the result. Status 3 when it was told to stop."""
    request = json.load(sys.stdin)
    syscalls.end_with_parent(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    with contextlib.suppress(PermissionError):
        syscalls.unshare_pids_and_mounts()
    inner = os.fork()
    if inner == 0:
        os._exit(_inner_main(request))
    return _guard(inner)


def _guard(inner: int) -> int:
    """Hands on the request to stop, and the status."""
    while not (ended := os.waitpid(inner, os.WNOHANG))[0]:
        if signal.sigwait(HANDLED) != signal.SIGCHLD:
            os.kill(inner, signal.SIGTERM)
    return max(os.waitstatus_to_exitcode(ended[1]), 1) if ended[1] else 0


def _inner_main(request: dict[str, Any]) -> int:
    syscalls.end_with_parent(signal.SIGKILL)
    os.setsid()
    os.umask(0o022)
    if os.getpid() == 1:
        syscalls.mount_proc()
    test, settings = load(Path(request["test"])), settings_from_json(request["settings"])
    try:
        with _lock(test.needs.alone):
            result = _perform(test, settings)
    except Interrupted:
        return 3
    except BaseException:
        traceback.print_exc()
        return 1
    _print({"result": result.to_json()})
    return 0


def _perform(test: Description, settings: Settings) -> Result:
    settings.runs.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{test.name}-", dir=settings.runs))
    directory.chmod(0o755)
    kept = False
    try:
        result = Run(test, settings, directory, lambda step: _print({"step": step})).perform()
        engines = tuple({settings.engine.kind, settings.restorer.kind})
        here = Circumstances(engines, settings.modes, platform.release(), datetime.date.today())
        result = judge(result, test.expect_fail, here)
        kept = settings.keep == "always" or (settings.keep == "failed" and result.outcome is Outcome.FAILED)
    finally:
        if kept:
            _keep(directory, test.name)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return result if kept else result._replace(directory="")


def _keep(directory: Path, name: str) -> None:
    """In place of what was kept of this test before; a run that goes on elsewhere is not marked yet."""
    for mark in directory.parent.glob(f"{name}-????????/kept"):
        shutil.rmtree(mark.parent, ignore_errors=True)
    (directory / "kept").touch()


@contextlib.contextmanager
def _lock(alone: bool) -> Iterator[None]:
    """Tests that need to be alone keep all others out, whoever runs them."""
    with open(build.directory() / "alone.lock", "w") as file:
        _acquire(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def _acquire(file: TextIO, kind: int) -> None:
    """Raises Interrupted: others may hold the lock for minutes, and a flock() that waits hears of no signal here."""
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pause(_POLL)


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """As the request carries them: paths are strings, engines lists."""

    def plain(value: Any) -> Any:
        return [str(value.command), value.kind] if isinstance(value, Engine) else value

    values = {name: plain(value) for name, value in settings._asdict().items()}
    return {**values, "runs": str(settings.runs)}


def settings_from_json(values: dict[str, Any]) -> Settings:
    """The way back."""

    def engine(words: list[str] | None) -> Engine | None:
        return Engine(Path(words[0]), words[1]) if words else None

    engines = {name: engine(values[name]) for name in ("engine", "restore_engine")}
    return Settings(**{**values, **engines, "runs": Path(values["runs"])})


def _print(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
