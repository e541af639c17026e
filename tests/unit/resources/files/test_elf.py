"""The build id is what ld put into the note."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from engine.resources.files import elf

if TYPE_CHECKING:
    from pathlib import Path

ID = bytes(range(20))


def program(path: Path, notes: bytes, at: int = 0x200) -> int:
    """An ELF file with one PT_NOTE segment, open."""
    header = elf.HEADER.pack(elf.MAGIC, elf.CLASS_64, 3, 62, 1, 0, 64, 0, 0, 64, 56, 1)
    segment = elf.PROGRAM.pack(elf.PT_NOTE, 4, at, at, at, len(notes), len(notes), 4)
    path.write_bytes((header.ljust(64, b"\0") + segment).ljust(at, b"\0") + notes)
    return os.open(path, os.O_RDONLY)


def note(name: bytes, kind: int, content: bytes) -> bytes:
    return struct.pack("<III", len(name), len(content), kind) + name.ljust(len(name) + 3 & -4, b"\0") + content


def test_the_id_is_found_behind_other_notes(tmp_path: Path) -> None:
    notes = note(b"stapsdt\0", 3, b"abcd") + note(elf.GNU, elf.NT_GNU_BUILD_ID, ID)
    assert elf.build_id(program(tmp_path / "a", notes)) == list(struct.unpack("<5I", ID))
    assert elf.build_id(program(tmp_path / "b", notes, at=20000)) == list(struct.unpack("<5I", ID))


def test_other_files_have_none(tmp_path: Path) -> None:
    assert elf.build_id(program(tmp_path / "a", note(b"GNU\0", 1, ID))) == []
    assert elf.build_id(program(tmp_path / "b", b"\xff" * 100)) == []
    (tmp_path / "text").write_bytes(b"#!/bin/sh\n" * 100)
    assert elf.build_id(os.open(tmp_path / "text", os.O_RDONLY)) == []
