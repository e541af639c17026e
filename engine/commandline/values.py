"""How the text of an option becomes its value.

A *reader* turns one text into a value and raises ValueError with what would be right; a *fold* says what an
occurrence of the option makes of the value that earlier occurrences left.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Fold = Callable[[object, str | None], object]
    Reader = Callable[[str], object]

_LARGEST = (1 << 31) - 1  # what an int of C holds: descriptors, pids, seconds
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def switch(old: object, text: str | None) -> object:
    """The fold of an option without a value."""
    return True


def last(read: Reader, bare: object = None) -> Fold:
    """The last occurrence counts; `bare` is the value of one without a text."""
    return lambda old, text: bare if text is None else read(text)


def every(read: Reader) -> Fold:
    """All occurrences count, in a tuple."""

    def fold(old: object, text: str | None) -> object:
        assert isinstance(old, tuple) and text is not None
        return (*old, read(text))

    return fold


def louder(old: object, text: str | None) -> object:
    """Fold of --verbosity: a number sets it, every v raises it by one, and other words count as 0.

    `-verbosity=0` relies on the last rule: getopt reads -v with the value "erbosity=0", atoi makes that 0.
    """
    assert isinstance(old, int)
    if text is None:
        return old + 1
    if text.startswith("v"):
        return old + 1 + len(text) - len(text.lstrip("v"))
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits or "0")


def text(given: str) -> str:
    """Any text."""
    return given


def number(given: str) -> int:
    """Digits alone: no sign, no blanks, no base."""
    if not given.isascii() or not given.isdigit():
        raise ValueError("a number that is not negative is expected")
    if len(given) > len(str(_LARGEST)) or int(given) > _LARGEST:
        raise ValueError(f"a number of at most {_LARGEST} is expected")
    return int(given)


def positive(given: str) -> int:
    """A number above 0: a pid, a port."""
    value = number(given)
    if value == 0:
        raise ValueError("a number above 0 is expected")
    return value


def size(given: str) -> int:
    """Bytes, from a number with an optional K, M or G behind."""
    unit = _UNITS.get(given[-1:], 0)
    digits = given[:-1] if unit else given
    if not digits.isascii() or not digits.isdigit():
        raise ValueError("a number of bytes is expected, with K, M or G behind it at most")
    return int(digits) * (unit or 1)


def choice(*words: str) -> Reader:
    """A reader of one of `words`."""

    def read(given: str) -> str:
        if given not in words:
            raise ValueError(f"one of {', '.join(words)} is expected")
        return given

    return read
