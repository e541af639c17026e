"""Image files as JSON, in the form that CRIU's tool crit reads and writes.

    {"magic": "PIPES_DATA", "entries": [{"pipe_id": 5, "bytes": 3, "extra": "YWJj\\n"}]}

What `decode` makes of a file of version 1.1, `encode` turns into the same bytes. Errors are ImageError.
"""

from __future__ import annotations

import os
import sys

from engine.errors import ImageError
from engine.images import pb
from engine.images.catalog import CATALOG, RAW, type_of_file
from engine.images.contents import read_contents
from engine.images.convert import from_dict, to_dict
from engine.images.extra import EXTRA, PAYLOAD, has_extra, parse_extra, show_extra, summary
from engine.images.format import guess_type, image_bytes, read_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.images.format import Entry

ROWS = {"G12": "crit: images decoded, encoded, shown"}

STDIN = "-"  # in place of a path


def decode(path: str, pretty: bool = False) -> dict[str, Any]:
    """A file as a dictionary ready for JSON."""
    return decode_bytes(_contents(path), path, pretty)


def encode(image: Any, path: str) -> bytes:
    """The contents of a file from its dictionary; `path` is for messages only."""
    entries = image.get("entries") if isinstance(image, dict) else None
    kind = image.get("magic") if isinstance(image, dict) else None
    type_ = CATALOG.get(kind) if isinstance(kind, str) else None
    if type_ is None or type_.message is None:
        raise ImageError(f"{path}: there is no type of image with messages called {kind!r:.60}")
    if not isinstance(entries, list):
        raise ImageError(f"{path}: the list of entries is missing")
    try:
        parsed = [
            _parse_entry(type_.kind, type_.message_at(number), entry, f"{path}: entries[{number}]")
            for number, entry in enumerate(entries)
        ]
    except RecursionError:
        raise ImageError(f"{path}: messages within messages are too deep") from None
    data = image_bytes(type_, parsed, path)
    read_image(type_, data, path)  # protobuf writes deeper messages than it reads
    return data


def show(path: str, payloads: bool = True) -> dict[str, Any]:
    """A file as a dictionary for people; payloads by their sizes alone if they are not wanted."""
    data = _contents(path)
    image = decode_bytes(data, path, pretty=True)
    if payloads:
        return image
    for shown, entry in zip(image["entries"], read_image(guess_type(data, path), data, path), strict=True):
        if EXTRA in shown:
            shown[EXTRA] = summary(entry.payload)
            shown.pop(PAYLOAD, None)
    return image


def info(path: str) -> dict[str, Any]:
    """Type and number of entries of a file."""
    data = _contents(path)
    type_ = guess_type(data, path)
    return {"magic": type_.kind, "count": len(read_image(type_, data, path))}


def decode_bytes(data: bytes, name: str, pretty: bool = False) -> dict[str, Any]:
    """A file's contents as a dictionary ready for JSON."""
    type_ = guess_type(data, name)
    entries = read_image(type_, data, name)
    return {"magic": type_.kind, "entries": [_show_entry(type_.kind, entry, pretty) for entry in entries]}


def _show_entry(kind: str, entry: Entry, pretty: bool) -> dict[str, Any]:
    return {**to_dict(entry.message, pretty), **show_extra(kind, entry.message, entry.payload)}


def _parse_entry(kind: str, message_name: str, values: Any, where: str) -> tuple[Any, bytes]:
    if not isinstance(values, dict):
        raise ImageError(f"{where}: {values!r:.60} is no {message_name}")
    fields = {key: value for key, value in values.items() if key not in (EXTRA, PAYLOAD)}
    message = from_dict(fields, getattr(pb, message_name)(), where)
    if EXTRA in values and not has_extra(kind, message):
        raise ImageError(f"{where}.{EXTRA}: entries of {kind} have no payload")
    return message, parse_extra(kind, message, values, where)


def _contents(path: str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read()
    type_ = type_of_file(os.path.basename(path))
    if type_ and type_.magic == RAW:
        raise ImageError(f"{path}: files of type {type_.kind} are raw data without messages")
    data = read_contents(path, path, with_payload=True)
    if data is None:
        raise ImageError(f"{path}: there is no such file")
    return data
