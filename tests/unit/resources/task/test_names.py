"""Names that are text, and names that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.abi.prctl import PR_SET_NAME
from engine.images import pb
from engine.resources.task import names
from tests.unit.resources.task.trees import Born, data, tree


def message(name: str) -> pb.thread_core_entry:
    made = pb.thread_core_entry(futex_rla=0, futex_rla_len=0)
    names.put(made, name)
    return pb.thread_core_entry.FromString(made.SerializeToString())


@pytest.mark.parametrize("name", ["", "x", " (a) R 1", "new\nline", "\udcff\udcfe\udc80", "gr\u00fc\udce4"])
def test_odd_names(name: str) -> None:
    assert names.get(message(name)) == name.encode("utf-8", "surrogateescape")


@given(st.binary(max_size=15).filter(lambda raw: 0 not in raw))
def test_every_name_comes_back(raw: bytes) -> None:
    assert names.get(message(raw.decode("utf-8", "surrogateescape"))) == raw


def test_a_name_from_an_image_has_an_end() -> None:
    assert names.get(message("more than fifteen bytes")) == b"more than fifte"
    assert names.get(pb.thread_core_entry(futex_rla=0, futex_rla_len=0, comm="a\0b")) == b"a"


def test_threads_of_older_images_have_the_leaders_name() -> None:
    new = tree(Born(5, threads=(6,)))
    thread = new.root.threads[1]
    names.restore_thread(thread)
    new.graph.order()
    (op,) = thread.actor.ops
    assert op.args[0] == PR_SET_NAME
    assert data(new.plan, op, 1, 7) == b"task 5\0"
