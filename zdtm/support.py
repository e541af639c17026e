"""What the engine supports: docs/support-matrix.md, by `python -m zdtm.support`.

Nobody writes the matrix. Modules of the engine say which rows of the feature list they cover (ROWS) and which they
refuse by name (REFUSED), id -> words; test programs (`rows:`) and modules of unit tests (ROWS, ids) say which they
prove. All other rows, with their titles, stand in zdtm/rows.txt.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import suite

ROOT = Path(__file__).parent.parent
CATALOGUE = Path(__file__).with_name("rows.txt")
CHAPTERS = {
    "P": "Processes and threads", "M": "Memory", "F": "Files", "S": "Sockets", "U": "Unix sockets",
    "I": "Network sockets", "N": "Netlink sockets", "K": "Packet sockets", "V": "Other sockets", "NS": "Namespaces",
    "NET": "Networks", "MN": "Mounts", "C": "Control groups", "L": "Images and migration", "X": "Privileges",
    "G": "Commands, service, libraries",
}  # fmt: skip
HEAD = """# What Amber supports

Made by `make docs` from the code: modules say which rows of the feature list they cover and which they refuse by name,
tests say what they prove. A row can be both: supported but for something. What is refused is named, and neither dumped
nor left out; most of what is "not yet" is refused in more general words, as a file, socket or namespace of a kind that
is not supported.
"""


class UnknownRow(Exception):
    """A test names a row that nobody knows."""


class Row(NamedTuple):
    """What is known of one row; modules and tests in the order of their names."""

    ident: str
    covered: dict[str, str]  # module -> what it covers of it
    refused: dict[str, str]
    title: str  # of the catalogue, if nobody knows it
    tests: list[str]

    @property
    def status(self) -> str:
        if not self.covered:
            return "refused" if self.refused else "not yet"
        return "supported, with exceptions" if self.refused else "supported"


def rows() -> dict[str, Row]:
    """All rows by id, in the order of chapters and numbers. Raises UnknownRow."""
    found = {ident: Row(ident, {}, {}, title, []) for ident, title in _catalogue()}
    for module in sorted((ROOT / "engine").rglob("*.py")):
        constants = _constants(module)
        for name, field in (("ROWS", "covered"), ("REFUSED", "refused")):
            for ident, text in constants.get(name, {}).items():
                row = found.setdefault(ident, Row(ident, {}, {}, "", []))
                getattr(row, field)[str(module.relative_to(ROOT))] = text
    for test, idents in _proofs():
        for ident in idents:
            if ident not in found:
                raise UnknownRow(f"{test}: there is no row {ident}")
            found[ident].tests.append(test)
    return {ident: found[ident] for ident in in_order(found)}


def in_order(idents: Iterable[str]) -> list[str]:
    """By chapter and number."""
    return sorted(idents, key=_place)


def chapter(ident: str) -> str:
    """The letters of an id."""
    return ident.rstrip("0123456789")


def _place(ident: str) -> tuple[int, int]:
    letters = chapter(ident)
    return list(CHAPTERS).index(letters), int(ident.removeprefix(letters))


def _catalogue() -> Iterator[tuple[str, str]]:
    for line in CATALOGUE.read_text().splitlines():
        if line and not line.startswith("#"):
            ident, _, title = line.partition("  ")
            yield ident, title


def _proofs() -> Iterator[tuple[str, tuple[str, ...]]]:
    for test in suite.collect():
        yield test.name, test.rows
    for module in sorted((ROOT / "tests").rglob("test_*.py")):
        yield str(module.relative_to(ROOT)), tuple(_constants(module).get("ROWS", ()))


def _constants(module: Path) -> Mapping[str, Any]:
    """ROWS and REFUSED of a module, which is not imported."""
    text = module.read_text()
    if not re.search(r"^(ROWS|REFUSED) = ", text, re.MULTILINE):
        return {}
    assigned = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    named = {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}
    return {name: ast.literal_eval(named[name]) for name in ("ROWS", "REFUSED") if name in named}


def page() -> str:
    """The matrix."""
    lines, found = [HEAD], rows()
    for letters, title in CHAPTERS.items():
        chosen = [row for row in found.values() if chapter(row.ident) == letters]
        known = [row for row in chosen if row.covered or row.refused]
        lines.append(f"## {title}\n")
        if known:
            lines += ["| row | what | status | module | proved by |", "|---|---|---|---|---|"]
            lines += [_line(row) for row in known] + [""]
        if rest := [f"{row.ident} {row.title}" for row in chosen if row not in known]:
            lines += [f"Not yet: {'; '.join(rest)}.", ""]
    return "\n".join(lines)


def _line(row: Row) -> str:
    texts = [*row.covered.values(), *(f"refused: {text}" for text in row.refused.values())]
    what = "; ".join(texts) if row.covered else "; ".join(row.refused.values())
    modules = ", ".join(f"`{module}`" for module in dict.fromkeys((*row.covered, *row.refused)))
    tests = ", ".join(f"`{test}`" if "/" in test else test for test in row.tests)
    return f"| {row.ident} | {what} | {row.status} | {modules} | {tests} |"


if __name__ == "__main__":
    print(page(), end="")
