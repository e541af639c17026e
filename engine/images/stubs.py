"""Writes pb.pyi: what a type checker should know of classes that exist only when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

HEAD = '''\
"""Written by `python -m engine.images.build`; changes are made in proto/."""

# ruff: noqa
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, overload

from engine.images.pool import Pool

_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)

def pool() -> Pool: ...

class Message:
    DESCRIPTOR: ClassVar[Any]
    @classmethod
    def FromString(cls, data: bytes, /) -> Self: ...
    def ParseFromString(self, data: bytes, /) -> int: ...
    def MergeFromString(self, data: bytes, /) -> int: ...
    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...
    def SerializePartialToString(self, *, deterministic: bool = ...) -> bytes: ...
    def ByteSize(self) -> int: ...
    def CopyFrom(self, other: Self, /) -> None: ...
    def MergeFrom(self, other: Self, /) -> None: ...
    def Clear(self) -> None: ...
    def HasField(self, name: str, /) -> bool: ...
    def ClearField(self, name: str, /) -> None: ...
    def WhichOneof(self, name: str, /) -> str | None: ...
    def ListFields(self) -> list[tuple[Any, Any]]: ...
    def IsInitialized(self) -> bool: ...
    def FindInitializationErrors(self) -> list[str]: ...
    def SetInParent(self) -> None: ...
    def DiscardUnknownFields(self) -> None: ...

class Repeated(Sequence[_T], Generic[_T]):
    def __eq__(self, other: object) -> bool: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...
    def __iter__(self) -> Iterator[_T]: ...
    def __delitem__(self, index: int | slice) -> None: ...
    def append(self, item: _T, /) -> None: ...
    def extend(self, items: Iterable[_T], /) -> None: ...
    def insert(self, index: int, item: _T, /) -> None: ...
    def pop(self, index: int = ..., /) -> _T: ...
    def remove(self, item: _T, /) -> None: ...
    def reverse(self) -> None: ...
    def sort(self, *, key: Any = ..., reverse: bool = ...) -> None: ...
    def MergeFrom(self, other: Iterable[_T], /) -> None: ...

class Scalars(Repeated[_T]):
    @overload
    def __setitem__(self, index: int, value: _T) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[_T]) -> None: ...

class Messages(Repeated[_M]):
    def add(self, **fields: Any) -> _M: ...

class Enum:
    @classmethod
    def Name(cls, number: int, /) -> str: ...
    @classmethod
    def Value(cls, name: str, /) -> int: ...
    @classmethod
    def keys(cls) -> list[str]: ...
    @classmethod
    def values(cls) -> list[int]: ...
    @classmethod
    def items(cls) -> list[tuple[str, int]]: ...
'''

PYTHON = {
    Field.TYPE_STRING: "str",
    Field.TYPE_BYTES: "bytes",
    Field.TYPE_BOOL: "bool",
    Field.TYPE_FLOAT: "float",
    Field.TYPE_DOUBLE: "float",
}


def write_stubs(files: Iterable[FileDescriptorProto]) -> str:
    """The text of pb.pyi for these files."""
    files = list(files)
    enums = [enum for file in files for enum in file.enum_type]
    messages = [message for file in files for message in file.message_type]
    parts = [HEAD, *("\n".join(_enum(e)) for e in enums), *("\n".join(_message(m)) for m in messages)]
    values = [f"{value.name}: int" for enum in enums for value in enum.value]
    return "\n".join([*parts, *values]) + "\n"


def _enum(enum: EnumDescriptorProto, indent: str = "") -> Iterator[str]:
    yield f"{indent}class {enum.name}(Enum):"
    for value in enum.value:
        yield f"{indent}    {value.name}: ClassVar[int]"
    yield ""


def _message(message: DescriptorProto) -> Iterator[str]:
    hidden = {field.name for field in message.field}
    for field in message.field:  # inside the class its name means the field
        if field.type == Field.TYPE_MESSAGE and _bare(field) in hidden:
            yield f"_{_bare(field)}: TypeAlias = {_bare(field)}"
    yield f"class {message.name}(Message):"
    for enum in message.enum_type:
        yield from _enum(enum, "    ")
        yield from (f"    {value.name}: ClassVar[int]" for value in enum.value)
    for field in message.field:
        yield from _field(field, hidden)
    arguments = "".join(f"        {f.name}: {_argument(f, hidden)} = ...,\n" for f in message.field)
    yield f"    def __init__(\n        self,\n        *,\n{arguments}    ) -> None: ...\n"


def _field(field: Field, hidden: set[str]) -> Iterator[str]:
    if field.label == Field.LABEL_REPEATED or field.type == Field.TYPE_MESSAGE:
        yield "    @property"
        yield f"    def {field.name}(self) -> {_attribute(field, hidden)}: ..."
    else:
        yield f"    {field.name}: {_python(field, hidden)}"


def _attribute(field: Field, hidden: set[str]) -> str:
    one = _python(field, hidden)
    if field.label != Field.LABEL_REPEATED:
        return one
    return f"Messages[{one}]" if field.type == Field.TYPE_MESSAGE else f"Scalars[{one}]"


def _argument(field: Field, hidden: set[str]) -> str:
    one = _python(field, hidden)
    if field.type == Field.TYPE_MESSAGE:
        one = f"{one} | dict[str, Any]"
    return f"Iterable[{one}] | None" if field.label == Field.LABEL_REPEATED else f"{one} | None"


def _python(field: Field, hidden: set[str]) -> str:
    if field.type == Field.TYPE_MESSAGE:
        name = _bare(field)
        return f"_{name}" if name in hidden else name
    return PYTHON.get(field.type, "int")


def _bare(field: Field) -> str:
    return field.type_name.rpartition(".")[2]
