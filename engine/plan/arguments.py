"""The arguments of calls, held against their signatures: the part of the verifier that looks at every value."""

from __future__ import annotations

import struct

from engine.abi import mman
from engine.abi.fcntl import AT_FDCWD, O_CREAT, O_TRUNC
from engine.abi.syscalls import NR
from engine.plan.ops import FIRST_DATA, LOAD, MAY, Ref, Slot
from engine.plan.signatures import COMMANDS, POINTERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op, Value
    from engine.plan.signatures import Length, Parameter, Signature
    from engine.plan.verify import Rules, Space

PAGE = 4096
FIXED = mman.MAP_FIXED | mman.MAP_FIXED_NOREPLACE
NEW_ADDRESS = (NR.mmap, NR.mremap, NR.shmat)
NEVER, LOADED = -1, -2
"""What wrote a slot, where it is not the number of a call."""
IOVEC, POINTER = 16, 8
PLAIN = {
    "number", "prot", "map", "mremap", "madvise", "memfd", "clone", "signal", "sigmask", "whence", "itimer", "rlimit",
    "epoll", "mode", "fcntl", "ioctl", "prctl", "arch", "membarrier", "file",
}  # fmt: skip
"""Kinds that are numbers to the verifier."""


class Broken(Exception):
    """A rule that only our own code can have broken; the text is the reason."""


class Hostile(Exception):
    """A rule that an image can break."""


