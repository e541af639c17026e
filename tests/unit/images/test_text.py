"""File names are bytes: what is not UTF-8 survives."""

import os

import pytest

from engine.images import pb
from engine.images.text import get_text, set_text


@pytest.mark.parametrize("name", [b"/tmp/a", b"/tmp/\xff\xfename", "/tmp/ä".encode(), b"", b"x" * 300, b"a\0b",
                                 b"/" + b"\xff" * 4000, b"/\xc3\xa4\n x (deleted)"])  # fmt: skip
def test_round_trip(name: bytes) -> None:
    file = pb.reg_file_entry(id=1)
    set_text(file, "name", os.fsdecode(name))
    again = pb.reg_file_entry()
    again.MergeFromString(file.SerializePartialToString())
    assert os.fsencode(get_text(again, "name")) == name


def test_the_last_value_counts() -> None:
    utsns = pb.utsns_entry(nodename="a", domainname="b")
    set_text(utsns, "nodename", "c")
    assert utsns == pb.utsns_entry(nodename="c", domainname="b")


def test_repeated_fields_grow() -> None:
    controller = pb.cg_controller_entry(cnames=["cpu"])
    set_text(controller, "cnames", "memory")
    assert controller.cnames == ["cpu", "memory"]
