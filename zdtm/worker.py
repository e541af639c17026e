"""The process that performs one run: `python -m zdtm.worker`, started by `runner.py`.

It is a session leader, a subreaper, and alone in a mount namespace, so that what a run leaves behind can be
seen and does not reach anybody else. The request is JSON on standard input; on standard output come JSON lines:
`{"step": …}` for each step, at last `{"result": …}`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import build, syscalls
from .description import Description, load
from .engines import Engine
from .nursery import Interrupted
from .results import Outcome, Result, judge
from .run import Run, Settings


def main() -> int:
    """Reads the request, performs the run, prints the result. Status 3 when it was told to stop."""
    request = json.load(sys.stdin)
    syscalls.end_with_parent()
    os.umask(0o022)
    with contextlib.suppress(PermissionError):
        syscalls.leave_mount_namespace()
    test, settings = load(Path(request["test"])), settings_from_json(request["settings"])
    try:
        with _lock(test.needs.alone):
            result = _perform(test, settings)
    except Interrupted:
        return 3
    _print({"result": result.to_json()})
    return 0


def _perform(test: Description, settings: Settings) -> Result:
    settings.runs.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{test.name}-", dir=settings.runs))
    directory.chmod(0o755)
    kept = False
    try:
        result = Run(test, settings, directory, lambda step: _print({"step": step})).perform()
        result = judge(result, test, settings.engine.kind, platform.release(), datetime.date.today())
        kept = settings.keep == "always" or (settings.keep == "failed" and result.outcome is Outcome.FAILED)
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)
    return result if kept else result._replace(directory="")


@contextlib.contextmanager
def _lock(alone: bool) -> Iterator[None]:
    """Tests that need to be alone keep all others out, whoever runs them."""
    with open(build.directory() / "alone.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def settings_to_json(settings: Settings) -> dict[str, Any]:
    values = settings._asdict()
    engine = [str(settings.engine.command), settings.engine.kind]
    return {**values, "engine": engine, "runs": str(settings.runs)}


def settings_from_json(values: dict[str, Any]) -> Settings:
    command, kind = values["engine"]
    return Settings(**{**values, "engine": Engine(Path(command), kind), "runs": Path(values["runs"])})


def _print(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
