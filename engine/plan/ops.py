"""Ops: what a plan is made of, at system-call level.

There are ten codes, and no more are needed: a new resource is a new list of calls, never a new op. The
numbers and the 72-byte layout are those of `native/interp.c`.
"""

from __future__ import annotations

import struct

from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CALL, STORE, LOAD, FULL_IO, WAIT, POST, SPAWN, REPEAT, HALT, END = range(1, 11)
NAMES = {
    CALL: "CALL", STORE: "STORE", LOAD: "LOAD", FULL_IO: "FULL_IO", WAIT: "WAIT", POST: "POST",
    SPAWN: "SPAWN", REPEAT: "REPEAT", HALT: "HALT", END: "END",
}  # fmt: skip

# What a result must be for the plan to go on.
ANY, MUST, EQUAL, MAY = range(4)

LAYOUT = struct.Struct("<BBHIIIQ6Q")
"""code, policy, nr, dst, from_slot, allowed, expect, arg[6]"""

CONTROL = struct.Struct("<QQQqQQQQQ")
"""pc, ops, slots, error, error_pc, result, on_error, frame, halt"""

CONTROL_SIZE = 128
"""Bytes from one control block to the next."""

# Blocks of the arena with fixed numbers; data blocks count from FIRST_DATA.
INTERPRETER, CONTROLS, STACKS, SLOTS, OPS, FIRST_DATA = range(6)

FIRST_BYTES = 80  # of a block that a listing shows
U64 = (1 << 64) - 1
UNEXPECTED = 4095
"""The interpreter's `error` when a call succeeded with another value than the one it had to return."""


class Ref(NamedTuple):
    """An address in the arena: `offset` bytes into block number `block`. Known once the plan is linked."""

    block: int
    offset: int = 0

    def __add__(self, more: int) -> Ref:  # type: ignore[override]
        """The address `more` bytes further on."""
        return Ref(self.block, self.offset + more)


class Slot(NamedTuple):
    """The 64-bit place of a result; as an argument it stands for the value found there at run time."""

    actor: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs


Value = int | Ref | Slot


class Op:
    """One step of the interpreter.

    `why` says which object the op is there for ("pid 812, fd 9 (eventfd)"): the first words of the error when
    it fails. `remedy` is what the user can do about it.
    """

    __slots__ = ("allowed", "args", "code", "dst", "expect", "nr", "policy", "remedy", "why")

    def __init__(
        self,
        code: int,
        nr: int = 0,
        args: Sequence[Value] = (),
        dst: int = 0,
        policy: int = ANY,
        expect: int = 0,
        allowed: Sequence[int] = (),
        why: str = "",
        remedy: str = "",
    ) -> None:
        self.code, self.nr, self.args, self.dst = code, nr, tuple(args), dst
        self.policy, self.expect, self.allowed = policy, expect, tuple(allowed)
        self.why, self.remedy = why, remedy
