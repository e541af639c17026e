"""What one option of the command line is."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Argument(Enum):
    """Whether an option takes a value; as in getopt(3), an optional value must be attached."""

    NONE = 0
    REQUIRED = 1
    OPTIONAL = 2


class Option(NamedTuple):
    """One row of the table.

    `applies`, `works` and `refused` are sets of command letters (table.COMMANDS): where the option has a
    meaning, where Amber does what it says, where Amber refuses it. Elsewhere it is understood and has no
    effect; `reason` says why that is right, or why it is refused.
    """

    name: str
    letter: str
    argument: Argument
    metavar: str
    fold: Callable[[object, str | None], object]  # (value so far, text) -> new value, see values.py
    default: object
    applies: str
    works: str
    refused: str
    reason: str
    meaning: str
    negatable: bool  # --no-NAME exists
    repeats: bool
    own: bool  # not CRIU's: never found by an abbreviation, so that CRIU's abbreviations keep their meaning

    @property
    def field(self) -> str:
        """Its name in the classes of engine.options."""
        return self.name.replace("-", "_")
