"""Compiles test programs, once for every content: a binary's name holds a hash of all that went into it."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .description import Description

LIBRARY = Path(__file__).parent / "lib"
CFLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-pthread", f"-I{LIBRARY}")


class BuildError(Exception):
    """The compiler refused a program; the text is what it printed."""


def directory() -> Path:
    """Where binaries are kept: ZDTM_BUILD, else build/ beside this file, else the user's cache."""
    if chosen := os.environ.get("ZDTM_BUILD"):
        return _made(Path(chosen))
    try:
        return _made(Path(__file__).parent / "build")
    except OSError:
        return _made(Path.home() / ".cache" / "zdtm")


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is not writable")
    return path


def build(test: Description) -> Path:
    """The executable of a test: the compiled program, or the script itself. Several may call it at once."""
    if test.program.suffix == ".py":
        return test.program
    return program(test.name, (test.program, LIBRARY / "zdtm.c"), test.cflags, test.ldlibs)


def program(name: str, sources: Sequence[Path], flags: Sequence[str] = (), libraries: Sequence[str] = ()) -> Path:
    """The executable of these sources. Raises BuildError."""
    words = [compiler(), *CFLAGS, *flags, *map(str, sources), *libraries]
    binary = directory() / f"{name}-{_hash(words, sources)}"
    if not binary.exists():
        _compile(words, binary)
    return binary


def _hash(words: Sequence[str], sources: Sequence[Path]) -> str:
    digest = hashlib.sha256(repr(words).encode())
    for source in (*sources, LIBRARY / "zdtm.h"):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _compile(words: Sequence[str], binary: Path) -> None:
    """Under a temporary name first: whoever finds the final one finds it whole."""
    unfinished = binary.with_name(f"{binary.name}.{secrets.token_hex(8)}")  # pids repeat in other namespaces
    command = [*words, "-o", str(unfinished)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        unfinished.unlink(missing_ok=True)
        raise BuildError(result.stderr)
    unfinished.replace(binary)
    _remove_older(binary)


def _remove_older(binary: Path) -> None:
    stem = binary.name.rsplit("-", 1)[0]
    for other in binary.parent.glob(f"{stem}-" + "?" * 16):
        if other != binary:
            other.unlink(missing_ok=True)


@functools.cache
def compiler() -> str:
    """$CC, else cc. Raises BuildError when there is none."""
    path = shutil.which(os.environ.get("CC", "cc"))
    if not path:
        raise BuildError("there is no C compiler: install gcc, or set CC")
    return path


@functools.cache
def has_library(name: str) -> bool:
    """Can the linker find -lNAME?"""
    words = [compiler(), "-x", "c", "-", "-o", "/dev/null", f"-l{name}"]
    source = "int main(void) { return 0; }\n"
    return subprocess.run(words, input=source, capture_output=True, text=True, check=False).returncode == 0
