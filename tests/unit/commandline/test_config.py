"""Configuration files: their order, and every rule of their syntax."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commandline import config
from engine.errors import UsageError

ROWS = ("G02",)


def load(tmp_path: Path, text: str) -> list[tuple[str, str | None, bool]]:
    file = tmp_path / "amber.conf"
    file.write_text(text)
    return [(given.option.name, given.text, given.negated) for given in config.load(str(file))]


@pytest.mark.parametrize(
    ("line", "name", "text"),
    [
        ("shell-job", "shell-job", None),
        ("  shell-job \t", "shell-job", None),
        ("shell-job # a comment", "shell-job", None),
        ("shell-job#a comment", "shell-job", None),
        ("tree 7", "tree", "7"),
        ("tree\t7", "tree", "7"),
        ("tree=7", "tree", "7"),
        ("verbosity 4", "verbosity", "4"),
        ("verbosity", "verbosity", None),
        ("log-file a#b", "log-file", "a"),
        ('log-file "a#b c"', "log-file", "a#b c"),
        ('log-file "a\\"b" # c', "log-file", 'a"b'),
        ('log-file ""', "log-file", ""),
        ('log-file "a\\b"', "log-file", "a\\b"),
    ],
)
def test_a_line(tmp_path: Path, line: str, name: str, text: str | None) -> None:
    assert load(tmp_path, line) == [(name, text, False)]


def test_lines_count_in_order_and_empty_ones_do_not(tmp_path: Path) -> None:
    assert load(tmp_path, "\n# comment\nno-ghost-fiemap\n\ntree 7\ntree 8") == [
        ("ghost-fiemap", None, True),
        ("tree", "7", False),
        ("tree", "8", False),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('log-file "abc', "the quote at the end is missing"),
        ('log-file "', "the quote at the end is missing"),
        ('log-file a"', "a quote inside a word"),
        ("log-file a b", "'b' after the value"),
        ('log-file "a" b', "'b' after the value"),
        ("nonsense", "unrecognized option"),
        ("shell-job yes", "doesn't allow an argument"),
        ("tree", "requires an argument"),
        ("dump", "unrecognized option"),
        ('""', "an option is expected"),
        ('"" 5', "unrecognized option"),
    ],
)
def test_complaints_name_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=rf"amber\.conf, line 2: .*{complaint}"):
        load(tmp_path, f"# first\n{line}\n")


def test_a_missing_file_is_an_empty_one_but_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    assert config.load(str(tmp_path / "none")) == []
    with pytest.raises(UsageError, match="Is a directory"):
        config.load(str(tmp_path))


SYSTEM, USER = "/etc/criu/default.conf", "/home/me/.criu/default.conf"


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([], {}, [SYSTEM]),
        ([], {"HOME": "/home/me"}, [SYSTEM, USER]),
        ([], {"HOME": "/home/me", "CRIU_CONFIG_FILE": "third"}, [SYSTEM, USER, "third"]),
        (["--no-default-config"], {"HOME": "/home/me"}, []),
        (["--no-default-config"], {"CRIU_CONFIG_FILE": "third"}, ["third"]),
        (["--config", "mine"], {"HOME": "/home/me"}, ["mine"]),
        (["dump", "--config=mine"], {"CRIU_CONFIG_FILE": "third"}, ["third", "mine"]),
        (["--no-default-config", "--config", "mine"], {}, ["mine"]),
        (["restore", "--", "prog", "--config", "mine"], {}, [SYSTEM]),
    ],
)
def test_which_files_count(argv: list[str], environ: dict[str, str], expected: list[str]) -> None:
    assert config.files(argv, environ) == expected
