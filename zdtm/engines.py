"""The engine under test, as a command that takes CRIU's options."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .description import Options
from .logs import is_crash


class EngineMissing(Exception):
    """There is no such engine on this machine."""


class Engine(NamedTuple):
    """A command, and the kind of engine that expectations speak of."""

    command: Path
    kind: str  # amber, criu, or the name of another command


def find(name: str) -> Engine:
    """A name is looked up beside this Python, then in PATH; a path is a path. Raises EngineMissing."""
    if os.sep in name:
        command: str | None = name if os.access(name, os.X_OK) else None
    else:
        beside = Path(sys.executable).with_name(name)
        command = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if not command:
        raise EngineMissing(f"the engine {name!r} is not there: give its path with --engine PATH")
    return Engine(Path(command).absolute(), _kind(Path(command).name))


def _kind(name: str) -> str:
    return next((kind for kind in ("amber", "criu") if name.startswith(kind)), name)


def dump_words(engine: Engine, pid: int, images: Path, mode: str, options: Options) -> list[str]:
    """The command line of a dump; its log is dump.log in the directory of the images."""
    leave = {"norst": ["--leave-running"], "stop": ["--leave-stopped"]}.get(mode, [])
    return [*_head(engine, "dump", images), "--tree", str(pid), *leave, *options.dump]


def restore_words(engine: Engine, images: Path, pidfile: Path, mode: str, options: Options) -> list[str]:
    """The command line of a restore that ends when the tree runs; its log is restore.log."""
    leave = ["--leave-stopped"] if mode == "stop" else []
    tail = ["--restore-detached", "--pidfile", str(pidfile), *leave, *options.restore]
    return [*_head(engine, "restore", images), *tail]


def stepping(options: Options) -> Options:
    """The same, call by call."""
    return Options((*options.dump, "--step"), (*options.restore, "--step"))


def _head(engine: Engine, action: str, images: Path) -> list[str]:
    log = f"{action}.log"
    return [
        *(str(engine.command), action, "--no-default-config"),
        *("--images-dir", str(images), "--log-file", log, "--verbosity=4"),
    ]


@functools.cache
def has_feature(engine: Engine, feature: str) -> bool:
    """Asks the engine, once per process. Raises EngineMissing when it gives no answer: that is no reason to skip."""
    words: Sequence[str] = [str(engine.command), "check", "--no-default-config", "--feature", feature]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or is_crash(done.stderr):
        said = done.stderr.strip().rpartition("\n")[2]
        raise EngineMissing(f"{' '.join(words)} ended with status {done.returncode}: {said}")
    return done.returncode == 0
