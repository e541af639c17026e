"""The tests of this repository: finding and choosing them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .description import Description, load

TESTS = Path(__file__).parent.parent / "tests"
DIRECTORIES = (TESTS / "static", TESTS / "transition")


class NoSuchTest(Exception):
    """A name that no description has."""


def collect(directories: Sequence[Path] = DIRECTORIES) -> list[Description]:
    """All tests in the order of their names. Raises DescriptionError at the first that is wrong."""
    paths = [path for directory in directories for path in directory.glob("*.yaml")]
    return [load(path) for path in sorted(paths, key=lambda path: path.name)]


def choose(
    tests: Sequence[Description], names: Sequence[str] = (), pattern: str = "", exclude: Sequence[str] = ()
) -> list[Description]:
    """Those named or matching from the start, else all, without the excluded. Raises NoSuchTest."""
    known = {test.name for test in tests}
    for name in (*names, *exclude):
        if name not in known:
            raise NoSuchTest(f"there is no test {name!r}; `zdtm list` names them all")
    wanted = re.compile(pattern) if pattern else None
    every = not names and not wanted
    return [
        test
        for test in tests
        if test.name not in exclude and (every or test.name in names or (wanted and wanted.match(test.name)))
    ]
