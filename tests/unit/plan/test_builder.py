"""The builder: data, references among it, and the vocabulary."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.abi.sched import CLONE_ARGS
from engine.errors import EngineBug
from engine.plan.builder import STACK, Plan
from engine.plan.ops import EQUAL, FIRST_DATA, MAY, MUST, REPEAT, Ref

BASE = 0x12340000


def content(plan: Plan, place: Ref, size: int) -> bytes:
    return bytes(plan.encode(BASE)[plan.offset(place) :][:size])


def test_equal_constants_share_one_place() -> None:
    plan = Plan()
    assert plan.data(b"/etc/passwd\0") == plan.data(b"/etc/passwd\0") != plan.data(b"/etc/group\0")
    assert len(plan.blocks) == FIRST_DATA + 2


def test_buffers_and_structures_are_never_shared() -> None:
    plan = Plan()
    assert plan.buffer(8) != plan.buffer(8)
    assert plan.pack("Q", 1) != plan.pack("Q", 1)


def test_a_text_ends_with_nul() -> None:
    plan = Plan()
    place = plan.actor("a").emit("").text("caf\u00e9 \udcff")
    assert content(plan, place, 8) == b"caf\xc3\xa9 \xff\0"


def test_references_become_addresses() -> None:
    plan = Plan()
    plan.actor("a")
    payload = plan.data(b"payload")
    iovec = plan.pack("QQ", payload + 3, 4)
    base, length = struct.unpack("<QQ", content(plan, iovec, 16))
    assert base == BASE + plan.offset(payload) + 3
    assert length == 4


def test_references_to_references() -> None:
    """As sendmsg needs them: msghdr -> iovec -> bytes."""
    plan = Plan()
    plan.actor("a")
    iovec = plan.pack("QQ", plan.data(b"x"), 1)
    message = plan.pack("QI4xQQQQi4x", 0, 0, iovec, 1, 0, 0, 0)
    assert struct.unpack_from("<Q", content(plan, message, 56), 16) == (BASE + plan.offset(iovec),)


LAYOUTS = st.lists(st.sampled_from(["B", "H", "I", "Q", "3s", "5x", "2Q", "i"]), min_size=1, max_size=8)


@given(LAYOUTS, st.data())
def test_fixups_hit_their_members(parts: list[str], data: st.DataObject) -> None:
    """Whatever stands before a reference, its address lands where `struct` has that member."""
    codes = [c for part in parts for c in (["Q", "Q"] if part == "2Q" else [part])]
    plan = Plan()
    plan.actor("a")
    target, values = plan.buffer(64), []
    for code in codes:
        if code == "Q":
            values.append(target + data.draw(st.integers(0, 63)))
        elif code == "3s":
            values.append(b"abc")
        elif code != "5x":
            values.append(7)
    place = plan.pack("".join(parts), *values)
    expected = [BASE + plan.offset(v) if isinstance(v, Ref) else v for v in values if plan.layout()]
    layout = "<" + "".join(parts)
    assert list(struct.unpack(layout, content(plan, place, struct.calcsize(layout)))) == expected


def test_a_reference_needs_eight_bytes() -> None:
    plan = Plan()
    with pytest.raises(EngineBug, match="not Q"):
        plan.pack("I", plan.buffer(8))


def test_data_comes_before_layout() -> None:
    plan = Plan()
    plan.actor("a")
    plan.layout()
    with pytest.raises(EngineBug, match="laid out"):
        plan.buffer(8)


def test_blocks_are_aligned_and_apart() -> None:
    plan = Plan()
    plan.actor("a")
    places = [(plan.buffer(size), size) for size in (1, 15, 16, 17, 0, 4096)]
    plan.layout()
    offsets = [(plan.offset(place), size) for place, size in places]
    assert all(at % 16 == 0 for at, _ in offsets)
    assert all(at + size <= after for (at, size), (after, _) in itertools.pairwise(offsets))
    assert offsets[-1][0] + 4096 <= plan.size


def test_policies() -> None:
    emit = Plan().actor("a").emit("why")
    emit.call("getpid")
    emit.call("dup3", 1, 2, 0, expect=0)
    emit.call("close", 1, may=(9, 4))
    assert [(op.policy, op.expect, op.allowed, op.why) for op in emit.ops] == [
        (MUST, 0, (), "why"), (EQUAL, 0, (), "why"), (MAY, 0, (9, 4), "why"),
    ]  # fmt: skip


def test_spawn_gives_the_child_its_own_stack_and_pid() -> None:
    plan = Plan()
    parent, child = plan.actor("parent"), plan.actor("child")
    parent.emit("").spawn(child, 0x100, 4711, 17)
    image, place = plan.encode(BASE), parent.ops[0].args[0]
    assert isinstance(place, Ref)
    args = CLONE_ARGS.unpack(image, plan.offset(place))
    assert args["stack"] == BASE + plan.offset(child.stack)
    assert (args["stack_size"], args["flags"], args["exit_signal"]) == (STACK, 0x100, 17)
    assert struct.unpack_from("<I", image, args["set_tid"] - BASE) == (4711,)
    assert args["set_tid_size"] == 1
    assert parent.ops[0].expect == 4711


def test_repeat_counts_from_where_it_stands() -> None:
    """Steps are written before anybody knows where in the actor's list they will be."""
    plan = Plan()
    actor = plan.actor("a")
    actor.emit("").call("getpid")
    late = actor.emit("")
    late.ops = []
    slot = late.attempt("getpid")
    late.repeat(0, slot, 5, 3)
    actor.ops += late.ops
    assert late.ops[1].code == REPEAT
    image = plan.encode(BASE)
    assert struct.unpack_from("<Q", image, plan.offset(Ref(4)) + 2 * 72 + 24) == (1,)
