"""Compiles test programs, once for every content: a binary's name holds a hash of all that went into it."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from .description import Description

LIBRARY = Path(__file__).parent / "lib"
CFLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-pthread", f"-I{LIBRARY}")
_LIBRARY_SOURCES = (LIBRARY / "zdtm.c", LIBRARY / "zdtm.h")


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
    binary = directory() / f"{test.name}-{_hash(test)}"
    if not binary.exists():
        _compile(test, binary)
    return binary


def _hash(test: Description) -> str:
    digest = hashlib.sha256(repr((compiler(), CFLAGS, test.cflags, test.ldlibs)).encode())
    for source in (test.program, *_LIBRARY_SOURCES):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _compile(test: Description, binary: Path) -> None:
    """Under a temporary name first: whoever finds the final one finds it whole."""
    unfinished = binary.with_name(f"{binary.name}.{secrets.token_hex(8)}")  # pids repeat in other namespaces
    sources = (str(test.program), str(LIBRARY / "zdtm.c"))
    words = [compiler(), *CFLAGS, *test.cflags, "-o", str(unfinished), *sources, *test.ldlibs]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
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
