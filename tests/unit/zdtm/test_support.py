"""The support matrix: current, and nothing claimed without a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from zdtm import cli, support

PAGE = support.ROOT / "docs/support-matrix.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == support.page(), "make docs"


def test_every_supported_row_is_proved() -> None:
    assert [row.ident for row in support.rows().values() if row.covered and not row.tests] == []


def test_processes_memory_and_files_are_proved_by_programs() -> None:
    """Some rows no program can see."""
    unseen = {"F06", "F12", "F13", "F16", "F17"}
    covered = [row for row in support.rows().values() if row.covered and support.chapter(row.ident) in "PMF"]
    assert [row.ident for row in covered if row.ident not in unseen and all("/" in test for test in row.tests)] == []


def test_a_row_is_in_the_catalogue_or_in_modules() -> None:
    both = [row.ident for row in support.rows().values() if row.title and (row.covered or row.refused)]
    assert both == [], "take its line out of zdtm/rows.txt"


def test_every_row_belongs_to_a_chapter_and_has_words() -> None:
    for row in support.rows().values():
        assert support.chapter(row.ident) in support.CHAPTERS
        assert all([*row.covered.values(), *row.refused.values(), row.title or "known"])


def test_the_constants_are_where_they_are_looked_for() -> None:
    """At the left margin, written out."""
    for path in sorted((support.ROOT / "engine").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id in ("ROWS", "REFUSED") and isinstance(node.ctx, ast.Store):
                assert node.col_offset == 0, path


def test_a_test_that_proves_an_unknown_row_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("engine", "tests"):
        (tmp_path / name).mkdir()
    (tmp_path / "engine/thing.py").write_text('ROWS = {"P77": "things"}\nREFUSED = {"P78": "others"}\n')
    (tmp_path / "tests/test_thing.py").write_text('ROWS = ("P77",)\n')
    monkeypatch.setattr(support, "ROOT", tmp_path)
    monkeypatch.setattr(support.suite, "collect", list)
    found = support.rows()
    assert found["P77"] == ("P77", {"engine/thing.py": "things"}, {}, "", ["tests/test_thing.py"])
    assert [found[ident].status for ident in ("P77", "P78", "P10")] == ["supported", "refused", "not yet"]
    (tmp_path / "tests/test_thing.py").write_text('ROWS = ("P79",)\n')
    with pytest.raises(support.UnknownRow, match=r"tests/test_thing.py: there is no row P79"):
        support.rows()


def test_rows_are_listed_with_their_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "-T", "timer", "--rows"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["P13", "P25", "P29", "P30"]
    assert lines[2].split() == ["P29", "timer_ticking"]
