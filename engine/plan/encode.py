"""A plan as bytes: the arena's contents for one address, as native/interp.c reads them.

    arena    interpreter | control blocks | stacks | slots | ops | data

Control blocks, stacks and slots of the actors follow one another in the order of the actors; each actor's ops end in
END. `engine/plan/decode.py` is the way back.
"""

from __future__ import annotations

from engine.plan import blob
from engine.plan.ops import (
    CONTROL,
    CONTROL_SIZE,
    CONTROLS,
    END,
    FIRST_DATA,
    LAYOUT,
    OPS,
    REPEAT,
    SLOTS,
    U64,
    Op,
    Ref,
    Slot,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.plan.builder import Actor, Plan

POINTER = 8
NOTHING = tuple((0,) * (6 - given) for given in range(7))  # arguments that a call does not have


def encode(plan: Plan, base: int) -> bytearray:
    """The arena's bytes for the address `base`; the plan has been laid out."""
    image = bytearray(plan.size)
    places = [base + at for at in plan.addresses]
    image[: len(blob.CODE)] = blob.CODE
    for at, block in zip(plan.addresses[FIRST_DATA:], plan.blocks[FIRST_DATA:], strict=True):
        image[at : at + len(block)] = block
    for where, target in plan.fixups:
        address = places[target.block] + target.offset
        at = plan.addresses[where.block] + where.offset
        image[at : at + POINTER] = address.to_bytes(POINTER, "little")
    _encode_actors(plan, image, places)
    return image


def _encode_actors(plan: Plan, image: bytearray, places: list[int]) -> None:
    at = plan.addresses[OPS]
    for actor in plan.actors:
        _encode_control(plan, actor, image, places)
        for index, op in enumerate(actor.ops):
            _encode_op(op, index, image, at, places)
            at += LAYOUT.size
        _encode_op(Op(END), 0, image, at, places)
        at += LAYOUT.size


def _encode_control(plan: Plan, actor: Actor, image: bytearray, places: list[int]) -> None:
    frame = actor.frame
    CONTROL.pack_into(
        image, plan.addresses[CONTROLS] + actor.index * CONTROL_SIZE,
        0, places[OPS] + LAYOUT.size * actor.first_op, places[SLOTS] + 8 * actor.first_slot, 0, 0, 0,
        len(actor.ops) if actor.on_error is None else actor.on_error,
        places[frame.block] + frame.offset if isinstance(frame, Ref) else frame, plan.halt,
    )  # fmt: skip


def _encode_op(op: Op, index: int, image: bytearray, at: int, places: list[int]) -> None:
    args, from_slot = [], 0
    for value in op.args:
        if type(value) is int:
            args.append(value & U64)
        elif isinstance(value, Ref):
            args.append(places[value.block] + value.offset)
        elif isinstance(value, Slot):
            from_slot |= 1 << len(args)
            args.append(value.index)
        else:
            args.append(int(value) & U64)
    if op.code == REPEAT:  # where to go back to: counted from here in a plan, from the actor's first op in the image
        args[0] = index + args[0] & U64
    allowed = int.from_bytes(op.allowed, "little") if op.allowed else 0
    expect, rest = op.expect & U64, NOTHING[len(args)]
    LAYOUT.pack_into(image, at, op.code, op.policy, op.nr, op.dst, from_slot, allowed, expect, *args, *rest)
