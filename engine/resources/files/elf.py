"""The build id of an ELF file (elf(5), ld(1) --build-id): its maker's fingerprint of what is in it."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<4sB11xHHIQQQIHHH")  # magic, class, …, phoff, …, phentsize, phnum
PROGRAM = struct.Struct("<IIQQQQQQ")  # type, flags, offset, vaddr, paddr, filesz, memsz, align
NOTE = struct.Struct("<III")  # length of name and description, type
MAGIC, CLASS_64 = b"\x7fELF", 2
PT_NOTE, NT_GNU_BUILD_ID, GNU = 4, 3, b"GNU\0"
FIRST = 1 << 20  # bytes in which headers and notes are looked for


def build_id(fd: int) -> list[int]:
    """The id in 32-bit words, as reg_file_entry has it; empty if the file has none."""
    head = os.pread(fd, 4096, 0)
    if len(head) < HEADER.size or head[:4] != MAGIC or head[4] != CLASS_64:
        return []
    *_, offset, _, _, _, size, count = HEADER.unpack_from(head)
    for i in range(count):
        at = offset + i * size
        if at + PROGRAM.size > len(head):
            break
        kind, _, start, _, _, length, _, _ = PROGRAM.unpack_from(head, at)
        if kind == PT_NOTE and start + length <= FIRST:
            notes = head[start : start + length] if start + length <= len(head) else os.pread(fd, length, start)
            if found := _search(notes):
                return found
    return []


def _search(notes: bytes) -> list[int]:
    at = 0
    while at + NOTE.size <= len(notes):
        name_size, size, kind = NOTE.unpack_from(notes, at)
        at += NOTE.size
        text = at + (name_size + 3 & -4)
        if kind == NT_GNU_BUILD_ID and notes[at : at + name_size] == GNU:
            words = notes[text : text + size].ljust(size + 3 & -4, b"\0")
            return list(struct.unpack(f"<{len(words) // 4}I", words))
        at = text + (size + 3 & -4)
    return []
