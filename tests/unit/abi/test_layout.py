"""Layout: places of fields, and both directions."""

from __future__ import annotations

from engine.abi.layout import Layout

POINT = Layout("struct point", "tag:B _:3x x:i y:i name:4s")


def test_places_count_the_padding() -> None:
    assert POINT.size == 16
    assert POINT.offsets == {"tag": 0, "x": 4, "y": 8, "name": 12}


def test_pack_leaves_the_rest_zero() -> None:
    assert POINT.pack(x=-1, name=b"ab") == b"\0\0\0\0\xff\xff\xff\xff\0\0\0\0ab\0\0"


def test_unpack_is_the_inverse_of_pack() -> None:
    raw = b"junk" + POINT.pack(tag=7, x=1, y=2)
    assert POINT.unpack(raw, 4) == {"tag": 7, "x": 1, "y": 2, "name": b"\0\0\0\0"}


def test_single_fields() -> None:
    raw = bytearray(20)
    POINT.put(raw, "y", 5, offset=4)
    assert POINT.get(raw, "y", offset=4) == 5
    assert raw[12] == 5
