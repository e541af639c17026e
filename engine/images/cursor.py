"""A place in an image file that is being read, which knows what to complain about."""

from __future__ import annotations

from engine.errors import ImageError
from engine.images import pb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Cursor:
    """Takes bytes of a file's contents one after the other. Whatever is not there raises ImageError."""

    __slots__ = ("_data", "at", "entry", "name")

    def __init__(self, data: bytes, name: str, entry: int | None = None) -> None:
        """`name` is the file's name and `entry` the number of the entry, from 0: for messages."""
        self._data, self.name, self.entry = data, name, entry
        self.at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self.at

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            self.fail(f"{what} should have {count} bytes, but the file ends after {self.left}")
        self.at += count
        return self._data[self.at - count : self.at]

    def since(self, start: int) -> bytes:
        """Again the bytes from offset `start` up to here."""
        return self._data[start : self.at]

    def word(self, what: str) -> int:
        """The next 32 bits as a number."""
        return int.from_bytes(self.take(4, what), "little")

    def message(self, name: str, what: str) -> Any:
        """The next message of this name, complete with all required fields, behind its length."""
        from google.protobuf.message import DecodeError

        body = self.take(self.word(f"the length of {what}"), what)
        try:
            message = getattr(pb, name).FromString(body)
        except DecodeError as error:
            self.fail(f"{name} cannot be parsed: {error}")
        if not message.IsInitialized():
            self.fail(f"{name} lacks {', '.join(message.FindInitializationErrors())}")
        return message

    def fail(self, cause: str) -> NoReturn:
        """Raise an ImageError that says where in which file."""
        entry = "" if self.entry is None else f"entry {self.entry}, "
        raise ImageError(f"{self.name}: {entry}offset {self.at}: {cause}")
