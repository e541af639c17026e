"""The container of the images: magics, then entries of length, message and, for some types, a payload.

Version 1.1 begins with a head magic, version 1 without; which one a directory has, says its inventory. All
numbers are 32-bit little-endian. Nothing in a file is believed: what is missing, too long, left over or of another
type is an ImageError with the file's name, the entry's number and the offset.
"""

from __future__ import annotations

from engine.errors import ImageError
from engine.images import pb
from engine.images.catalog import COMMON_MAGIC, SERVICE_MAGIC, type_of_magic
from engine.images.cursor import Cursor
from engine.images.payload import RULES, is_last, read_payload
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from engine.images.catalog import ImageType

V1, V1_1 = 1, 2  # img_version of the inventory
HEAD_MAGICS = (COMMON_MAGIC, SERVICE_MAGIC)


class Entry(NamedTuple):
    """A message of an image file and the bytes that follow it."""

    message: Any
    payload: bytes = b""


def read_image(type_: ImageType, data: bytes, name: str, version: int | None = None) -> list[Entry]:
    """All entries of a file's contents. `version` is the inventory's img_version; None takes either."""
    cursor = Cursor(data, name)
    _read_magics(type_, cursor, version)
    if type_.kind not in RULES and (plain := _read_plain(type_, data, cursor.at)):
        return plain
    entries: list[Entry] = []
    while cursor.left and not _is_complete(type_, entries):
        cursor.entry = len(entries)
        entries.append(_read_entry(type_, cursor))
    if cursor.left:
        cursor.fail(f"{cursor.left} bytes follow the last entry")
    _check_first(type_, entries, cursor)
    return entries


def _read_plain(type_: ImageType, data: bytes, at: int) -> list[Entry] | None:
    """Messages one after the other, which nothing follows; None if anything about them is wrong: then they are read
    again, by the code that says what."""
    entries: list[Entry] = []
    read, end, last = getattr(pb, type_.message_at(0)).FromString, len(data), getattr(pb, type_.message or "")
    while at < end:
        body = at + 4
        at = body + int.from_bytes(data[at:body], "little")
        try:
            message = read(data[body:at])
        except Exception:  # DecodeError, whose module is slow to import
            return None
        if at > end or not message.IsInitialized():
            return None
        entries.append(Entry(message))
        read = last.FromString
    return None if type_.single and len(entries) != 1 else entries


def image_bytes(type_: ImageType, entries: Iterable[Any], name: str) -> bytes:
    """The contents of a file of version 1.1. Entries are messages, or pairs of message and payload."""
    parts = [_word(magic) for magic in (type_.head_magic, type_.magic) if magic]
    done = _with_payloads(type_, entries, name, parts) if type_.kind in RULES else _plain(type_, entries, name, parts)
    _check_first(type_, done, Cursor(b"", name))
    return b"".join(parts)


def _plain(type_: ImageType, entries: Iterable[Any], name: str, parts: list[bytes]) -> list[Any]:
    """Messages one after the other, which nothing follows: as it is in nearly all files."""
    messages = list(entries)
    if type_.single and len(messages) > 1:
        Cursor(b"", name, 1).fail(f"no other entry can follow in a file of type {type_.kind}")
    expected = type_.message_at(0)
    for number, message in enumerate(messages):
        try:
            if message.DESCRIPTOR.name != expected:
                raise ValueError
            body = message.SerializeToString()  # fails where a required field is missing
        except Exception:
            body = _serialize(_alone(message, name, number), expected, name, number)  # says what is wrong
        parts += (len(body).to_bytes(4, "little"), body)
        expected = type_.message or expected
    return messages


def _alone(item: Any, name: str, number: int) -> Any:
    if not isinstance(item, tuple):
        return item
    message, payload = item
    if payload:
        Cursor(b"", name, number).fail(f"a payload of {len(payload)} bytes does not fit {message.DESCRIPTOR.name}")
    return message


def _with_payloads(type_: ImageType, entries: Iterable[Any], name: str, parts: list[bytes]) -> list[Entry]:
    done: list[Entry] = []
    for item in entries:
        entry = Entry(*item) if isinstance(item, tuple) else Entry(item)
        cursor = Cursor(entry.payload, name, len(done))
        if _is_complete(type_, done):
            cursor.fail(f"no other entry can follow in a file of type {type_.kind}")
        body = _serialize(entry.message, type_.message_at(len(done)), name, len(done))
        if read_payload(type_.kind, entry.message, cursor) != entry.payload:
            cursor.fail(f"a payload of {len(entry.payload)} bytes does not fit {entry.message.DESCRIPTOR.name}")
        parts += [_word(len(body)), body, entry.payload]
        done.append(entry)
    return done


def guess_type(data: bytes, name: str) -> ImageType:
    """The type that the magics of a file's contents tell."""
    cursor = Cursor(data, name)
    magic = cursor.word("the magic")
    type_ = type_of_magic(cursor.word("the magic") if magic in HEAD_MAGICS else magic)
    if type_ is None:
        cursor.fail("no type of image has this magic: the file is raw data, foreign or damaged")
    return type_


def _is_complete(type_: ImageType, entries: list[Entry]) -> bool:
    """Whether no entry can follow."""
    return bool(entries) and (type_.single or is_last(type_.kind, entries[-1].message))


def _check_first(type_: ImageType, entries: Sequence[Any], cursor: Cursor) -> None:
    if not entries and (type_.single or type_.head):
        cursor.fail(f"{type_.message_at(0)} is missing")


def _read_magics(type_: ImageType, cursor: Cursor, version: int | None) -> None:
    if type_.message is None:
        raise ImageError(f"{cursor.name}: files of type {type_.kind} have no messages")
    magic = cursor.word("the magic")
    if version != V1 and type_.head_magic and (version == V1_1 or magic in HEAD_MAGICS):
        if magic != type_.head_magic:
            cursor.fail(f"the head magic is {magic:#010x} instead of {type_.head_magic:#010x}")
        magic = cursor.word("the magic")
    if magic != type_.magic:
        found = type_of_magic(magic)
        other = f", which is that of {found.kind}," if found else ""
        cursor.fail(f"the magic is {magic:#010x}{other} instead of {type_.magic:#010x} ({type_.kind})")


def _read_entry(type_: ImageType, cursor: Cursor) -> Entry:
    message = cursor.message(type_.message_at(cursor.entry or 0), "the entry")
    return Entry(message, read_payload(type_.kind, message, cursor))


def _serialize(message: Any, expected: str, name: str, number: int) -> bytes:
    if message.DESCRIPTOR.name != expected:
        Cursor(b"", name, number).fail(f"{message.DESCRIPTOR.name} instead of {expected}")
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        Cursor(b"", name, number).fail(f"{expected} lacks {missing}")
    return bytes(message.SerializeToString())


def _word(number: int) -> bytes:
    return number.to_bytes(4, "little")
