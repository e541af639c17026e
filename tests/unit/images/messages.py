"""Hypothesis strategies for messages and entries of every type of image."""

from __future__ import annotations

import stat
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.images import pb
from engine.images.catalog import CATALOG, ImageType
from engine.images.convert import is_repeated
from engine.images.format import Entry, image_bytes
from engine.images.payload import join_queue, padded
from engine.images.text import set_text

WITH_MESSAGES = [type_ for type_ in CATALOG.values() if type_.message]
DEPTH = 3  # of messages within messages where these are optional

UNSIGNED_32, UNSIGNED_64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
SIGNED_32, SIGNED_64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
NUMBERS = {
    Field.TYPE_UINT32: UNSIGNED_32,
    Field.TYPE_UINT64: UNSIGNED_64,
    Field.TYPE_FIXED64: UNSIGNED_64,
    Field.TYPE_INT32: SIGNED_32,
    Field.TYPE_SINT32: SIGNED_32,
    Field.TYPE_INT64: SIGNED_64,
    Field.TYPE_SINT64: SIGNED_64,
    Field.TYPE_BOOL: st.booleans(),
    Field.TYPE_BYTES: st.binary(max_size=40),
}
NO_UTF8 = st.binary(max_size=8).map(lambda raw: raw.decode(errors="surrogateescape"))
TEXT = st.one_of(st.text(max_size=8), NO_UTF8)


@st.composite
def messages(draw: st.DrawFn, name: str, depth: int = 0) -> Any:
    """A message with all required and some optional fields."""
    message = getattr(pb, name)()
    for field in message.DESCRIPTOR.fields:
        if is_repeated(field):
            for _ in range(draw(st.integers(0, 2)) if depth < DEPTH else 0):
                _add(draw, message, field, depth)
        elif field.name in REQUIRED[name] or (depth < DEPTH and draw(st.booleans())):
            _set(draw, message, field, depth)
    return message


@st.composite
def entries(draw: st.DrawFn, type_: ImageType) -> list[Entry]:
    """The entries of a whole file."""
    first = draw(messages(type_.message_at(0)))
    if type_.single:
        return [_with_payload(draw, type_.kind, first)]
    if type_.kind == "GHOST_FILE":
        first.mode = draw(st.sampled_from([stat.S_IFREG, stat.S_IFIFO, stat.S_IFDIR])) | 0o600
    found = [_with_payload(draw, type_.kind, first)]
    if type_.kind == "GHOST_FILE" and not first.chunks:
        return found
    more = [draw(messages(type_.message_at(1))) for _ in range(draw(st.integers(0, 2)))]
    found += [_with_payload(draw, type_.kind, message) for message in more]
    return [] if not type_.head and draw(st.integers(0, 7)) == 7 else found


def sample_files(type_: ImageType, count: int) -> list[bytes]:
    """The contents of some valid files of a type, the same ones every time."""
    files: list[bytes] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(entries(type_))
    def collect(drawn: list[Entry]) -> None:
        files.append(image_bytes(type_, drawn, type_.kind))

    collect()
    return files


def _required() -> dict[str, set[str]]:
    pool = pb.pool()
    parse = pool.message("google.protobuf.FileDescriptorProto").FromString
    return {
        message.name: {field.name for field in message.field if field.label == Field.LABEL_REQUIRED}
        for file in map(parse, pool.serialized_files())
        for message in file.message_type
    }


REQUIRED = _required()


def _set(draw: st.DrawFn, message: Any, field: Any, depth: int) -> None:
    if field.type == field.TYPE_MESSAGE:
        getattr(message, field.name).CopyFrom(draw(messages(field.message_type.name, depth + 1)))
        getattr(message, field.name).SetInParent()
    elif field.type == field.TYPE_STRING:
        set_text(message, field.name, draw(TEXT))
    else:
        setattr(message, field.name, draw(_values(field)))


def _add(draw: st.DrawFn, message: Any, field: Any, depth: int) -> None:
    if field.type == field.TYPE_MESSAGE:
        getattr(message, field.name).append(draw(messages(field.message_type.name, depth + 1)))
    elif field.type == field.TYPE_STRING:
        set_text(message, field.name, draw(TEXT))
    else:
        getattr(message, field.name).append(draw(_values(field)))


def _values(field: Any) -> st.SearchStrategy[Any]:
    if field.type == field.TYPE_ENUM:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    return NUMBERS[field.type]


def _with_payload(draw: st.DrawFn, kind: str, message: Any) -> Entry:
    """The message with small sizes, and a payload that fits them."""
    for name in HAVE_SIZES.get(kind, ()):
        if name in REQUIRED[message.DESCRIPTOR.name]:
            setattr(message, name, draw(st.integers(0, 5)))
    if kind == "IPCNS_MSG":
        texts = [draw(st.binary(max_size=9)) for _ in range(message.qnum)]
        return Entry(message, join_queue([(pb.ipc_msg(mtype=1, msize=len(text)), text) for text in texts]))
    return Entry(message, draw(st.binary(min_size=size(kind, message), max_size=size(kind, message))))


def size(kind: str, message: Any) -> int:
    """How many bytes must follow a message."""
    if kind == "GHOST_FILE":
        regular = message.DESCRIPTOR.name == "ghost_file_entry" and stat.S_ISREG(message.mode) and not message.chunks
        return 7 if regular else int(getattr(message, "len", 0))
    if kind == "IPCNS_SHM" and message.in_pagemaps:
        return 0
    names = HAVE_SIZES.get(kind, ())
    total = int(sum(getattr(message, name) for name in names))
    return {"IPCNS_SHM": padded(total, 4), "IPCNS_SEM": padded(2 * total, 8)}.get(kind, total)


HAVE_SIZES = {
    "PIPES_DATA": ("bytes",),
    "FIFO_DATA": ("bytes",),
    "SK_QUEUES": ("length",),
    "TCP_STREAM": ("inq_len", "outq_len"),
    "BPFMAP_DATA": ("keys_bytes", "values_bytes"),
    "GHOST_FILE": ("len",),
    "IPCNS_SEM": ("nsems",),
    "IPCNS_SHM": ("size",),
    "IPCNS_MSG": ("qnum",),
}
