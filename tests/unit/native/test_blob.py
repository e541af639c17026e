"""The interpreter as an object: it can be copied anywhere, changes nothing of its own, and begins where we say."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import pytest

from engine.plan import blob
from native.build import run

if TYPE_CHECKING:
    from pathlib import Path

PT_LOAD = 1
PF_X, PF_W, PF_R = 1, 2, 4


def symbols(elf: Path) -> dict[str, int]:
    lines = (line.split() for line in run("nm", elf).splitlines())
    return {name: int(address, 16) for address, _, name in lines}


def sections(path: Path) -> dict[str, str]:
    """Name -> flags of every section, as readelf letters."""
    text = run("readelf", "-SW", path)
    rows = re.findall(r"\[ *\d+\] (\.\S+) +\w+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) ", text)
    return {name: flags for name, size, flags in rows if int(size, 16)}


@pytest.mark.parametrize("name", ["interp.elf", "skeleton"])
def test_no_relocations(built: Path, name: str) -> None:
    assert "There are no relocations in this file" in run("readelf", "-rW", built / name)


def test_no_absolute_address_was_linked_in(built: Path) -> None:
    """The linker resolves absolute addresses without a trace, for the address 0; only distances are right anywhere."""
    kinds = set(re.findall(r"R_X86_64_\w+", run("readelf", "-rW", built / "interp.o")))
    assert kinds <= {"R_X86_64_PC32", "R_X86_64_PLT32"}


@pytest.mark.parametrize("name", ["interp.o", "interp.elf", "skeleton"])
def test_no_writable_data(built: Path, name: str) -> None:
    found = sections(built / name)
    assert any("X" in flags for flags in found.values()), found
    assert not [section for section, flags in found.items() if "W" in flags]


def test_all_of_it_is_in_one_section_under_a_page(built: Path) -> None:
    allocated = [name for name, flags in sections(built / "interp.elf").items() if "A" in flags]
    assert allocated == [".text"]
    assert 0 < len(blob.CODE) < 4096


def test_the_product_is_of_this_source(built: Path) -> None:
    assert (built / "interp.bin").read_bytes() == blob.CODE, "run `python -m native.build`"


def test_entries_are_where_python_says(built: Path) -> None:
    found = symbols(built / "interp.elf")
    assert found["enter"] == blob.ENTER
    assert found["idle"] == blob.IDLE


def test_idle_is_a_pause_that_serves_remote_calls() -> None:
    """The tracer sends a stopped skeleton to the `syscall`, five bytes behind the entry (kernel/skeleton.py)."""
    assert blob.CODE[blob.IDLE :][:7] == b"\xb8\x22\0\0\0\x0f\x05"


def test_the_task_s_extended_state_is_left_alone(built: Path) -> None:
    code = run("objdump", "-d", "--no-show-raw-insn", built / "interp.elf")
    assert not re.findall(r"%[xyz]?mm\d|%st\b|%k[0-7]\b", code)


def test_the_skeleton_has_the_same_code_at_its_address(built: Path) -> None:
    """Read from the program headers: they are what execve goes by."""
    elf = (built / "skeleton").read_bytes()
    entry, headers = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    loads = [struct.unpack_from("<IIQQQQQQ", elf, headers + i * size) for i in range(count)]
    loads = [load for load in loads if load[0] == PT_LOAD]
    flags, offset, address, length = next(
        (f, o, v, n) for _, f, o, v, _, n, *_ in loads if v <= blob.SKELETON_CODE < v + n
    )
    at = offset + blob.SKELETON_CODE - address
    assert elf[at : at + len(blob.CODE)] == blob.CODE
    assert flags == PF_R | PF_X
    assert entry == blob.SKELETON_CODE + blob.IDLE
    assert length < 2 * 4096
