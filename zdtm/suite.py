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


def collect(
    names: Sequence[str] = (),
    pattern: str = "",
    exclude: Sequence[str] = (),
    directories: Sequence[Path] = DIRECTORIES,
) -> list[Description]:
    """Tests named or matching from the start, else all, without the excluded; in the order of their names.

    Only these are read. Raises NoSuchTest, and DescriptionError at the first that is wrong.
    """
    found = {path.stem: path for directory in directories for path in directory.glob("*.yaml")}
    for name in (*names, *exclude):
        if name not in found:
            raise NoSuchTest(f"there is no test {name!r}; `zdtm list` names them all")
    wanted = re.compile(pattern) if pattern else None
    every = not names and not wanted
    return [
        load(path)
        for name, path in sorted(found.items())
        if name not in exclude and (every or name in names or (wanted and wanted.match(name)))
    ]
