"""Text fields whose bytes need not be UTF-8: file names, process names.

Protobuf's own attributes give such a value as bytes and refuse to set one. Here it is text as from os.fsdecode: bytes
that are no UTF-8 are lone surrogates.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LENGTH_DELIMITED = 2  # wire type of strings


def get_text(message: Any, field: str) -> str:
    """The value of a text field as os.fsdecode would give it."""
    return as_text(getattr(message, field))


def set_text(message: Any, field: str, text: str) -> None:
    """Set a text field to what os.fsdecode gave; a repeated one gets another item."""
    try:
        setattr(message, field, text)  # nearly all are UTF-8
        return
    except (AttributeError, UnicodeEncodeError, ValueError):
        pass
    raw = text.encode(errors="surrogateescape")
    tag = message.DESCRIPTOR.fields_by_name[field].number << 3 | LENGTH_DELIMITED
    message.MergeFromString(_varint(tag) + _varint(len(raw)) + raw)


def as_text(value: str | bytes) -> str:
    """A value that protobuf has given, as text."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number == low else bytes([low | 0x80]) + _varint(number >> 7)
