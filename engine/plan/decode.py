"""The way back from bytes: an arena's contents as a plan.

What the bytes do not say is lost: reasons, remedies, names, where one data block ends and the next begins. All data
becomes one block; every number that lies in the arena becomes a reference. So encoding the result for the same
address gives the same bytes, and the listing reads as before but for its comments.
"""

from __future__ import annotations

from engine.errors import EngineBug
from engine.plan import blob
from engine.plan.builder import STACK, Actor, Plan
from engine.plan.ops import (
    CONTROL,
    CONTROL_SIZE,
    CONTROLS,
    END,
    FIRST_DATA,
    LAYOUT,
    NAMES,
    OPS,
    REPEAT,
    SLOTS,
    STACKS,
    U64,
    Op,
    Ref,
    Slot,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.plan.ops import Value

Image = bytes | bytearray | memoryview

ARGUMENTS = {"CALL": 6, "STORE": 2, "LOAD": 1, "FULL_IO": 4, "WAIT": 2, "POST": 2, "SPAWN": 3, "REPEAT": 4, "HALT": 0}


def decode(image: Image, base: int) -> Plan:
    """The plan whose arena for the address `base` is `image`; EngineBug when it is none."""
    return _Decoder(image, base).plan


class _Decoder:
    def __init__(self, image: Image, base: int) -> None:
        self.image, self.base, self.plan = image, base, Plan()
        if bytes(image[: len(blob.CODE)]) != blob.CODE:
            raise EngineBug("the arena does not begin with this interpreter")
        self.controls = len(blob.CODE) + 15 & ~15
        self._measure()
        for index in range(self.count):
            self._actor(index)
        self.plan.layout()

    def _measure(self) -> None:
        """Everything has a fixed size but the lists; the first control block tells where those begin."""
        _, ops, slots, *_, self.plan.halt = CONTROL.unpack_from(self.image, self.controls)
        self.slots, self.ops = slots - self.base, ops - self.base
        self.count, rest = divmod(self.slots - self.controls, CONTROL_SIZE + STACK)
        if rest or self.count < 1 or not self.slots <= self.ops < len(self.image):
            raise EngineBug("the arena's first control block points nowhere")
        numbers = [self._control(index) for index in range(self.count)]
        self.first_ops = [(ops - self.base - self.ops) // LAYOUT.size for _, ops, *_ in numbers]
        self.first_slots = [(slots - self.base - self.slots) // 8 for _, _, slots, *_ in numbers]
        self.data = self._end_of_ops() + 15 & ~15
        self.starts = [0, self.controls, self.controls + self.count * CONTROL_SIZE, self.slots, self.ops, self.data]
        self.plan.blocks.append(bytearray(self.image[self.data :]))

    def _control(self, index: int) -> tuple[int, ...]:
        numbers: tuple[int, ...] = CONTROL.unpack_from(self.image, self.controls + index * CONTROL_SIZE)
        return numbers

    def _end_of_ops(self) -> int:
        at: int = self.ops + self.first_ops[-1] * LAYOUT.size
        while at + LAYOUT.size <= len(self.image):
            at += LAYOUT.size
            if self.image[at - LAYOUT.size] == END:
                return at
        raise EngineBug("the last list of ops of the arena has no end")

    def _actor(self, index: int) -> None:
        actor = self.plan.actor(f"actor {index}")
        first_slots = [*self.first_slots, (self.ops - self.slots) // 8]
        actor.slots = first_slots[index + 1] - first_slots[index]
        at = self.ops + self.first_ops[index] * LAYOUT.size
        while self.image[at] != END:
            actor.ops.append(self._op(actor, at))
            at += LAYOUT.size
        _, _, _, _, _, _, on_error, frame, _ = self._control(index)
        actor.on_error = None if on_error == len(actor.ops) else on_error
        actor.frame = self._value(frame)

    def _op(self, actor: Actor, at: int) -> Op:
        code, policy, nr, dst, from_slot, allowed, expect, *args = LAYOUT.unpack_from(self.image, at)
        if code not in NAMES:
            raise EngineBug(f"the arena holds an op with the code {code}")
        values: list[Value] = [
            Slot(actor.index, arg) if from_slot >> i & 1 else self._value(arg)
            for i, arg in enumerate(args[: ARGUMENTS[NAMES[code]]])
        ]
        if code == REPEAT:
            values[0] = args[0] - len(actor.ops) & U64
        errnos = allowed.to_bytes(4, "little").rstrip(b"\0")
        return Op(code, nr, values, dst, policy, expect, errnos)

    def _value(self, number: int) -> int | Ref:
        """An address of the arena as a reference into one of its parts."""
        at = number - self.base
        if not 0 <= at < len(self.image):
            return number
        block = max(b for b in (0, CONTROLS, STACKS, SLOTS, OPS, FIRST_DATA) if self.starts[b] <= at)
        return Ref(block, at - self.starts[block])
