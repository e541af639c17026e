"""The schema of descriptions is closed, and its errors name key, cause and what is allowed."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from zdtm.description import MODES, DescriptionError, load
from zdtm.suite import collect

HEAD = "doc: a thing\nrows: [F01]\n"


def write(directory: Path, text: str, program: str = "thing.c") -> Path:
    (directory / program).write_text("int main(void) { return 0; }\n")
    path = directory / "thing.yaml"
    path.write_text(text)
    return path


def test_defaults(tmp_path: Path) -> None:
    test = load(write(tmp_path, HEAD))
    assert (test.name, test.doc, test.rows) == ("thing", "a thing", ("F01",))
    assert test.program == tmp_path / "thing.c"
    assert test.modes == MODES
    assert test.needs.root
    assert not (test.user or test.terminal or test.transition or test.expect_fail or test.changes)
    assert test.timeout == 30.0


def test_every_key(tmp_path: Path) -> None:
    text = HEAD + (
        "program: thing.py\narguments: [--size=4, 5]\ncflags: [-DX]\nldlibs: [-lm]\n"
        "options: {both: [--file-locks], dump: [-a], restore: [-b]}\n"
        "needs: {features: [uffd], root: false, commands: [ip], libraries: [aio], alone: true}\n"
        "user: true\nterminal: true\nmodes: [plain, stop]\nchanges: [positions]\ntimeout: 2.5\n"
        "expect_fail:\n  - {engine: criu, kernel: '< 6.12, >= 5.10', step: dump, reason: so, until: 2027-06-30}\n"
    )
    test = load(write(tmp_path, text, "thing.py"))
    assert test.program.name == "thing.py"
    assert test.arguments == ("--size=4", "5")
    assert test.options == (("--file-locks", "-a"), ("--file-locks", "-b"))
    assert test.needs == (("uffd",), False, ("ip",), ("aio",), True)
    assert test.user
    assert test.terminal
    assert (test.modes, test.changes) == (("plain", "stop"), ("positions",))
    until = datetime.date(2027, 6, 30)
    assert test.expect_fail == (("criu", "< 6.12, >= 5.10", "dump", "so", until, MODES, True),)


def test_a_python_program_is_found_by_name(tmp_path: Path) -> None:
    assert load(write(tmp_path, HEAD, "thing.py")).program.name == "thing.py"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [F01]", "the key 'doc' is missing"),
        ("doc: a thing", "the key 'rows' is missing"),
        (HEAD + "argument: [x]", "unknown key 'argument'; did you mean arguments? allowed are doc, rows,"),
        (HEAD + "options: {bth: []}", "options: unknown key 'bth'; did you mean both? allowed are both, "),
        (HEAD + "doc: again", "the key doc comes twice"),
        ("doc: ''\nrows: [F01]", "doc: text is expected, not ''"),
        ("doc: a\nrows: []", "rows: the list is empty"),
        ("doc: a\nrows: F01", "rows: a list of words is expected, not 'F01'"),
        (HEAD + "user: 1", "user: true or false is expected, not 1"),
        (HEAD + "modes: [fast]", "modes: 'fast' is not one of plain, iters, norst, stop"),
        (HEAD + "changes: [colour]", "changes: 'colour' is not one of processes, threads"),
        (HEAD + "timeout: 0", "timeout: a number of seconds above 0 is expected, not 0"),
        (HEAD + "timeout: true", "timeout: a number of seconds above 0 is expected, not True"),
        (HEAD + "timeout: .inf", "timeout: a number of seconds above 0 is expected, not inf"),
        (HEAD + "timeout: .nan", "timeout: a number of seconds above 0 is expected, not nan"),
        (HEAD + "modes: []", "modes: the list is empty"),
        (HEAD + "arguments: [yes]", "arguments: a list of words is expected, but [True] has yes or no without"),
        (HEAD + "program: other.c", "there is no program other.c beside it"),
        (HEAD + "expect_fail: {}", "expect_fail: a list of mappings is expected"),
        (HEAD + "expect_fail: [{engine: any, step: dump, until: 2027-01-01}]", "the key 'reason' is missing"),
        (HEAD + "expect_fail: [{engine: any, step: dump, reason: x, until: soon}]", "until: a day like"),
        (
            HEAD + "expect_fail: [{engine: any, step: dump, reason: x, until: 2027-01-01, kernel: 6.1}]",
            "kernel: text is expected",
        ),
        (
            HEAD + "expect_fail: [{engine: any, step: dump, reason: x, until: 2027-01-01, kernel: '<6.1'}]",
            "kernel: comparisons like '< 6.12, >= 5.10' are expected, not '<6.1'",
        ),
        (
            HEAD + "expect_fail: [{engine: any, step: dump, reason: x, until: 2027-01-01, kernel: '< 6..12'}]",
            "kernel: comparisons like",
        ),
        ("- a list", "a mapping with the keys doc, rows"),
        ("doc: [", "while parsing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DescriptionError) as error:
        load(write(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path / "thing.yaml") in str(error.value)


def test_all_descriptions_of_this_repository_follow_the_schema() -> None:
    tests = collect()
    names = [test.name for test in tests]
    assert {"busyloop", "sleeping", "pipe_data", "fork_tree"} <= set(names)
