"""docs/cli.md says what the table says."""

from __future__ import annotations

from pathlib import Path

from engine.commandline.document import document
from engine.commandline.table import OPTIONS

PAGE = Path(__file__).parents[3] / "docs/cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "make docs"


def test_the_page_has_every_option() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `-")]
    assert len(rows) == len(OPTIONS)
