"""One op at a time: what native/interp.c does, in Python, for worlds that are not the blob.

A `Runner` is one actor on its way; its slots and control block are those of the arena's bytes, so answers and errors
are read as after a run of the blob. The `World` makes the calls: a frozen task by ptrace (kernel/stepping.py, for
`--step`), the tasks of a restore (the same), or a model kernel (model.py).
"""

from __future__ import annotations

from errno import EINTR, ENODATA
from typing import Protocol

from engine.abi.syscalls import NR
from engine.errors import EngineBug
from engine.plan.meetings import child_of
from engine.plan.ops import (
    CALL,
    CONTROL,
    EQUAL,
    FULL_IO,
    HALT,
    LOAD,
    MAY,
    MUST,
    POST,
    REPEAT,
    SPAWN,
    STORE,
    U64,
    UNEXPECTED,
    WAIT,
    Ref,
    Slot,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op, Value

RUNNING, WAITING, HALTED, FAILED = range(4)
"""What became of a runner: it goes on, waits for a futex word or in a call, has come to a HALT or its end, or an op
failed."""

Bytes = bytearray | memoryview


class World(Protocol):
    """Whoever makes system calls. Results are values or negative errnos; addresses are the task's."""

    def call(self, actor: Actor, nr: int, args: Sequence[int]) -> int | None:
        """Makes a system call in the task of an actor. None: it has not returned yet, and must be asked for again."""

    def load(self, actor: Actor, address: int, width: int) -> int:
        """Reads `width` bytes of the actor's memory."""

    def store(self, actor: Actor, address: int, width: int, value: int) -> None:
        """Writes `width` bytes of the actor's memory."""

    def spawn(self, actor: Actor, child: Actor, args: int) -> int:
        """clone3 with the struct clone_args at `args`; the child begins with the ops of its actor."""


class Runner:
    """One actor. `view` is the arena, or a copy of it."""

    def __init__(self, plan: Plan, actor: Actor, base: int, view: Bytes, world: World) -> None:
        self.plan, self.actor, self.base, self.view, self.world = plan, actor, base, view, world
        self.pc = 0
        self.state = RUNNING
        self.result = 0  # of the last op

    def step(self) -> int:
        """Runs one op; returns the new state."""
        if self.pc >= len(self.actor.ops):
            self.state = HALTED
            return self.state
        op = self.actor.ops[self.pc]
        if op.code == HALT:
            self.pc, self.state = self.pc + 1, HALTED
        elif op.code == WAIT and not self._has_come(op):
            self.state = WAITING
        elif op.code == REPEAT:
            self._repeat(op)
        else:
            self.state = RUNNING
            self._run(op)
            self.pc += self.state == RUNNING
        return self.state

    def _run(self, op: Op) -> None:
        args = [self._number(value) for value in op.args]
        if op.code == CALL:
            result = self.world.call(self.actor, op.nr, args)
            if result is None:
                self.state = WAITING
            else:
                self._keep(op, result)
        elif op.code == FULL_IO:
            self._keep(op, self._full_io(op.nr, args))
        elif op.code == SPAWN:
            self._keep(op, self.world.spawn(self.actor, self.plan.actors[child_of(op)], args[0]))
        elif op.code == LOAD:
            self._keep(op, self.world.load(self.actor, args[0], op.nr))
        elif op.code == STORE:
            self.world.store(self.actor, args[0], op.nr, args[1])
        elif op.code == POST:
            now = self.world.load(self.actor, args[0], 4)
            self.world.store(self.actor, args[0], 4, now + args[1])
        elif op.code != WAIT:
            raise EngineBug(f"{op.why}: there is no op with the code {op.code}")

    def _keep(self, op: Op, result: int) -> None:
        self.result = result
        self._put(op.dst, result)
        if error := judge(op, result):
            self._fail(error, result)

    def _fail(self, error: int, result: int) -> None:
        """As the blob does: the control block says which op failed and why."""
        at = self.plan.offset(self.actor.control)
        _, ops, slots, _, _, _, *rest = CONTROL.unpack_from(self.view, at)
        CONTROL.pack_into(self.view, at, self.pc, ops, slots, error, self.pc, result & U64, *rest)
        self.state = FAILED

    def _full_io(self, nr: int, args: list[int]) -> int:
        fd, address, length, offset = [*args, 0][:4]
        positioned, done = nr in (NR.pread64, NR.pwrite64), 0
        while done < length:
            at = (offset + done,) if positioned else ()
            while (count := self.world.call(self.actor, nr, (fd, address + done, length - done, *at))) is None:
                pass
            if count <= 0 and count != -EINTR:
                return count or -ENODATA
            done += max(count, 0)
        return done

    def _repeat(self, op: Op) -> None:
        back, slot, value, most = (self._number(v) for v in op.args)
        self.state = RUNNING
        if self._get(slot) == value:
            self.pc += 1
            return
        rounds = self._get(op.dst)
        self._put(op.dst, rounds + 1)
        if rounds < most:
            self.pc = self.pc + back & U64
        elif error := judge(op, -ENODATA):
            self._fail(error, -ENODATA)
        else:
            self.pc += 1

    def _has_come(self, op: Op) -> bool:
        word, count = (self._number(value) for value in op.args)
        return self.world.load(self.actor, word, 4) & 0xFFFFFFFF >= count

    def _number(self, value: Value) -> int:
        if isinstance(value, Ref):
            return self.base + self.plan.offset(value)
        return self._get(value.index) if isinstance(value, Slot) else value & U64

    def _get(self, index: int) -> int:
        at = self.plan.slot_offset(Slot(self.actor.index, index))
        return int.from_bytes(self.view[at : at + 8], "little")

    def _put(self, index: int, value: int) -> None:
        at = self.plan.slot_offset(Slot(self.actor.index, index))
        self.view[at : at + 8] = (value & U64).to_bytes(8, "little")


def judge(op: Op, result: int) -> int:
    """0 when a result is what the op's policy asks for, else the negative errno to report."""
    failed = -4096 < result < 0
    if op.policy == EQUAL:
        if result & U64 == op.expect & U64:
            return 0
        return result if failed else -UNEXPECTED
    if op.policy == MUST or (op.policy == MAY and -result not in op.allowed):
        return result if failed else 0
    return 0
