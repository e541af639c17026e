"""How the kernel's C structures are written down: one line of `name:format` words each.

    CLONE_ARGS = Layout("struct clone_args", "flags:Q pidfd:Q child_tid:Q …")

Formats are those of the `struct` module in native byte order without alignment, so padding is written out,
as fields named `_`. A field of a nested structure or union is named with dots, as C names it.
"""

from __future__ import annotations

import struct


class Layout:
    """One C structure: its name, size in bytes, and the place of every field."""

    __slots__ = ("ctype", "formats", "offsets", "size", "struct")

    def __init__(self, ctype: str, fields: str) -> None:
        """`fields` is the list of `name:format` words."""
        self.ctype = ctype
        self.formats: dict[str, str] = {}  # "st_ino" -> "Q"
        self.offsets: dict[str, int] = {}  # "st_ino" -> 8
        at, whole = 0, "="
        for word in fields.split():
            name, _, form = word.partition(":")
            if name != "_":
                self.formats[name], self.offsets[name] = form, at
            at += struct.calcsize("=" + form)
            whole += form
        self.size = at
        self.struct = struct.Struct(whole)

    def pack(self, **values: int | bytes) -> bytes:
        """The structure with the given fields; all others are zero. Arrays of numbers cannot be given."""
        raw = bytearray(self.size)
        for name, value in values.items():
            struct.pack_into("=" + self.formats[name], raw, self.offsets[name], value)
        return bytes(raw)

    def unpack(self, raw: bytes | bytearray | memoryview, offset: int = 0) -> dict[str, int]:
        """Every field by name, from the structure at `offset`. Only for structures of single numbers."""
        return dict(zip(self.formats, self.struct.unpack_from(raw, offset), strict=True))

    def get(self, raw: bytes | bytearray | memoryview, name: str, offset: int = 0) -> int:
        """One numeric field of the structure at `offset`."""
        value: int = struct.unpack_from("=" + self.formats[name], raw, offset + self.offsets[name])[0]
        return value

    def put(self, raw: bytearray | memoryview, name: str, value: int, offset: int = 0) -> None:
        """Writes one numeric field of the structure at `offset`."""
        struct.pack_into("=" + self.formats[name], raw, offset + self.offsets[name], value)
