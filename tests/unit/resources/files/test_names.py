"""Names in messages."""

from __future__ import annotations

from engine.resources.files import names


def test_messages_show_no_control_characters() -> None:
    assert names.shown("/a\n\udcff") == "/a\\n\\udcff"
    assert names.shown("/ä b") == "/ä b"
