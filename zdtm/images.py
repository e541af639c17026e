"""What the harness looks at in a directory of images: the statistics of the dump, against the pages themselves."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096  # bytes; what pages-*.img consists of, on every architecture that we run on
_MAGICS = (0x55105940, 0x57093306)  # service file, statistics
_DUMP = 1  # stats_entry.dump
_FREEZING_TIME, _FROZEN_TIME, _PAGES_WRITTEN, _SHARED_PAGES_WRITTEN = 1, 2, 7, 14  # fields of dump_stats_entry
_VARINT, _LENGTH = 0, 2  # protobuf wire types


def complaint(directory: Path) -> str:
    """How stats-dump and pages-*.img contradict each other; empty if not, or without statistics."""
    try:
        raw = (directory / "stats-dump").read_bytes()
    except FileNotFoundError:
        return ""
    try:
        said = pages_written(raw)
    except (ValueError, LookupError, struct.error) as error:
        return f"stats-dump cannot be read: {error}"
    there = sum(path.stat().st_size for path in directory.glob("pages-*.img"))
    if there != said * PAGE:
        return f"stats-dump speaks of {said} pages, but pages-*.img have {there} bytes"
    return ""


def pages_written(raw: bytes) -> int:
    """Private and shared pages that a dump has written, by its stats-dump. Raises ValueError for another file."""
    numbers = _statistics(raw)
    return numbers.get(_PAGES_WRITTEN, 0) + numbers.get(_SHARED_PAGES_WRITTEN, 0)


def frozen_time(raw: bytes) -> int:
    """Microseconds from the first stop until the tree could go on, by stats-dump. Raises ValueError as well."""
    numbers = _statistics(raw)
    return numbers.get(_FREEZING_TIME, 0) + numbers.get(_FROZEN_TIME, 0)


def _statistics(raw: bytes) -> dict[int, int]:
    *magics, size = struct.unpack_from("<III", raw)
    if tuple(magics) != _MAGICS:
        raise ValueError(f"the magics are {magics[0]:#x} and {magics[1]:#x}")
    dump = dict(_fields(raw[12 : 12 + size]))[_DUMP]
    if not isinstance(dump, bytes):
        raise ValueError("the dump's part is a number")
    return {key: value for key, value in _fields(dump) if isinstance(value, int)}


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protobuf message of varints and messages."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == _LENGTH and at + value > len(message):
            raise ValueError("it is cut short")
        if key & 7 == _LENGTH:
            yield key >> 3, message[at : at + value]
            at += value
        elif key & 7 == _VARINT:
            yield key >> 3, value
        else:
            raise ValueError(f"wire type {key & 7}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | message[at] << shift, at + 1
