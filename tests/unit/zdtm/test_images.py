"""Statistics of a dump against its pages."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from zdtm.images import PAGE, complaint, pages_written


def stats(pages: int, shared: int, magic: int = 0x57093306) -> bytes:
    """A stats-dump with two fields of one or two bytes each."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80, value >> 7])

    dump = b"\x08\x05" + b"\x38" + varint(pages) + b"\x70" + varint(shared)
    message = b"\x0a" + varint(len(dump)) + dump
    return struct.pack("<III", 0x55105940, magic, len(message)) + message


@pytest.mark.parametrize(("pages", "shared"), [(0, 0), (3, 2), (300, 0), (127, 128)])
def test_pages_written(pages: int, shared: int) -> None:
    assert pages_written(stats(pages, shared)) == pages + shared


def test_pages_that_are_there_satisfy(tmp_path: Path) -> None:
    (tmp_path / "stats-dump").write_bytes(stats(3, 2))
    (tmp_path / "pages-1.img").write_bytes(bytes(4 * PAGE))
    assert complaint(tmp_path) == "stats-dump speaks of 5 pages, but pages-*.img have 16384 bytes"
    (tmp_path / "pages-2.img").write_bytes(bytes(PAGE))
    assert complaint(tmp_path) == ""


def test_no_statistics_are_no_contradiction(tmp_path: Path) -> None:
    assert complaint(tmp_path) == ""


@pytest.mark.parametrize("raw", [b"", b"short", stats(1, 1, magic=7), stats(1, 1)[:-1] + b"\xff", stats(1, 1)[:14]])
def test_damaged_statistics_are_named(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "stats-dump").write_bytes(raw)
    assert complaint(tmp_path).startswith("stats-dump cannot be read: ")
