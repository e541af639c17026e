"""The functions of a vdso: the dynamic symbols of its ELF image (elf(5), vdso(7)).

The code may come from an image, so nothing in it is believed: every offset and size is held against the bytes that are
there, and what does not fit is Damaged.
"""

from __future__ import annotations

import struct

from engine.tuples import NamedTuple

HEADER = struct.Struct("<4sBBBB8xHHIQQQIHHH6x")  # magic, class, data, version, abi, type, machine, …, phoff, …, phnum
PROGRAM = struct.Struct("<IIQQQQQQ")  # type, flags, offset, vaddr, paddr, filesz, memsz, align
DYNAMIC = struct.Struct("<QQ")  # tag, value
SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
WORD = struct.Struct("<I")
MAGIC, CLASS_64, LITTLE, ET_DYN, EM_X86_64 = b"\x7fELF", 2, 1, 3, 62
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_GNU_HASH = 0, 4, 5, 6, 10, 11, 0x6FFFFEF5
STB_GLOBAL, STB_WEAK, STT_FUNC, SHN_UNDEF, SHN_LORESERVE = 1, 2, 2, 0, 0xFF00
MOST = 1 << 16  # bytes: the kernels' own have two or three pages


class Damaged(Exception):
    """What is wrong with it."""


class Function(NamedTuple):
    """Where a function is: bytes from the beginning of the code, and its length."""

    start: int
    size: int


def functions(code: bytes) -> dict[str, Function]:
    """Every function that a program can find by name."""
    if len(code) > MOST:
        raise Damaged(f"it has {len(code)} bytes, which is no kernel's size")
    load, dynamic = _segments(code)
    table = _dynamic(code, dynamic[0], dynamic[1])
    bias, end = load[0], load[1]
    if missing := {DT_STRTAB, DT_SYMTAB, DT_STRSZ} - table.keys():
        raise Damaged(f"it has no dynamic entry {min(missing)}")
    if table.get(DT_SYMENT, SYMBOL.size) != SYMBOL.size:
        raise Damaged(f"its symbols have {table[DT_SYMENT]} bytes")
    names = _part(code, table[DT_STRTAB] - bias, table[DT_STRSZ], "table of names")
    first, count = table[DT_SYMTAB] - bias, _count(code, bias, table)
    symbols = _part(code, first, count * SYMBOL.size, "table of symbols")
    found = {}
    for name, info, _, section, value, size in SYMBOL.iter_unpack(symbols):
        defined = SHN_UNDEF < section < SHN_LORESERVE
        if defined and info & 15 == STT_FUNC and info >> 4 in (STB_GLOBAL, STB_WEAK):
            start = value - bias
            if not HEADER.size <= start <= start + size <= end:
                raise Damaged(f"a function at {value:#x} with {size} bytes lies outside of it")
            found[_name(names, name)] = Function(start, size)
    return found


def _segments(code: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """(address that it was linked for, length) of what is loaded, (offset, length) of the dynamic section."""
    if len(code) < HEADER.size:
        raise Damaged("it has no room for an ELF header")
    magic, width, order, _, _, kind, machine, _, _, at, _, _, _, size, count = HEADER.unpack_from(code)
    if (magic, width, order, kind, machine) != (MAGIC, CLASS_64, LITTLE, ET_DYN, EM_X86_64) or size != PROGRAM.size:
        raise Damaged("it does not begin with the ELF header of a shared object for x86-64")
    headers = list(PROGRAM.iter_unpack(_part(code, at, count * size, "table of segments")))
    loads = [(vaddr, filesz) for kind, _, offset, vaddr, _, filesz, *_ in headers if kind == PT_LOAD and offset == 0]
    dynamics = [(offset, filesz) for kind, _, offset, _, _, filesz, *_ in headers if kind == PT_DYNAMIC]
    if len(loads) != 1 or len(dynamics) != 1 or loads[0][1] > len(code):
        raise Damaged("it is not one loaded segment with a dynamic section")
    return loads[0], dynamics[0]


def _dynamic(code: bytes, offset: int, size: int) -> dict[int, int]:
    """Tag -> value, up to the entry that ends the list."""
    found: dict[int, int] = {}
    for tag, value in DYNAMIC.iter_unpack(_part(code, offset, size - size % DYNAMIC.size, "dynamic section")):
        if tag == DT_NULL:
            break
        found[tag] = value
    return found


def _count(code: bytes, bias: int, table: dict[int, int]) -> int:
    """How many symbols there are; only the hash tables tell."""
    if DT_HASH in table:  # buckets, chains: one for each symbol
        return int(_words(code, table[DT_HASH] - bias, 2)[1])
    if DT_GNU_HASH not in table:
        raise Damaged("it has no hash table")
    at = table[DT_GNU_HASH] - bias
    buckets, first, bloom, _ = _words(code, at, 4)
    chains = at + 16 + 8 * bloom + 4 * buckets
    last = max(_words(code, at + 16 + 8 * bloom, buckets), default=0)
    if last < first:
        return first
    while not _words(code, chains + 4 * (last - first), 1)[0] & 1:  # the last of a chain has this bit
        last += 1
    return last + 1


def _words(code: bytes, at: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", _part(code, at, count * WORD.size, "hash table"))


def _part(code: bytes, at: int, size: int, what: str) -> bytes:
    if not 0 <= at <= at + size <= len(code):
        raise Damaged(f"its {what} lies outside of it")
    return code[at : at + size]


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at)
    if end <= at:
        raise Damaged("a symbol's name does not end, or is none")
    return names[at:end].decode("ascii", "backslashreplace")
