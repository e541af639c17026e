"""The catalog against the table of facts."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.images import pb
from engine.images.catalog import CATALOG, RAW, WRITTEN, type_of_file, type_of_magic

FACTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "schema.json").read_text())["image_types"]


@pytest.mark.parametrize("fact", FACTS, ids=[f["type"] for f in FACTS])
def test_facts(fact: dict[str, Any]) -> None:
    type_ = CATALOG[fact["type"]]
    head, _, rest = (fact["message"] or "").rstrip("*").rpartition(" then ")
    head_magic = fact["head_magic"] and int(fact["head_magic"], 16)
    assert (type_.pattern, type_.magic) == (fact["pattern"], int(fact["magic"], 16))
    assert (type_.message or "", type_.head or "") == (rest, head)
    assert type_.single == fact["layout"].startswith("one")
    assert (type_ in WRITTEN) == fact["written_now"]
    assert type_.head_magic == head_magic


def test_catalog_is_complete() -> None:
    assert set(CATALOG) == {fact["type"] for fact in FACTS}


def test_every_message_exists() -> None:
    for type_ in CATALOG.values():
        for name in filter(None, (type_.message, type_.head)):
            assert getattr(pb, name)().DESCRIPTOR.name == name


@pytest.mark.parametrize(
    ("kind", "ident", "name"),
    [
        ("INVENTORY", None, "inventory.img"),
        ("CORE", 812, "core-812.img"),
        ("GHOST_FILE", 26, "ghost-file-1a.img"),
        ("TCP_STREAM", 255, "tcp-stream-ff.img"),
        ("SHMEM_PAGEMAP", 5, "pagemap-shmem-5.img"),
        ("TMPFS_DEV", 42, "tmpfs-dev-42.tar.gz.img"),
        ("STATS", "dump", "stats-dump"),
        ("IRMAP_CACHE", None, "irmap-cache"),
    ],
)
def test_names(kind: str, ident: int | str | None, name: str) -> None:
    assert CATALOG[kind].name(ident) == name
    assert type_of_file(name) is CATALOG[kind]


@pytest.mark.parametrize(
    "name", ["core-.img", "core-x.img", "core-05.img", "core-5", "core-5.img.bak", "stats-other", "img"]
)
def test_foreign_names(name: str) -> None:
    assert type_of_file(name) is None


def test_name_needs_its_id() -> None:
    with pytest.raises(TypeError):
        CATALOG["CORE"].name()


def test_magics() -> None:
    assert type_of_magic(0x56213732) is CATALOG["FDINFO"]
    assert type_of_magic(0x56084025) is CATALOG["PAGEMAP"]  # shared with SHMEM_PAGEMAP and the pages of old
    assert type_of_magic(RAW) is None
    assert type_of_magic(1) is None