class Checks:
    """The arguments of one plan's ops. `enter` says whose ops come next."""

    def __init__(self, plan: Plan, rules: Rules) -> None:
        self.plan, self.rules, self.descriptors = plan, rules, rules.descriptors
        self.pointers = dict(plan.fixups)
        self.pointed = {place.block for place, _ in plan.fixups}
        self.constants = {ref.block for ref in plan.constants()}
        self.commands = {getattr(NR, name): at for name, at in COMMANDS.items()}
        self._simple: dict[int, Compiled] = {}  # by number
        self._many: dict[tuple[int, int], Compiled] = {}  # calls that are many in one: by number and command

    def enter(self, actor: Actor, space: Space, parents: Space) -> None:
        """The next ops are of this actor: its own areas, and those that it is born with."""
        self.actor, self.space, self.parents = actor, space, parents
        self.slots = [NEVER] * actor.slots

    def call(self, op: Op) -> None:
        """A system call, or its repetition. Most arguments of most calls are plain numbers: those cost little."""
        args = op.args
        compiled = self._simple.get(op.nr) or self._find(op)
        for i, value in enumerate(args):
            if type(value) is not int:
                if isinstance(value, Slot):
                    self._slot(value)
                elif isinstance(value, Ref) and i not in compiled.addresses:
                    raise Broken(f"argument {i} is an address where a number belongs")
        if len(args) > compiled.count and any(args[compiled.count :]):
            raise Broken(f"the call takes {compiled.count} arguments")
        if op.policy == MAY and not (len(op.allowed) <= 4 and all(0 < n < 256 for n in op.allowed)):
            raise Broken("four errnos of a byte each may be allowed")
        for i, check, parameter in compiled.checks:
            check(self, op, args[i] if i < len(args) else 0, parameter)
        self.result(op)

    def result(self, op: Op) -> None:
        """Notes who wrote a slot."""
        if not 0 <= op.dst < len(self.slots):
            raise Broken(f"slot {op.dst} is not the actor's")
        self.slots[op.dst] = LOADED if op.code == LOAD else op.nr

    def written(self, index: int) -> None:
        """The slot holds a result by now."""
        if not 0 <= index < len(self.slots) or self.slots[index] == NEVER:
            raise Broken(f"slot {index} is used before anything is in it")

    def values(self, values: Sequence[Value]) -> None:
        """Operands of ops that are no calls."""
        for value in values:
            if isinstance(value, Slot):
                self._slot(value)

    def data(self, place: Value, size: int, changes: bool) -> Ref:
        """`size` bytes of the plan's own data; `changes` tells whether they are written to."""
        if not isinstance(place, Ref):
            raise Broken(f"{place!r} is no address of the plan's data")
        if not FIRST_DATA <= place.block < len(self.plan.blocks):
            raise Broken("an address of the interpreter's own memory is not data")
        if changes and place.block in self.constants:
            raise Broken("a constant, which others may share, would be changed")
        room = len(self.plan.blocks[place.block])
        if place.offset < 0 or place.offset + size > room:
            raise Broken(f"{size} bytes are needed, {room - place.offset} are there")
        return place

    def content(self, place: Value, size: int) -> memoryview:
        """Such bytes, to be looked into."""
        block, offset = self.data(place, size, False)
        return memoryview(self.plan.blocks[block])[offset : offset + size]

    def memory(self, place: Value, size: int, changes: bool) -> None:
        """`size` bytes of data, or of the task's own areas."""
        if isinstance(place, int):
            self.own(place, size)
        else:
            self.data(place, size, changes)

    def store(self, place: Value, width: int) -> None:
        """Memory that an op, not a call, writes to: no pointer that was checked may become another one."""
        self.memory(place, width, True)
        pointed = isinstance(place, Ref) and place.block in self.pointed and place
        if pointed and any(pointed + distance in self.pointers for distance in range(1 - POINTER, width)):
            raise Broken("a pointer would be changed")

    def _slot(self, slot: Slot) -> None:
        if slot.actor != self.actor.index:
            raise Broken(f"r{slot.index} is a slot of {self.plan.actors[slot.actor].name}")
        self.written(slot.index)

    def own(self, start: int, size: int) -> None:
        """`size` bytes of the task's own areas."""
        if size and not self.space.covers(start, start + size):
            raise Hostile(f"{start:#x}-{start + size:#x} is not the task's own memory")

    def size(self, op: Op, length: Length) -> int:
        """How many bytes or members an argument stands for."""
        if length.argument < 0:
            return length.factor
        value = op.args[length.argument] if length.argument < len(op.args) else 0
        if length.indirect:
            return int.from_bytes(self.content(value, 4), "little")
        if not isinstance(value, int):
            raise Broken("a length is not known before it runs")
        if value < 0:
            raise Hostile(f"{value} is no length")
        return length.factor * value

    def _find(self, op: Op) -> Compiled:
        """The signature of a call that is met for the first time, or that is many in one."""
        if op.nr not in self.commands:
            compiled = self._simple[op.nr] = self._compile(op.nr, 0)
            return compiled
        at = self.commands[op.nr]
        command = op.args[at] if at < len(op.args) else 0
        if not isinstance(command, int):
            raise Broken("its command is not known before it runs")
        key = (op.nr, command)
        if key not in self._many:
            self._many[key] = self._compile(*key)
        return self._many[key]

    def _compile(self, nr: int, command: int) -> Compiled:
        signature = self.rules.table.find(nr, command)
        if signature is None:
            raise Broken("no plan of this kind may call it (engine/plan/signatures.py)")
        return Compiled(signature)


class Compiled:
    """A signature, as what is to be done about it."""

    __slots__ = ("addresses", "checks", "count")

    def __init__(self, signature: Signature) -> None:
        self.count = len(signature)
        self.checks = [(i, CHECKS[p.kind], p) for i, p in enumerate(signature) if p.kind not in PLAIN]
        self.addresses = frozenset(i for i, check, _ in self.checks if check in TAKES_REF)


def _descriptor(checks: Checks, _: Op, value: Value, parameter: Parameter) -> None:
    if isinstance(value, int) and not 0 <= value < checks.descriptors and value != NO_DESCRIPTOR[parameter.kind]:
        raise Hostile(f"{value} is no descriptor number of this tree")


def _string(checks: Checks, _: Op, value: Value, parameter: Parameter) -> None:
    if parameter.optional and value == 0:
        return
    block, offset = checks.data(value, 0, False)
    if checks.plan.blocks[block].find(0, offset) < 0:
        raise Broken(f"the {parameter.name} does not end")


