"""The tests of this repository: finding and choosing them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .description import Description, DescriptionError, load

TESTS = Path(__file__).parent.parent / "tests"
DIRECTORIES = (TESTS / "static", TESTS / "transition")


class NoSuchTest(Exception):
    """A name that no description has."""


def collect(
    names: Sequence[str] = (),
    pattern: str = "",
    exclude: Sequence[str] = (),
    directories: Sequence[Path] = DIRECTORIES,
) -> list[Description]:
    """Tests named or matching from the start, else all, without the excluded; in the order of their names.

    Only these are read. Raises NoSuchTest, also when none is left, and DescriptionError at the first that is wrong.
    """
    found = _descriptions(directories)
    for name in (*names, *exclude):
        if name not in found:
            raise NoSuchTest(f"there is no test {name!r}; `zdtm list` names them all")
    wanted = _compiled(pattern)
    every = not names and not wanted
    chosen = [
        path
        for name, path in sorted(found.items())
        if name not in exclude and (every or name in names or (wanted and wanted.match(name)))
    ]
    if not chosen:
        raise NoSuchTest("no test is left to choose; `zdtm list` names them all")
    return [load(path) for path in chosen]


def _descriptions(directories: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in (path for directory in directories for path in directory.glob("*.yaml")):
        if path.stem in found:
            raise DescriptionError(f"{path} and {found[path.stem]} have the same name")
        found[path.stem] = path
    return found


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise NoSuchTest(f"{pattern!r} is no regular expression: {error}") from None
