"""The documentation names files that exist, and its index names every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)\)")
PATH = re.compile(r"`((?:engine|native|zdtm|tests|docs|ci)/[\w./-]*\w/?)`")
EXAMPLES = ("NAME", "inotify")  # in names of files that a reader is to make
MADE = ("zdtm/build",)  # by what the pages describe: not there in a fresh clone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_exists(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in LINK.findall(text)]
    named = [path for path in PATH.findall(text) if path not in MADE]
    paths = [ROOT / path for path in named if not any(word in path for word in EXAMPLES)]
    assert [str(path) for path in [*links, *paths] if not path.exists()] == []


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(LINK.findall(index))
