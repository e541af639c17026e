"""Functions of a vdso are found by name; what is damaged is said, and never believed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.resources.memory import vdso
from engine.resources.memory.symbols import MOST, SYMBOL, Damaged, Function, functions
from tests.unit.resources.memory import made_up

TWO = {"__vdso_time": (0x800, 40), "time": (0x800, 40), "__vdso_getcpu": (0x840, 30)}
FOUND = {name: Function(*place) for name, place in TWO.items()}


@pytest.mark.parametrize("hashes", [("sysv",), ("gnu",), ("sysv", "gnu")])
@pytest.mark.parametrize("bias", [0, 0xFFFFFFFFFF700000])
def test_functions_are_found(hashes: tuple[str, ...], bias: int) -> None:
    """Old kernels linked theirs for an address far up."""
    assert functions(bytes(made_up.vdso(TWO, bias, hashes))) == FOUND


def test_weak_ones_too_but_no_data() -> None:
    assert functions(bytes(made_up.vdso(TWO, info=made_up.WEAK_FUNCTION))) == FOUND
    assert functions(bytes(made_up.vdso(TWO, info=made_up.GLOBAL_OBJECT))) == {}


def test_this_kernels_own() -> None:
    code = vdso.own().code
    if not code:
        pytest.skip("this kernel was started with vdso=0")
    assert {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu"} <= functions(code).keys()
    assert vdso.unmarked(vdso.MARK + bytes(32) + code[40:]) == code


@pytest.mark.parametrize("at, content, reason", [
    (0, b"\0", "ELF header"),
    (4, b"\1", "ELF header"),  # 32 bits
    (18, b"\xb7", "ELF header"),  # arm64
    (32, struct.pack("<Q", 4090), "table of segments"),
    (32, struct.pack("<Q", (1 << 64) - 56), "table of segments"),
    (54, struct.pack("<H", 32), "ELF header"),  # size of a segment's entry
    (56, struct.pack("<H", 0xFFFF), "table of segments"),
    (56, struct.pack("<H", 1), "one loaded segment"),
    (64 + 32, struct.pack("<Q", 5000), "one loaded segment"),  # longer than the code
    (64 + 56 + 8, struct.pack("<Q", 1 << 63), "dynamic section"),
    (made_up.DYNAMIC_AT, struct.pack("<Q", 99), "no dynamic entry 5"),
    (made_up.DYNAMIC_AT + 8, struct.pack("<Q", 4096), "table of names"),
    (made_up.DYNAMIC_AT + 24, struct.pack("<Q", (1 << 64) - 1), "table of symbols"),
    (made_up.DYNAMIC_AT + 40, struct.pack("<Q", 1 << 40), "table of names"),
    (made_up.DYNAMIC_AT + 56, struct.pack("<Q", 16), "symbols have 16 bytes"),
    (made_up.HASH_AT + 4, struct.pack("<I", 0xFFFFFFFF), "table of symbols"),
    (made_up.DYNAMIC_AT + 72, struct.pack("<Q", 4094), "hash table"),
    (made_up.SYMBOLS_AT + SYMBOL.size, struct.pack("<I", 0xFFFF), "name"),
    (made_up.SYMBOLS_AT + SYMBOL.size, struct.pack("<I", 0), "name"),
    (made_up.SYMBOLS_AT + SYMBOL.size + 8, struct.pack("<Q", 4090), "lies outside"),
    (made_up.SYMBOLS_AT + SYMBOL.size + 8, struct.pack("<Q", 8), "lies outside"),  # in the ELF header
    (made_up.SYMBOLS_AT + SYMBOL.size + 16, struct.pack("<Q", (1 << 64) - 1), "lies outside"),
])  # fmt: skip
def test_damage_is_named(at: int, content: bytes, reason: str) -> None:
    code = made_up.vdso(TWO)
    code[at : at + len(content)] = content
    with pytest.raises(Damaged, match=reason):
        functions(bytes(code))


def test_a_chain_without_an_end_is_damaged() -> None:
    code = made_up.vdso(TWO, hashes=("gnu",))
    code[made_up.GNU_HASH_AT + 20 :] = bytes(len(code) - made_up.GNU_HASH_AT - 20)
    with pytest.raises(Damaged, match="hash table"):
        functions(bytes(code))


def test_no_hash_table_is_damaged() -> None:
    with pytest.raises(Damaged, match="no hash table"):
        functions(bytes(made_up.vdso(TWO, hashes=())))


@pytest.mark.parametrize("size", [0, 63, 64, 119, made_up.NAMES_AT, MOST + 1])
def test_sizes_that_cannot_be(size: int) -> None:
    with pytest.raises(Damaged):
        functions(bytes(made_up.vdso(TWO)).ljust(size, b"\0")[:size])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 0x7FF), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_any_bytes_are_functions_or_damaged(changes: list[tuple[int, int]], gnu: bool) -> None:
    code = made_up.vdso(TWO, hashes=("gnu",) if gnu else ("sysv",))
    for at, byte in changes:
        code[at] = byte
    try:
        found = functions(bytes(code))
    except Damaged:
        return
    assert all(0 <= f.start <= f.start + f.size <= len(code) for f in found.values())
