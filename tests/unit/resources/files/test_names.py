"""Names are bytes."""

from __future__ import annotations

import pytest

from engine.images import pb
from engine.resources.files import names

from .stand_ins import NOBODY


@pytest.mark.parametrize("raw", [b"/a", b"/\xc3\xa4\n x (deleted)", b"/\xff\xfe", b"/" + b"\xff" * 4000])
def test_every_name_comes_back(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    entry = names.named_entry(name, id=1, flags=0, pos=0, fown=NOBODY)
    assert raw in entry.SerializeToString()
    assert names.get(pb.reg_file_entry.FromString(entry.SerializeToString())) == name


def test_messages_show_no_control_characters() -> None:
    assert names.shown("/a\n\udcff") == "/a\\n\\udcff"
    assert names.shown("/ä b") == "/ä b"
