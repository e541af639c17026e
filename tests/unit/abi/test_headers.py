"""Compiles one static assertion per constant, structure and field of engine/abi.

A name whose line ends in a kernel version (`# 6.7`) may be missing from the installed headers; every other
one must be there, and whatever is there must agree. AMBER_UAPI=DIR takes the headers of another kernel.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from engine.abi.layout import Layout
from tests.unit.abi.headers import ALIASES, HEADERS

ABI = Path(__file__).resolve().parents[3] / "engine" / "abi"

# What no header has under this name; each is explained where it is written down.
OURS = {
    "fs": re.compile(r"PAGEMAP_(?!SCAN)"),
    "ioctls": re.compile(r"NCCS"),
    "netlink": re.compile(r"NFT_"),
    "resource": re.compile(r"RLIM_INFINITY"),
    "signal": re.compile(r"NSIG|SIGSET_SIZE|SIG_DFL|SIG_IGN"),
    "xsave": re.compile(r"XSTATE_|XSAVE_|XFEATURE_|FP_XSTATE_MAGIC2_SIZE"),
}
# Structures that newer kernels make longer: ours is the part that all of them share.
GROWING = {"struct rseq", "struct sched_attr"}


class Assertion(NamedTuple):
    """One line of C, and the Python name it speaks for."""

    name: str
    text: str


def constants(module: ModuleType, short: str) -> dict[str, int]:
    """The numbers that the module takes from a header, by their C name."""
    if short == "syscalls":
        return {f"__NR_{name}": number for number, name in module.NAMES.items()}
    ours = OURS.get(short)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, int) and not (ours and ours.match(name))
    }


def equals(name: str, value: int) -> Assertion:
    """Both sides as the 64 bits that they are, whatever C thinks of their type."""
    wanted = f"{value & (1 << 64) - 1:#x}ull"
    got = f"(unsigned long long)({ALIASES.get(name, name)})"
    if 0 > value >= -(1 << 31) or 1 << 31 <= value < 1 << 32:  # headers say either int or unsigned
        wanted, got = f"{value & 0xFFFFFFFF:#x}u", f"(unsigned)({ALIASES.get(name, name)})"
    return Assertion(name, f"_Static_assert({got} == {wanted}, {name!r});".replace("'", '"'))


def shapes(name: str, layout: Layout) -> list[Assertion]:
    """Size of the structure, place and size of every field."""
    compare = ">=" if layout.ctype in GROWING else "=="
    facts = [f"sizeof({layout.ctype}) {compare} {layout.size}"]
    for field, at in layout.offsets.items():
        facts.append(f"__builtin_offsetof({layout.ctype}, {field}) == {at}")
        size = Layout("", f"x:{layout.formats[field]}").size
        facts.append(f"sizeof((({layout.ctype} *)0)->{field}) == {size}")
    return [Assertion(name, f'_Static_assert({fact}, "{fact}");') for fact in facts]


def assertions(short: str) -> list[Assertion]:
    """Everything to be held against the headers of one module."""
    module = importlib.import_module(f"engine.abi.{short}")
    found = [equals(name, value) for name, value in constants(module, short).items()]
    for name, value in vars(module).items():
        if isinstance(value, Layout):
            found += shapes(name, value)
    return found


def versions(short: str) -> dict[str, str]:
    """Names that came with a kernel newer than the oldest headers we build with: {"PAGEMAP_SCAN": "6.7"}."""
    text = (ABI / f"{short}.py").read_text()
    prefix = "__NR_" if short == "syscalls" else ""
    rows = re.finditer(r"^ *(\w+) = .*# (\d+\.\d+)$", text, re.M)
    return {prefix + row[1]: row[2] for row in rows}


def complaints(headers: list[str], checks: list[Assertion], work: Path) -> list[tuple[Assertion, str]]:
    """What the compiler says, by assertion."""
    lines = [f"#include <{header}>" for header in headers]
    source = work / "check.c"
    source.write_text("\n".join(["#define _GNU_SOURCE", *lines, *(check.text for check in checks)]) + "\n")
    uapi = os.environ.get("AMBER_UAPI")
    other = ["-isystem", f"{uapi}/x86_64-linux-gnu", "-isystem", uapi] if uapi else []
    command = ["gcc", "-fsyntax-only", "-w", *other, str(source)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    first = len(lines) + 2
    rows = re.finditer(r"^(\S+?):(\d+):\d+: error: (.*)$", done.stderr, re.M)
    found = []
    for row in rows:
        assert row[1] == str(source) and int(row[2]) >= first, row[0]
        found.append((checks[int(row[2]) - first], row[3]))
    assert bool(found) == bool(done.returncode), done.stderr
    return found


@pytest.mark.parametrize("short", sorted(HEADERS))
def test_module_agrees_with_the_headers(short: str, tmp_path: Path) -> None:
    newer = versions(short)
    wrong = [
        f"{check.name}: {complaint}"
        for check, complaint in complaints(HEADERS[short], assertions(short), tmp_path)
        if "static assertion failed" in complaint or check.name not in newer
    ]
    assert not wrong


def test_every_module_is_checked() -> None:
    modules = {path.stem for path in ABI.glob("*.py")} - {"__init__", "layout", "internal"}
    assert modules == set(HEADERS)


def test_the_check_can_fail(tmp_path: Path) -> None:
    wrong = [equals("WNOHANG", 2), *shapes("X", Layout("struct rusage", "nothing:Q"))]
    said = [complaint for _, complaint in complaints(["linux/wait.h", "sys/resource.h"], wrong, tmp_path)]
    assert any("static assertion failed" in text for text in said)
    assert any("no member named" in text for text in said)
