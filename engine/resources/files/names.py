"""Path names, which to the kernel are bytes: how the images hold those that are no UTF-8.

A proto2 string is bytes on the wire and nobody checks them there, which is how CRIU stores such names. Python's
protobuf refuses to assign them, but keeps and hands out (as bytes) what it parses; so they are parsed in.
"""

from __future__ import annotations

from typing import Any

from engine.images import pb

DELETED = " (deleted)"  # what d_path() appends to the path of an unlinked file (fs/d_path.c)
NOT_A_PATH = ("/memfd:", "/SYSV", "/dev/zero (deleted)", "/anon_hugepage", "/[")  # names that the kernel makes up
NAME_FIELD = b"\x32"  # reg_file_entry.name: field 6, length-delimited


def named_entry(name: str, **fields: Any) -> pb.reg_file_entry:
    """An entry with this name. Bytes that are no UTF-8 are surrogates in it, as os.fsdecode makes them."""
    try:
        return pb.reg_file_entry(name=name, **fields)
    except (UnicodeEncodeError, ValueError):
        raw = name.encode("utf-8", "surrogateescape")
        entry = pb.reg_file_entry(**fields)
        entry.MergeFromString(NAME_FIELD + _varint(len(raw)) + raw)
        return entry


def get(entry: pb.reg_file_entry) -> str:
    """The name, with surrogates for bytes that are no UTF-8."""
    name: str | bytes = entry.name
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """For messages: control characters and stray bytes escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
