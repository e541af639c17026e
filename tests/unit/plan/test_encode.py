"""Bytes and back: nothing that the interpreter sees is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineBug
from engine.plan import blob
from engine.plan.builder import Plan
from engine.plan.decode import decode
from engine.plan.ops import CONTROL, END, FIRST_DATA, LAYOUT, OPS, SLOTS, STACKS, Op, Ref, Slot, Value
from tests.unit.plan.plans import plans

BASES = st.integers(1 << 8, 1 << 34).map(lambda page: page << 12)
PAGE = 4096


def number(plan: Plan, base: int, value: Value) -> int:
    """What the interpreter finds in an op's argument."""
    if isinstance(value, Ref):
        return base + plan.offset(value)
    return value.index if isinstance(value, Slot) else value & (1 << 64) - 1


def face(plan: Plan, base: int, op: Op) -> tuple[object, ...]:
    """Everything about an op but its reason; arguments as numbers, absent ones as zero."""
    args = [number(plan, base, value) for value in op.args]
    slots = [isinstance(value, Slot) for value in op.args]
    pad = 6 - len(args)
    result = op.dst, op.policy, op.expect & (1 << 64) - 1, bytes(op.allowed)
    return op.code, op.nr, args + [0] * pad, slots + [False] * pad, *result


@given(plans(), BASES)
@settings(max_examples=60, deadline=None)
def test_encoding_what_was_decoded_gives_the_same_bytes(plan: Plan, base: int) -> None:
    image = plan.encode(base)
    assert decode(image, base).encode(base) == image


@given(plans(), BASES)
@settings(max_examples=60, deadline=None)
def test_decoding_gives_the_same_ops(plan: Plan, base: int) -> None:
    decoded = decode(plan.encode(base), base)
    assert decoded.halt == plan.halt
    assert len(decoded.actors) == len(plan.actors)
    for actor, twin in zip(plan.actors, decoded.actors, strict=True):
        assert [face(decoded, base, op) for op in twin.ops] == [face(plan, base, op) for op in actor.ops]


def test_the_parts_follow_one_another() -> None:
    plan = Plan(halt=23)
    first, second = plan.actor("first"), plan.actor("second")
    pid = first.emit("").call("getpid")
    first.emit("").call("kill", pid, 0, expect=0)
    second.emit("").halt()
    second.frame = plan.buffer(8)
    base = 0x10000000
    image = plan.encode(base)
    assert image[: len(blob.CODE)] == blob.CODE
    assert len(image) == plan.size and plan.size % PAGE == 0
    _, ops, slots, _, _, _, on_error, frame, halt = CONTROL.unpack_from(image, plan.offset(second.control))
    assert ops == base + plan.offset(Ref(OPS)) + 3 * LAYOUT.size
    assert slots == base + plan.offset(Ref(SLOTS)) + 8 * first.slots
    assert (on_error, halt) == (1, 23)
    assert frame == base + plan.offset(Ref(FIRST_DATA))
    codes = [image[plan.offset(Ref(OPS)) + LAYOUT.size * i] for i in range(5)]
    assert codes[2] == codes[4] == END
    assert plan.offset(second.stack) == plan.offset(Ref(STACKS)) + 1024


def test_a_slot_is_encoded_by_number_and_marked() -> None:
    plan = Plan()
    emit = plan.actor("a").emit("")
    emit.call("getpid")
    second = emit.call("getpid")
    emit.call("kill", second, 1)
    image = plan.encode(0x10000000)
    *_, mask, _, _, target, signal, _, _, _, _ = LAYOUT.unpack_from(image, plan.offset(Ref(OPS, 2 * LAYOUT.size)))
    assert (mask, target, signal) == (1, 1, 1)


def test_what_is_no_arena_is_refused() -> None:
    plan = Plan()
    plan.actor("a").emit("").halt()
    image = plan.encode(0x10000000)
    with pytest.raises(EngineBug, match="interpreter"):
        decode(bytes(PAGE), 0x10000000)
    with pytest.raises(EngineBug, match="nowhere"):
        decode(image, 0x20000000)
    at = plan.offset(Ref(OPS))
    image[at] = 77
    with pytest.raises(EngineBug, match="code 77"):
        decode(image, 0x10000000)
    image[at + LAYOUT.size] = 0
    with pytest.raises(EngineBug, match="no end"):
        decode(image[: at + 2 * LAYOUT.size], 0x10000000)
