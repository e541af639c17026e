"""The .proto files hold exactly the messages, fields and enums of CRIU 4.2's images (schema.json: facts, no text)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.images.build import PROTO, compile_protos
from engine.images.pool import Pool

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_text())
EXTENSIONS_FROM = 1000  # fields of our own, which CRIU does not know
LABELS = {1: "optional", 2: "required", 3: "repeated"}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """The .proto files as they are now, not those that an earlier build has left."""
    path = tmp_path_factory.mktemp("descriptors") / "descriptors.bin"
    path.write_bytes(compile_protos())
    return Pool(str(path))


@pytest.fixture(scope="module")
def files(pool: Pool) -> dict[str, Any]:
    """The .proto files by name, as FileDescriptorProto."""
    file_proto = pool.message("google.protobuf.FileDescriptorProto")
    parsed = [file_proto.FromString(raw) for raw in pool.serialized_files()]
    return {file.name: file for file in parsed if not file.package}


def messages_of(files: dict[str, Any]) -> dict[str, Any]:
    return {message.name: message for file in files.values() for message in file.message_type}


def spell(field: Any, pool: Pool) -> str:
    """A field as schema.json writes it: label, type, name, number, default, and how it is shown to people."""
    kind = (
        field.type_name.rpartition(".")[2]
        or field.DESCRIPTOR.enum_types_by_name["Type"].values_by_number[field.type].name.removeprefix("TYPE_").lower()
    )
    default = [f"default={field.default_value}"] if field.HasField("default_value") else []
    shown = field.options.Extensions[pool.extension("criu")].ListFields()
    display = sorted(f"{option.name}={str(value).replace('True', 'true')}" for option, value in shown)
    return " ".join([LABELS[field.label], kind, field.name, str(field.number), *default, *display])


def test_every_message_is_in_its_file(files: dict[str, Any]) -> None:
    assert {name: [m.name for m in file.message_type] for name, file in files.items()} == SCHEMA["files"]


@pytest.mark.parametrize("name", SCHEMA["messages"])
def test_fields(files: dict[str, Any], pool: Pool, name: str) -> None:
    fields = [field for field in messages_of(files)[name].field if field.number < EXTENSIONS_FROM]
    assert [spell(field, pool) for field in fields] == SCHEMA["messages"][name]


def test_enums(files: dict[str, Any]) -> None:
    top = [(enum.name, enum) for file in files.values() for enum in file.enum_type]
    nested = [(f"{m.name}.{e.name}", e) for m in messages_of(files).values() for e in m.enum_type]
    assert {n: {v.name: v.number for v in enum.value} for n, enum in top + nested} == SCHEMA["enums"]


def test_own_fields_are_optional(files: dict[str, Any]) -> None:
    """A reader that does not know them must not miss them: CRIU reads our images."""
    own = [f for m in messages_of(files).values() for f in m.field if f.number >= EXTENSIONS_FROM]
    assert [f.name for f in own if f.label == 2] == []


def test_every_message_has_a_comment() -> None:
    for path in sorted(PROTO.glob("*.proto")):
        lines = path.read_text().splitlines()
        starts = [i for i, line in enumerate(lines) if re.match(r"(message|enum|extend) ", line)]
        assert all(lines[i - 1].startswith("// ") for i in starts), path.name
