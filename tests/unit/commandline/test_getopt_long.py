"""Our reading of argv against that of the C library's getopt_long(3), on any argv."""

from __future__ import annotations

import ctypes

from hypothesis import given
from hypothesis import strategies as st

from engine.commandline.getopt import read
from engine.commandline.option import MAY_HAVE_VALUE, NEEDS_VALUE, NO_VALUE, Option
from engine.commandline.table import OPTIONS
from engine.errors import UsageError

Found = list[tuple[str, str | None]] | None

CRIU = [option for option in OPTIONS if not option.own]
LONG = [(option.name, option) for option in CRIU]
LONG += [(f"no-{option.name}", option) for option in CRIU if option.negatable]
SHORT = "".join(option.letter + ":" * option.argument for option in CRIU if option.letter)


class LongOption(ctypes.Structure):
    """struct option of getopt.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("has_arg", ctypes.c_int),
        ("flag", ctypes.c_void_p),
        ("val", ctypes.c_int),
    )


def c_library(argv: list[str]) -> tuple[Found, list[str]]:
    """What getopt_long makes of argv: names with texts, None after an error; and the other words."""
    libc = ctypes.CDLL(None)
    ctypes.c_int.in_dll(libc, "optind").value = 0
    ctypes.c_int.in_dll(libc, "opterr").value = 0
    table = (LongOption * (len(LONG) + 1))()
    for i, (name, option) in enumerate(LONG):
        table[i] = LongOption(name.encode(), option.argument, None, 1000 + i)
    words = (ctypes.c_char_p * (len(argv) + 2))(b"amber", *(word.encode() for word in argv), None)
    found: list[tuple[str, str | None]] = []
    while (code := libc.getopt_long(len(argv) + 1, words, SHORT.encode(), table, None)) != -1:
        if code == ord("?"):
            return None, []
        text = ctypes.c_char_p.in_dll(libc, "optarg").value
        name = LONG[code - 1000][0] if code >= 1000 else _by_letter(chr(code)).name
        found.append((name, None if text is None else text.decode()))
    first = ctypes.c_int.in_dll(libc, "optind").value
    return found, [(word or b"").decode() for word in words[first : len(argv) + 1]]


def ours(argv: list[str]) -> tuple[Found, list[str]]:
    try:
        options, words = read(argv)
    except UsageError:
        return None, []
    return [(("no-" if g.negated else "") + g.option.name, g.text) for g in options], words


def _by_letter(letter: str) -> Option:
    return next(option for option in CRIU if option.letter == letter)


NAMES = st.sampled_from([name for name, _ in LONG])
CUT = st.builds(lambda name, length: name[:length], NAMES, st.integers(1, 30))
TEXT = st.text(alphabet="ab=-0v", max_size=4)
LETTERS = st.text(alphabet="".join(option.letter for option in CRIU) + "y=4-", min_size=1, max_size=4)
WORD = st.one_of(
    TEXT,
    st.sampled_from(["--", "-", "dump", "7"]),
    st.builds("--{}".format, st.one_of(NAMES, CUT)),
    st.builds("--{}={}".format, st.one_of(NAMES, CUT), TEXT),
    st.builds("-{}".format, LETTERS),
)


@given(st.lists(WORD, max_size=6))
def test_every_argv_is_read_as_the_c_library_reads_it(argv: list[str]) -> None:
    assert ours(argv) == c_library(argv)


def test_the_comparison_sees_options_of_every_kind() -> None:
    argv = ["a", "--tree=7", "-vv", "--no-tls", "-jt", "8", "--verb", "b", "--", "-c"]
    expected = [("tree", "7"), ("verbosity", "v"), ("no-tls", None), ("shell-job", None), ("tree", "8")]
    assert c_library(argv) == ([*expected, ("verbosity", None)], ["a", "b", "-c"])
    assert {option.argument for option in CRIU} == {NO_VALUE, NEEDS_VALUE, MAY_HAVE_VALUE}
