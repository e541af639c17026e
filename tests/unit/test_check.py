"""`amber check`, against a catalog of features made for the test."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

from engine import check, cli
from engine.errors import Obstacle, Refused, UsageError
from engine.kernel import features
from engine.kernel.features import Verdict
from engine.kernel.features.catalog import EXPERIMENTAL, EXTRA, REQUIRED, Feature
from engine.options import DumpOptions, DumpResult
from engine.stats import DumpStats

ROWS = ("G25",)
CATEGORIES = {"must": REQUIRED, "may": EXTRA, "might": EXPERIMENTAL}


@pytest.fixture(autouse=True)
def stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setenv("HOME", str(tmp_path))


def kernel(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """A kernel that has every feature but the missing ones."""

    def verdicts(names: list[str]) -> dict[str, Verdict]:
        if unknown := set(names) - set(CATEGORIES):
            raise UsageError(f"unknown feature {unknown}")
        return {name: Verdict(name not in missing, "ENOSYS" if name in missing else "") for name in names}

    entries = {n: Feature(n, f"for {n}", "", c, False, lambda: None) for n, c in CATEGORIES.items()}
    monkeypatch.setattr(check.catalog, "features", lambda: entries)
    monkeypatch.setattr(features, "verdicts", verdicts)


@pytest.mark.parametrize(
    ("argv", "missing", "status", "last"),
    [
        ([], [], 0, check.GOOD),
        ([], ["may", "might"], 0, check.GOOD),
        (["--extra"], ["might"], 0, check.GOOD),
        (["--extra"], ["may"], 1, check.MAYBE),
        (["--experimental"], ["may"], 0, check.GOOD),
        (["--experimental"], ["might"], 1, check.MAYBE),
        (["--all"], ["might"], 1, check.MAYBE),
        (["--all"], ["may"], 1, check.MAYBE),
        (["--all"], ["must", "may"], 1, check.BAD),
    ],
)
def test_the_kernel(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], argv: list[str], missing: list[str],
    status: int, last: str,
) -> None:  # fmt: skip
    kernel(monkeypatch, *missing)
    assert cli.main(["check", *argv]) == status
    assert capfd.readouterr().out == last


def test_what_is_missing_is_named_with_reason_and_use(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    kernel(monkeypatch, "may")
    cli.main(["check", "--all"])
    assert capfd.readouterr().err.startswith("Warn (amber): may: ENOSYS (for may)\n")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [("may", 0, ""), ("must", 1, "Error (amber): must: ENOSYS\n"), ("none", 1, "unknown feature {'none'}")],
)
def test_one_feature(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, status: int, said: str
) -> None:
    kernel(monkeypatch, "must")
    assert cli.main(["check", "--feature", name]) == status
    assert said in capfd.readouterr().err


def test_the_way_criu_s_test_runner_asks(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    kernel(monkeypatch, "must")
    argv = ["check", "--no-default-config", "--no-default-config", "-verbosity=0", "--feature"]
    assert cli.main([*argv, "may"]) == 0
    assert cli.main([*argv, "must"]) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("argv", [["check", "7"], ["check", "-t", "7"]])
def test_a_tree_is_planned_and_left_as_it_is(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    seen: list[DumpOptions] = []

    def dump(options: DumpOptions) -> DumpResult:
        seen.append(options)
        return DumpResult(7, DumpStats())

    monkeypatch.setitem(sys.modules, "engine.dumper", _module(dump))
    assert cli.main(argv) == 0
    assert (seen[0].pid, seen[0].explain) == (7, True)


def test_the_obstacles_of_a_tree(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def dump(options: DumpOptions) -> DumpResult:
        raise Refused([Obstacle("pid 7 fd 9", "no"), Obstacle("pid 8", "never")])

    monkeypatch.setitem(sys.modules, "engine.dumper", _module(dump))
    assert cli.main(["check", "7"]) == 1
    assert capfd.readouterr().err.count("Error (amber): pid") == 2


@pytest.mark.parametrize(("argv", "error"), [(["check", "x"], "pid"), (["check", "1", "2"], "given '2' too")])
def test_misuse(capfd: pytest.CaptureFixture[str], argv: list[str], error: str) -> None:
    assert cli.main(argv) == 1
    assert error in capfd.readouterr().err


def _module(dump: object) -> types.ModuleType:
    module = types.ModuleType("engine.dumper")
    module.dump = dump  # type: ignore[attr-defined]
    return module
