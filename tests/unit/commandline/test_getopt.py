"""argv is read as getopt_long(3) would read it."""

from __future__ import annotations

import pytest

from engine.commandline.getopt import read
from engine.errors import UsageError


def names(argv: list[str]) -> list[tuple[str, str | None, bool]]:
    return [(given.option.name, given.text, given.negated) for given in read(argv)[0]]


@pytest.mark.parametrize(
    ("argv", "name", "text"),
    [
        (["--tree", "7"], "tree", "7"),
        (["--tree=7"], "tree", "7"),
        (["-t", "7"], "tree", "7"),
        (["-t7"], "tree", "7"),
        (["-t=7"], "tree", "=7"),
        (["--images-dir", "--tree"], "images-dir", "--tree"),
        (["--images-dir="], "images-dir", ""),
        (["-v"], "verbosity", None),
        (["-v4"], "verbosity", "4"),
        (["-vvvv"], "verbosity", "vvv"),
        (["-verbosity=0"], "verbosity", "erbosity=0"),
        (["--verbosity=4"], "verbosity", "4"),
        (["--verbosity"], "verbosity", None),
        (["--shell-job"], "shell-job", None),
    ],
)
def test_one_option(argv: list[str], name: str, text: str | None) -> None:
    assert names(argv) == [(name, text, False)]


def test_an_optional_value_is_never_the_next_word() -> None:
    options, words = read(["-v", "4", "--manage-cgroups", "full"])
    assert [given.text for given in options] == [None, None]
    assert words == ["4", "full"]


def test_letters_may_be_joined_and_the_last_takes_the_value() -> None:
    assert names(["-sRt7"]) == [
        ("leave-stopped", None, False),
        ("leave-running", None, False),
        ("tree", "7", False),
    ]
    assert names(["-sRt", "7"]) == names(["-sRt7"])


def test_options_and_words_mix_until_the_double_dash() -> None:
    options, words = read(["restore", "-d", "-", "word", "--", "-d", "--tree"])
    assert [given.option.name for given in options] == ["restore-detached"]
    assert words == ["restore", "-", "word", "-d", "--tree"]


def test_negation() -> None:
    assert names(["--no-ghost-fiemap", "--no-default-config"]) == [
        ("ghost-fiemap", None, True),
        ("no-default-config", None, False),
    ]
    with pytest.raises(UsageError, match="unrecognized option '--no-leave-running'"):
        read(["--no-leave-running"])


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("--tre", "tree"),
        ("--images", "images-dir"),
        ("--exp", "experimental"),
        ("--st", None),
        ("--tls", "tls"),
        ("--all", "all"),
        ("--tcp", None),
    ],
)
def test_abbreviations_must_be_unique(short: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(UsageError, match="ambiguous"):
            read([short])
    else:
        assert read([short + "=x"] if name in ("tree", "images-dir") else [short])[0][0].option.name == name


def test_own_options_never_take_an_abbreviation_away_from_criu() -> None:
    assert names(["--explain", "--step"]) == [("explain", None, False), ("step", None, False)]
    with pytest.raises(UsageError, match="unrecognized option '--expl'"):
        read(["--expl"])
    with pytest.raises(UsageError, match="unrecognized option '--ste'"):
        read(["--ste"])


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--nonsense"], "unrecognized option '--nonsense'"),
        (["--=7"], "unrecognized option '--'"),
        (["-y"], "invalid option -- 'y'"),
        (["-sy"], "invalid option -- 'y'"),
        (["--tree"], "option '--tree' requires an argument"),
        (["-t"], "option -- 't' requires an argument"),
        (["--shell-job=yes"], "option '--shell-job' doesn't allow an argument"),
        (["--no-tls=yes"], "option '--no-tls' doesn't allow an argument"),
    ],
)
def test_complaints(argv: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(argv)
    assert str(caught.value) == complaint
