"""Finding and choosing tests, building programs, finding engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zdtm import build, engines, leftovers, suite
from zdtm.cli import main
from zdtm.description import Description, DescriptionError, Options
from zdtm.engines import Engine
from zdtm.leftovers import Mount


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("pipe", "pipe_long", "eventfd"):
        (tmp_path / f"{name}.c").write_text("int main(void) { return 0; }\n")
        (tmp_path / f"{name}.yaml").write_text("doc: x\nrows: [X]\n")
    return tmp_path


@pytest.fixture
def tests(directory: Path) -> list[Description]:
    return suite.collect(directories=[directory])


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({}, "eventfd pipe pipe_long"),
        ({"names": ["pipe"]}, "pipe"),
        ({"pattern": "pi"}, "pipe pipe_long"),
        ({"pattern": ".*_"}, "pipe_long"),
        ({"pattern": "pipe", "exclude": ["pipe"]}, "pipe_long"),
        ({"exclude": ["pipe", "eventfd"]}, "pipe_long"),
    ],
)
def test_choice(directory: Path, choice: dict[str, Any], names: str) -> None:
    tests = suite.collect(**choice, directories=[directory])
    assert " ".join(test.name for test in tests) == names


def test_only_what_is_chosen_is_read(directory: Path) -> None:
    (directory / "pipe.yaml").write_text("nonsense: 1\n")
    assert suite.collect(["eventfd"], directories=[directory])
    with pytest.raises(DescriptionError):
        suite.collect(directories=[directory])


def test_an_unknown_name_is_an_error(directory: Path) -> None:
    for choice in ({"names": ["pip"]}, {"exclude": ["pip"]}):
        with pytest.raises(suite.NoSuchTest, match="there is no test 'pip'"):
            suite.collect(**choice, directories=[directory])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ({"pattern": "socket"}, "no test is left"),
        ({"pattern": "pipe$", "exclude": ["pipe"]}, "no test is left"),
        ({"pattern": "pipe("}, r"'pipe\(' is no regular expression"),
    ],
)
def test_choosing_nothing_is_an_error(directory: Path, choice: dict[str, Any], complaint: str) -> None:
    """A run of no test at all would pass."""
    with pytest.raises(suite.NoSuchTest, match=complaint):
        suite.collect(**choice, directories=[directory])


def test_no_test_hides_another_one(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("transition")
    (other / "pipe.yaml").write_text("doc: y\nrows: [Y]\n")
    with pytest.raises(DescriptionError, match=r"pipe\.yaml and .*pipe\.yaml have the same name"):
        suite.collect(["eventfd"], directories=[directory, other])


def test_a_program_is_built_once_for_every_content(
    tests: list[Description], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZDTM_BUILD", str(tmp_path / "build"))
    test = tests[1]
    test.program.write_text('#include "zdtm.h"\nint main(void) { return pass(); }\n')
    first = build.build(test)
    when = first.stat().st_mtime_ns
    assert build.build(test) == first
    assert first.stat().st_mtime_ns == when
    other = build.build(test._replace(cflags=("-DX",)))
    assert other != first
    assert [path.name for path in (tmp_path / "build").iterdir()] == [other.name]
    assert b"PASS" in subprocess.run([other], capture_output=True, check=True).stderr


def test_a_refused_program_leaves_nothing(
    tests: list[Description], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZDTM_BUILD", str(tmp_path / "build"))
    tests[0].program.write_text("int main(void) { return nothing; }\n")
    with pytest.raises(build.BuildError, match="nothing"):
        build.build(tests[0])
    assert not list((tmp_path / "build").iterdir())


def test_libraries() -> None:
    assert build.has_library("m")
    assert not build.has_library("no-such-library")


def test_an_engine_by_path(tmp_path: Path) -> None:
    command = tmp_path / "criu-mine"
    with pytest.raises(engines.EngineMissing):
        engines.find(str(command))
    command.write_text("#!/bin/sh\n[ $4 = uffd ]\n")
    command.chmod(0o755)
    engine = engines.find(str(command))
    assert engine == (command, "criu")
    assert engines.has_feature(engine, "uffd")
    assert not engines.has_feature(engine, "other")


@pytest.mark.parametrize("end", ["kill -SEGV $$", "exit 127", "echo 'Error: bug in Amber: KeyError' >&2; exit 1"])
def test_an_engine_that_cannot_answer_is_no_reason_to_skip(tmp_path: Path, end: str) -> None:
    command = tmp_path / "amber-broken"
    command.write_text(f"#!/bin/sh\n{end}\n")
    command.chmod(0o755)
    with pytest.raises(engines.EngineMissing, match=r"amber-broken check .* ended with status"):
        engines.has_feature(Engine(command, "amber"), "uffd")


def test_an_engine_by_name_is_beside_this_python_or_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory in ("beside", "path"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "amber").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert engines.find("amber") == (tmp_path / "beside" / "amber", "amber")
    (tmp_path / "beside" / "amber").unlink()
    assert engines.find("amber") == (tmp_path / "path" / "amber", "amber")


def test_command_lines() -> None:
    engine, options = Engine(Path("/e"), "e"), Options(("-a",), ("-b",))
    head = "--no-default-config --images-dir /i --log-file"
    assert " ".join(engines.dump_words(engine, 7, Path("/i"), "plain", options)) == (
        f"/e dump {head} dump.log --verbosity=4 --tree 7 -a"
    )
    assert "--leave-running" in engines.dump_words(engine, 7, Path("/i"), "norst", options)
    assert "--leave-stopped" in engines.dump_words(engine, 7, Path("/i"), "stop", options)
    assert " ".join(engines.restore_words(engine, Path("/i"), Path("/p"), "stop", options)) == (
        f"/e restore {head} restore.log --verbosity=4 --restore-detached --pidfile /p --leave-stopped -b"
    )


def test_new_files_are_leftovers_and_removed_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    before = leftovers.survey([tmp_path])
    (tmp_path / "old").unlink()
    (tmp_path / "new").touch()
    assert leftovers.new_things(before, leftovers.survey([tmp_path])) == [f"the file {tmp_path}/new stayed"]


def test_a_mount_over_another_one_is_a_leftover() -> None:
    before = leftovers.World(frozenset({Mount(20, "/tmp", "tmpfs")}), frozenset(), frozenset())
    after = before._replace(mounts=before.mounts | {Mount(21, "/tmp", "tmpfs")})
    assert leftovers.new_things(before, after) == ["the mount /tmp (tmpfs) stayed"]
    renamed = before._replace(mounts=frozenset({Mount(20, "/garbage", "tmpfs")}))  # the directory above it was
    assert leftovers.new_things(before, renamed) == []
    assert leftovers.survey([]).mounts == leftovers.survey([]).mounts != frozenset()


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "-t", "busyloop"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[0] == "busyloop"
    assert "a task spinning in user space" in line


@pytest.mark.parametrize("words", [["list", "-t", "nothing"], ["run", "-a", "--engine", "/nothing"]])
def test_what_cannot_be_run_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("zdtm: ")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_limit_that_is_none(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """0 would mean the description's, and nan no limit at all."""
    with pytest.raises(SystemExit):
        main(["run", "-t", "busyloop", "--timeout", seconds])
    assert "--timeout" in capsys.readouterr().err


def test_a_compiler_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> list[Description]:
        raise build.BuildError("there is no C compiler")

    monkeypatch.setattr(suite, "collect", refuse)
    assert main(["run", "-a"]) == 2
    assert capsys.readouterr().err == "zdtm: there is no C compiler\n"


def test_compiler_is_there() -> None:
    assert os.access(build.compiler(), os.X_OK)
