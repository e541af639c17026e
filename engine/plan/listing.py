"""The listing of a plan: what a reviewer reads, much like an strace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.abi.syscalls import NAMES as SYSCALLS
from engine.plan.ops import (
    CALL,
    EQUAL,
    FIRST_BYTES,
    FULL_IO,
    HALT,
    LOAD,
    MAY,
    POST,
    REPEAT,
    SPAWN,
    STORE,
    WAIT,
    Ref,
    Slot,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op, Value


def listing(plan: Plan) -> Iterator[str]:
    """All actors one after the other; a comment whenever the reason changes."""
    for actor in plan.actors:
        yield f"=== {actor.name}"
        why = ""
        for op in actor.ops:
            if op.why != why:
                why = op.why
                yield f"# {why}"
            yield line(plan, actor, op)


def line(plan: Plan, actor: Actor, op: Op) -> str:
    """One op."""
    args = ", ".join(_value(plan, v) for v in op.args)
    if op.code in (CALL, FULL_IO):
        text = f"r{op.dst} = {'full ' if op.code == FULL_IO else ''}{SYSCALLS.get(op.nr, op.nr)}({args})"
    elif op.code == SPAWN:
        text = f"r{op.dst} = spawn({args})"
    elif op.code == LOAD:
        text = f"r{op.dst} = load{op.nr * 8}({args})"
    elif op.code == STORE:
        text = f"store{op.nr * 8}({args})"
    else:
        text = {WAIT: "wait", POST: "post", REPEAT: "repeat", HALT: "halt"}[op.code] + f"({args})"
    if op.policy == EQUAL:
        return text.ljust(60) + f" == {op.expect:#x}" if op.expect > 9 else text.ljust(60) + f" == {op.expect}"
    return text + f"  may fail: {op.allowed}" if op.policy == MAY else text


def _value(plan: Plan, value: Value) -> str:
    if isinstance(value, Slot):
        return f"r{value.index}"
    if isinstance(value, Ref):
        return _reference(plan, value)
    return str(value) if -10 < value < 10 else hex(value)


def _reference(plan: Plan, ref: Ref) -> str:
    content = bytes(plan.blocks[ref.block][ref.offset : ref.offset + FIRST_BYTES])
    text = content.split(b"\0")[0]
    if len(text) > 2 and text.isascii() and text.decode().isprintable():
        return f'"{text.decode()}"'
    return f"&{ref.block}+{ref.offset}" if ref.offset else f"&{ref.block}"
