"""Reading argv as getopt_long(3) of the GNU C library does, which CRIU's users are used to.

Options may come before and after other words; `--` ends them. A long option may be shortened as long as it
stays unique, and takes its value after `=` or as the next word; letters may be joined (`-sRt 7`, `-t7`). A
value that is optional must be attached (`-v4`, `--verbosity=4`). Python's argparse does none of that exactly,
and is slow to import.
"""

from __future__ import annotations

from engine.commandline.option import NEEDS_VALUE, NO_VALUE, Option
from engine.commandline.table import OPTIONS
from engine.errors import UsageError
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Given(NamedTuple):
    """One occurrence of an option."""

    option: Option
    text: str | None = None
    negated: bool = False

    def value(self, old: object) -> object:
        """The option's value after this occurrence, `old` being the one before. UsageError for a bad text."""
        if self.negated:
            return False
        try:
            return self.option.fold(old, self.text)
        except ValueError as error:
            raise UsageError(f"--{self.option.name} {self.text}: {error}") from error


class Names:
    """All ways to name an option."""

    def __init__(self, options: Sequence[Option]) -> None:
        self.letters = {option.letter: option for option in options if option.letter}
        self._own = {option.name: Given(option) for option in options if option.own}
        self._long = {option.name: Given(option) for option in options if not option.own}
        self._long |= {f"no-{o.name}": Given(o, negated=True) for o in options if o.negatable}

    def find(self, name: str) -> Given:
        """The option that `name` names or abbreviates. UsageError when there is none, or several."""
        exact = self._long.get(name) or self._own.get(name)
        if exact:
            return exact
        found = [full for full in self._long if name and full.startswith(name)]
        if len(found) == 1:
            return self._long[found[0]]
        if not found:
            raise UsageError(f"unrecognized option '--{name}'")
        raise UsageError(f"option '--{name}' is ambiguous: it may be --{', --'.join(found)}")


NAMES = Names(OPTIONS)


def read(argv: Sequence[str]) -> tuple[list[Given], list[str]]:
    """The options in `argv` and the words between and after them. UsageError as getopt would complain."""
    options: list[Given] = []
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            words += rest
        elif word.startswith("--"):
            options.append(_long(word[2:], rest))
        elif word.startswith("-") and word != "-":
            options += _letters(word[1:], rest)
        else:
            words.append(word)
    return options, words


def _long(word: str, rest: Iterator[str]) -> Given:
    name, equals, text = word.partition("=")
    given = NAMES.find(name)
    full = f"--{'no-' if given.negated else ''}{given.option.name}"
    if given.option.argument is NO_VALUE:
        if equals:
            raise UsageError(f"option '{full}' doesn't allow an argument")
        return given
    if equals:
        return given._replace(text=text)
    if given.option.argument is NEEDS_VALUE:
        return given._replace(text=_next(rest, f"option '{full}'"))
    return given


def _letters(cluster: str, rest: Iterator[str]) -> Iterator[Given]:
    while cluster:
        letter, cluster = cluster[0], cluster[1:]
        option = NAMES.letters.get(letter)
        if option is None:
            raise UsageError(f"invalid option -- '{letter}'")
        if option.argument is NO_VALUE:
            yield Given(option)
            continue
        needs_next = option.argument is NEEDS_VALUE and not cluster
        yield Given(option, _next(rest, f"option -- '{letter}'") if needs_next else cluster or None)
        return


def _next(rest: Iterator[str], what: str) -> str:
    for word in rest:
        return word
    raise UsageError(f"{what} requires an argument")
