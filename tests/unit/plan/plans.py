"""Hypothesis strategies: plans of every shape that the builder can make, meaningful or not."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.plan.builder import Actor, Emitter, Plan
from engine.plan.ops import U64, Ref, Slot

CALLS = ["close", "openat", "mmap", "getpid", "rt_sigaction", "clone3"]
NUMBERS = st.one_of(st.integers(-5, 200), st.integers(0, U64), st.sampled_from([0x10000000, 0x7FFFF000]))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One to four actors, up to a dozen ops each, with data of all kinds."""
    plan = Plan(draw(st.sampled_from([0, 17, 23, 28])))
    actors = [plan.actor(f"actor {i}") for i in range(draw(st.integers(1, 4)))]
    for actor in actors:
        emit = actor.emit(f"object of {actor.name}")
        for _ in range(draw(st.integers(0, 12))):
            draw(st.sampled_from(OPS))(draw, emit)
        if draw(st.booleans()):
            actor.on_error = draw(st.integers(0, len(actor.ops)))
        if draw(st.booleans()):
            actor.frame = plan.buffer(64)
    return plan


def _value(draw: st.DrawFn, emit: Emitter) -> int | Ref | Slot:
    kind = draw(st.sampled_from(["number", "data", "text", "buffer", "inside", "slot", "pack"]))
    if kind == "number" or (kind == "slot" and not emit.actor.slots):
        return draw(NUMBERS)
    if kind == "slot":
        return Slot(emit.actor.index, draw(st.integers(0, emit.actor.slots - 1)))
    if kind == "data":
        return emit.data(draw(st.binary(max_size=40)))
    if kind == "text":
        return emit.text(draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)))
    if kind == "inside":
        return emit.buffer(16) + draw(st.integers(0, 15))
    if kind == "pack":
        return emit.pack("IIQ", 1, 2, emit.data(b"pointed to"))
    return emit.buffer(draw(st.sampled_from([0, 1, 8, 200, 5000])))


def _values(draw: st.DrawFn, emit: Emitter, most: int) -> list[int | Ref | Slot]:
    return [_value(draw, emit) for _ in range(draw(st.integers(0, most)))]


def _call(draw: st.DrawFn, emit: Emitter) -> None:
    name, args = draw(st.sampled_from(CALLS)), _values(draw, emit, 6)
    if draw(st.booleans()):
        emit.call(name, *args, expect=draw(NUMBERS))
    else:
        emit.call(name, *args, may=draw(st.lists(st.integers(1, 133), max_size=4)))


def _full_io(draw: st.DrawFn, emit: Emitter) -> None:
    emit.full_io("pread64", _value(draw, emit), _value(draw, emit), _value(draw, emit), _value(draw, emit))


def _memory(draw: st.DrawFn, emit: Emitter) -> None:
    width = draw(st.sampled_from([1, 4, 8]))
    emit.load(_value(draw, emit), width)
    emit.store(_value(draw, emit), _value(draw, emit), width)


def _meet(draw: st.DrawFn, emit: Emitter) -> None:
    word = emit.buffer(4)
    emit.post(word, draw(st.integers(1, 3)))
    emit.wait(word, 1)


def _spawn(draw: st.DrawFn, emit: Emitter) -> None:
    child: Actor = draw(st.sampled_from(emit.plan.actors))
    emit.spawn(child, draw(st.integers(0, 0xFFFF)), draw(st.integers(0, 4000)), 17)


def _repeat(draw: st.DrawFn, emit: Emitter) -> None:
    slot = emit.attempt("getpid")
    emit.repeat(draw(st.integers(0, len(emit.ops) - 1)), slot, 0, draw(st.integers(0, 9)))


OPS = [_call, _call, _call, _full_io, _memory, _meet, _spawn, _repeat, lambda _, emit: emit.halt()]
