"""The builder: a mini linker for plans.

A plan holds *actors* (one thread of execution each: a list of ops, slots, a small stack) and *blocks* of data
with references among them. Nothing has an address until `encode` is given the base of the arena; so the same plan
can be placed wherever the task has room.
"""

from __future__ import annotations

import struct

from engine.abi.sched import CLONE_ARGS
from engine.abi.syscalls import NR
from engine.errors import EngineBug
from engine.plan import blob
from engine.plan.encode import encode
from engine.plan.ops import (
    CALL,
    CONTROL_SIZE,
    CONTROLS,
    EQUAL,
    FIRST_DATA,
    FULL_IO,
    HALT,
    LAYOUT,
    LOAD,
    MAY,
    MUST,
    POST,
    REPEAT,
    SLOTS,
    SPAWN,
    STACKS,
    STORE,
    U64,
    WAIT,
    Op,
    Ref,
    Slot,
    Value,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

PAGE = 4096
STACK = 1024  # bytes; run() needs about 200, a signal frame is written elsewhere


class Emitter:
    """Appends ops to a list: the vocabulary in which resources write plans.

    `why` names the object all its ops are for.
    """

    __slots__ = ("actor", "ops", "plan", "why")

    def __init__(self, plan: Plan, actor: Actor, ops: list[Op], why: str) -> None:
        self.plan, self.actor, self.ops, self.why = plan, actor, ops, why

    def call(
        self, name: str, *args: Value, expect: int | None = None, may: Sequence[int] = (), remedy: str = ""
    ) -> Slot:
        """A system call that must succeed, or return exactly `expect`, or may fail with the errnos in `may`."""
        slot = self.actor.slot()
        policy = EQUAL if expect is not None else MAY if may else MUST
        self.ops.append(Op(CALL, getattr(NR, name), args, slot.index, policy, expect or 0, may, self.why, remedy))
        return slot

    def attempt(self, name: str, *args: Value) -> Slot:
        """A system call whose result, good or bad, is read afterwards."""
        slot = self.actor.slot()
        self.ops.append(Op(CALL, getattr(NR, name), args, slot.index, why=self.why))
        return slot

    def full_io(self, name: str, fd: Value, address: Value, length: Value, offset: Value = 0) -> Slot:
        """A read or write that is repeated until `length` bytes went over."""
        slot = self.actor.slot()
        args = (fd, address, length, offset)
        self.ops.append(Op(FULL_IO, getattr(NR, name), args, slot.index, MUST, why=self.why))
        return slot

    def load(self, address: Value, width: int = 8) -> Slot:
        """Reads `width` (1, 4, 8) bytes of memory into a slot."""
        slot = self.actor.slot()
        self.ops.append(Op(LOAD, width, (address,), slot.index, why=self.why))
        return slot

    def store(self, address: Value, value: Value, width: int = 8) -> None:
        """Writes `width` (1, 4, 8) bytes of memory."""
        self.ops.append(Op(STORE, width, (address, value), why=self.why))

    def wait(self, word: Value, value: Value) -> None:
        """Sleeps until the 32-bit futex word is at least `value`."""
        self.ops.append(Op(WAIT, 0, (word, value), why=self.why))

    def post(self, word: Value, count: Value = 1) -> None:
        """Adds to the futex word and wakes its waiters."""
        self.ops.append(Op(POST, 0, (word, count), why=self.why))

    def repeat(self, first: int, slot: Slot, value: Value, at_most: int) -> None:
        """Goes back to op number `first` of this emitter until `slot` holds `value`, at most so many times."""
        counter = self.actor.slot()
        back = first - len(self.ops)
        self.ops.append(Op(REPEAT, 0, (back & U64, slot.index, value, at_most), counter.index, MUST, why=self.why))

    def spawn(self, child: Actor, flags: int, tid: int = 0, exit_signal: int = 0) -> None:
        """clone3: the new task (with that tid, if one is given) begins with the ops of `child`, on its stack."""
        set_tid = self.pack("I", tid) if tid else 0
        numbers = (flags, 0, 0, 0, exit_signal, child.stack, STACK, 0, set_tid, int(bool(tid)), 0)
        clone_args = self.pack("11Q", *numbers)
        slot, policy = self.actor.slot(), EQUAL if tid else MUST
        remedy = f"pid {tid} must be free" if tid else ""
        args = (clone_args, CLONE_ARGS.size, child.control)
        self.ops.append(Op(SPAWN, 0, args, slot.index, policy, tid, why=self.why, remedy=remedy))

    def halt(self) -> None:
        """Stops for the tracer; goes on by itself when there is none."""
        self.ops.append(Op(HALT, why=self.why))

    def data(self, content: bytes) -> Ref:
        """Constant bytes, 8-byte aligned; equal contents share one place."""
        return self.plan.data(content)

    def text(self, content: str) -> Ref:
        """A path or name, NUL-terminated, in the file system's encoding."""
        return self.plan.data(content.encode("utf-8", "surrogateescape") + b"\0")

    def buffer(self, size: int) -> Ref:
        """Zeroed bytes for a result."""
        return self.plan.buffer(size)

    def pack(self, layout: str, *values: int | bytes | Ref) -> Ref:
        """A structure (`struct` layout, little endian) whose 64-bit members may be references."""
        return self.plan.pack(layout, *values)


class Actor:
    """One thread of execution of a plan."""

    def __init__(self, plan: Plan, index: int, name: str) -> None:
        self.plan, self.index, self.name = plan, index, name
        self.ops: list[Op] = []
        self.slots = 0
        self.on_error: int | None = None
        self.frame: Ref | int = 0
        self.first_op = 0  # in the plan's one op array; known after layout
        self.first_slot = 0

    def slot(self) -> Slot:
        """A new place for a result."""
        self.slots += 1
        return Slot(self.index, self.slots - 1)

    def emit(self, why: str) -> Emitter:
        """An emitter that appends to this actor's list."""
        return Emitter(self.plan, self, self.ops, why)

    @property
    def control(self) -> Ref:
        """Its control block."""
        return Ref(CONTROLS, self.index * CONTROL_SIZE)

    @property
    def stack(self) -> Ref:
        """The lowest byte of its stack of STACK bytes."""
        return Ref(STACKS, self.index * STACK)


class Plan:
    """Actors and data, on their way to being bytes in an arena."""

    def __init__(self, halt: int = 0) -> None:
        self.halt = halt  # signal number, see inject.py
        self.actors: list[Actor] = []
        self.blocks: list[bytearray] = [bytearray() for _ in range(FIRST_DATA)]
        self.fixups: list[tuple[Ref, Ref]] = []  # (place of a pointer, what it points to)
        self.addresses: list[int] = []  # offset of each block in the arena, after layout
        self.size = 0  # bytes of the arena, whole pages; 0 before layout
        self._known: dict[bytes, Ref] = {}

    def actor(self, name: str) -> Actor:
        """A new thread of execution."""
        actor = Actor(self, len(self.actors), name)
        self.actors.append(actor)
        return actor

    def data(self, content: bytes) -> Ref:
        """Constant bytes; equal contents share one place."""
        ref = self._known.get(content)
        if ref is None:
            ref = self._known[content] = self._block(bytearray(content))
        return ref

    def buffer(self, size: int) -> Ref:
        """Zeroed bytes that the plan may change."""
        return self._block(bytearray(size))

    def pack(self, layout: str, *values: int | bytes | Ref) -> Ref:
        """A structure; references among `values` must stand for 8-byte members."""
        packed = struct.pack("<" + layout, *(0 if isinstance(v, Ref) else v for v in values))
        ref = self._block(bytearray(packed))
        if any(isinstance(v, Ref) for v in values):
            self._note_fixups(ref, layout, values)
        return ref

    def constants(self) -> Collection[Ref]:
        """What `data` gave: nobody may change it, because others may share it."""
        return self._known.values()

    def layout(self) -> int:
        """Gives every block its offset; the size of the arena in bytes, whole pages."""
        ops = sum(len(a.ops) + 1 for a in self.actors)
        slots = sum(a.slots for a in self.actors)
        self._number_actors()
        count = len(self.actors)
        sizes = [len(blob.CODE), count * CONTROL_SIZE, count * STACK, slots * 8, ops * LAYOUT.size]
        at, self.addresses = 0, []
        for size in sizes + [len(b) for b in self.blocks[FIRST_DATA:]]:
            self.addresses.append(at)
            at += (size + 15) & ~15
        self.size = (at + PAGE - 1) & -PAGE
        return self.size

    def _number_actors(self) -> None:
        first_op = first_slot = 0
        for actor in self.actors:
            actor.first_op, actor.first_slot = first_op, first_slot
            first_op += len(actor.ops) + 1  # END
            first_slot += actor.slots

    def offset(self, ref: Ref) -> int:
        """Where a reference lies in the arena; the plan has been laid out."""
        return self.addresses[ref.block] + ref.offset

    def slot_offset(self, slot: Slot) -> int:
        """Where a slot lies in the arena."""
        return self.addresses[SLOTS] + 8 * (self.actors[slot.actor].first_slot + slot.index)

    def encode(self, base: int) -> bytearray:
        """The arena's bytes for the address `base`."""
        if not self.size:
            self.layout()
        return encode(self, base)

    def _block(self, content: bytearray) -> Ref:
        if self.size:
            raise EngineBug("a plan that was laid out cannot take more data")
        self.blocks.append(content)
        return Ref(len(self.blocks) - 1)

    def _note_fixups(self, ref: Ref, layout: str, values: Sequence[int | bytes | Ref]) -> None:
        for (offset, code), value in zip(_members(layout), values, strict=True):
            if isinstance(value, Ref):
                if code != "Q":
                    raise EngineBug(f"layout {layout!r}: a reference stands for a member of the type {code}, not Q")
                self.fixups.append((ref + offset, value))


def _members(layout: str) -> Iterator[tuple[int, str]]:
    """Offset and type of every value of a struct layout: "2Q4x4s" -> (0, "Q"), (8, "Q"), (20, "s")."""
    at, count = 0, ""
    for code in layout:
        if code.isdecimal():
            count += code
            continue
        whole = code in "sp"
        for _ in range(1 if whole else int(count or 1)):
            if code != "x":
                yield at, code
            at += struct.calcsize("<" + (count if whole else "") + code)
        count = ""
