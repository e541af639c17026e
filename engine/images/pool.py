"""Message classes and enums made from descriptors.bin, each when it is first asked for.

The usual way to such classes, google.protobuf.descriptor_pool, costs 30 to 60 ms of imports. The C module
below it (google._upb) has all that is needed and costs 7 ms; the public modules serve where it is missing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

TYPE_CHECKING = False  # typing itself would cost as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

DESCRIPTORS = os.path.join(os.path.dirname(__file__), "descriptors.bin")
WELL_KNOWN = "google.protobuf.internal.well_known_types"
EMPTY_MESSAGE = b'\n\x0aamber.null\x12\x05amber"\x09\n\x07nothing'  # a file with one message, without fields


class Pool:
    """All types of the image format, by the flat names that the .proto files give them."""

    __slots__ = ("_classes", "_files", "_make", "_pool")

    def __init__(self, path: str = DESCRIPTORS) -> None:
        """Load a serialised FileDescriptorSet. AmberError when it was never built."""
        self._pool, self._make = _implementation()
        self._files: list[Any] = []
        self._classes: dict[str, Any] = {}
        for file in _files(_contents(path)):
            self._files.append(self._pool.AddSerializedFile(file))

    def find(self, name: str) -> Any:
        """The message class, enum or value of a top-level enum called `name`; KeyError when there is none."""
        for look in (self.message, self.enum, self._enum_value):
            try:
                return look(name)
            except KeyError:
                continue
        raise KeyError(name)

    def message(self, name: str) -> Any:
        """The class of a message, or KeyError."""
        made = self._classes.get(name)
        if made is None:
            made = self._classes[name] = self._make(self._pool.FindMessageTypeByName(name))
        return made

    def enum(self, name: str) -> Any:
        """An enum with its values as attributes, `Name(number)` and `Value(name)`; or KeyError."""
        from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

        return EnumTypeWrapper(self._pool.FindEnumTypeByName(name))

    def extension(self, name: str) -> Any:
        """The descriptor of an extension field, or KeyError."""
        return self._pool.FindExtensionByName(name)

    def serialized_files(self) -> list[bytes]:
        """Every .proto file as a serialised FileDescriptorProto."""
        return [file.serialized_pb for file in self._files]

    def names(self) -> list[str]:
        """All top-level messages and enums of the image format, without protobuf's own."""
        ours = [f for f in self._files if f.package == ""]
        return [name for f in ours for name in (*f.message_types_by_name, *f.enum_types_by_name)]

    def _enum_value(self, name: str) -> int:
        for file in self._files:
            for enum in file.enum_types_by_name.values():
                if name in enum.values_by_name:
                    return int(enum.values_by_name[name].number)
        raise KeyError(name)


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        from engine.errors import AmberError

        remedy = "run `make setup` or `python -m engine.images.build`"
        raise AmberError(f"{path} is missing: the image format was not built; {remedy}") from None


def _files(descriptor_set: bytes) -> Iterator[bytes]:
    """The serialised files of a FileDescriptorSet: a message whose only field is number 1, repeated."""
    at = 0
    while at < len(descriptor_set):
        at, length = at + 1, 0
        for shift in range(0, 35, 7):
            byte = descriptor_set[at]
            at, length = at + 1, length | (byte & 0x7F) << shift
            if byte < 0x80:
                break
        yield descriptor_set[at : at + length]
        at += length


def _implementation() -> tuple[Any, Any]:
    """An empty descriptor pool, and the function that makes a class from one of its descriptors."""
    if os.environ.get("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "upb") == "upb":
        try:
            return _lean_implementation()
        except (ImportError, AttributeError):  # another build of protobuf, or one with another inside
            pass
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    return DescriptorPool(), GetMessageClass


def _lean_implementation() -> tuple[Any, Any]:
    from google._upb import _message
    from google.protobuf.message import Message

    meta = _message.MessageMeta

    def make(descriptor: Any) -> Any:
        return meta(descriptor.name, (Message,), {"DESCRIPTOR": descriptor, "__module__": "engine.images.pb"})

    pool = _message.DescriptorPool()
    pool.AddSerializedFile(EMPTY_MESSAGE)
    _spare_well_known_types(lambda: make(pool.FindMessageTypeByName("amber.nothing")))
    return pool, make


def _spare_well_known_types(make_first_class: Callable[[], object]) -> None:
    """Keep the first class from importing the mix-ins of Timestamp and the like, with datetime and calendar.

    The C module asks for them once and keeps the table. It gets an empty one, which is filled as soon as
    protobuf's Python modules are imported: programs that use well-known types themselves see no difference.
    """
    from google.protobuf import internal

    if WELL_KNOWN in sys.modules:
        return
    table: dict[str, type] = {}

    def import_late(name: str) -> Any:
        if name != "well_known_types":
            raise AttributeError(f"module {internal.__name__!r} has no attribute {name!r}")
        del vars(internal)["__getattr__"]
        from google.protobuf.internal import well_known_types

        table.update(well_known_types.WKTBASES)
        return well_known_types

    stand_in = sys.modules[WELL_KNOWN] = ModuleType(WELL_KNOWN)
    vars(stand_in)["WKTBASES"] = table
    vars(internal)["__getattr__"] = import_late
    try:
        make_first_class()
    finally:  # when it fails, the usual modules of protobuf serve, and need the real one
        del sys.modules[WELL_KNOWN]