def _bytes(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    if parameter.optional and value == 0:
        return
    checks.data(value, checks.size(op, parameter.length), parameter.kind != "in")


def _memory(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    checks.memory(value, checks.size(op, parameter.length), parameter.kind == "mem")


def _vector(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    _iovecs(checks, value, checks.size(op, parameter.length), parameter.kind == "iov")


def _iovecs(checks: Checks, place: Value, count: int, changes: bool) -> None:
    raw = checks.content(place, count * IOVEC)
    assert isinstance(place, Ref)
    numbers = struct.unpack(f"<{2 * count}Q", raw)
    has_pointers = place.block in checks.pointed
    for i in range(count):
        target = checks.pointers.get(place + i * IOVEC) if has_pointers else None
        checks.memory(numbers[2 * i] if target is None else target, numbers[2 * i + 1], changes)


def _structure(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    if parameter.optional and value == 0:
        return
    size, members = POINTERS[parameter.kind]
    raw = checks.content(value, size)
    assert isinstance(value, Ref)
    for at, length_at, letter, unit in members:
        (length,) = struct.unpack_from("<" + letter, raw, length_at)
        target = checks.pointers.get(value + at)
        if target is not None:
            receives = op.nr == NR.recvmsg
            checks.data(target, length * unit, receives and unit == 1)
            if unit == IOVEC:
                _iovecs(checks, target, length, receives)
        elif length or any(raw[at : at + 8]):
            raise Broken(f"{parameter.kind} holds an address that is no reference")


def _area(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    size = checks.size(op, parameter.length)
    if isinstance(value, Slot):
        _new_address(checks, value)
    elif not isinstance(value, int):
        raise Broken("an address of the arena is no mapping of the task")
    elif value % PAGE or not size:
        raise Hostile(f"{value:#x}-{value + size:#x} is no stretch of pages")
    elif parameter.kind != "gone" or not checks.parents.covers(value, value + size):
        checks.own(value, size)


def _place(checks: Checks, op: Op, value: Value, parameter: Parameter) -> None:
    flags = op.args[3] if len(op.args) > 3 else 0
    if not isinstance(flags, int):
        raise Broken("flags are not known before it runs")
    if flags & FIXED:
        _area(checks, op, value, parameter)
    elif value != 0:
        raise Broken("an address without MAP_FIXED_NOREPLACE is only a hint")


def _new_address(checks: Checks, slot: Slot) -> None:
    if checks.slots[slot.index] not in (*NEW_ADDRESS, LOADED):
        raise Broken(f"r{slot.index} is not the address of a new mapping")


def _kept(checks: Checks, _: Op, value: Value, __: Parameter) -> None:
    start, end = checks.rules.arena
    if isinstance(value, int) and start <= value < end:
        raise Hostile(f"{value:#x} is the interpreter's memory")


def _null(_: Checks, __: Op, value: Value, parameter: Parameter) -> None:
    if value != 0:
        raise Broken(f"{parameter.name} must be 0")


def _task(checks: Checks, _: Op, value: Value, parameter: Parameter) -> None:
    if value not in checks.rules.tasks and (parameter.kind == "task" or value != 0):
        raise Hostile(f"{value} is no task of this tree")


def _flags(_: Checks, __: Op, value: Value, ___: Parameter) -> None:
    if not isinstance(value, int):
        raise Broken("flags are not known before it runs")
    if value & (O_CREAT | O_TRUNC):
        raise Hostile("a file would be made or emptied")


NO_DESCRIPTOR = {"fd": -1, "at": AT_FDCWD}
TAKES_REF = {_string, _bytes, _memory, _vector, _structure, _area, _place, _null}
CHECKS: dict[str, Callable[[Checks, Op, Value, Parameter], None]] = {
    "fd": _descriptor, "at": _descriptor, "str": _string, "in": _bytes, "out": _bytes, "io": _bytes,
    "mem": _memory, "put": _memory, "iov": _vector, "put_iov": _vector, "msghdr": _structure,
    "sock_fprog": _structure, "prctl_mm_map": _structure, "area": _area, "gone": _area, "place": _place,
    "user": _kept, "null": _null, "task": _task, "own": _task, "open": _flags,
}  # fmt: skip
