"""What one option of the command line is."""

from __future__ import annotations

from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


# Whether an option takes a value, by getopt(3)'s numbers; an optional value must be attached.
NO_VALUE, NEEDS_VALUE, MAY_HAVE_VALUE = range(3)


class Option(NamedTuple):
    """One row of the table.

    `applies`, `works` and `refused` are sets of command letters (table.COMMANDS): where the option has a
    meaning, where Amber does what it says, where Amber refuses it. Elsewhere it is understood and has no
    effect; `reason` says why that is right, or why it is refused.
    """

    name: str
    letter: str
    argument: int  # NO_VALUE, NEEDS_VALUE, MAY_HAVE_VALUE
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
