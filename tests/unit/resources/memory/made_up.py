"""A vdso of no kernel: as much of an ELF image as a program needs to find functions in it."""

from __future__ import annotations

import struct

from engine.resources.memory.symbols import DYNAMIC, HEADER, PROGRAM, SYMBOL

SIZE = 4096
TEXT = 0x800  # where the functions may begin
DYNAMIC_AT, SYMBOLS_AT, NAMES_AT, HASH_AT, GNU_HASH_AT = 0x100, 0x200, 0x500, 0x680, 0x700
GLOBAL_FUNCTION, WEAK_FUNCTION, GLOBAL_OBJECT = 0x12, 0x22, 0x11


def vdso(
    functions: dict[str, tuple[int, int]], bias: int = 0, hashes: tuple[str, ...] = ("sysv", "gnu"), info: int = 0
) -> bytearray:
    """`functions`: name -> (offset, size); they are filled with int3. Linked for the address `bias`."""
    code = bytearray(SIZE)
    names, symbols = b"\0", bytes(SYMBOL.size)
    for name, (start, size) in functions.items():
        symbols += SYMBOL.pack(len(names), info or GLOBAL_FUNCTION, 0, 7, bias + start, size)
        names += name.encode() + b"\0"
        code[start : start + size] = b"\xcc" * min(size, SIZE - start)
    entries = [(5, bias + NAMES_AT), (6, bias + SYMBOLS_AT), (10, len(names)), (11, SYMBOL.size)]
    entries += [(4, bias + HASH_AT)] * ("sysv" in hashes) + [(0x6FFFFEF5, bias + GNU_HASH_AT)] * ("gnu" in hashes)
    dynamic = b"".join(DYNAMIC.pack(*entry) for entry in [*entries, (0, 0)])
    programs = PROGRAM.pack(1, 5, 0, bias, bias, SIZE, SIZE, 4096)
    programs += PROGRAM.pack(2, 4, DYNAMIC_AT, bias + DYNAMIC_AT, 0, len(dynamic), len(dynamic), 8)
    header = HEADER.pack(b"\x7fELF", 2, 1, 1, 0, 3, 62, 1, 0, HEADER.size, 0, 0, HEADER.size, PROGRAM.size, 2)
    count = len(functions) + 1
    sysv = struct.pack("<II", 1, count)
    # one bucket that begins with symbol 1, no bloom word; the last chain word is odd
    gnu = struct.pack("<5I", 1, 1, 0, 0, 1 if functions else 0) + b"".join(
        struct.pack("<I", int(number == count - 1)) for number in range(1, count)
    )
    for at, part in ((0, header + programs), (DYNAMIC_AT, dynamic), (SYMBOLS_AT, symbols), (NAMES_AT, names),
                     (HASH_AT, sysv), (GNU_HASH_AT, gnu)):  # fmt: skip
        code[at : at + len(part)] = part
    return code
