"""Checks a plan before it runs, every time.

Images are hostile input to a process of root's, and a plan is made from them. Because it is data, it can be held
against what the records allow: which calls there may be, which memory and which descriptor numbers they may name, and
that every pointer leads to data with enough room. What only a damaged or hostile image can have caused is Refused; the
rest is an EngineBug. Both name the step, the op and the reason.

What this cannot see is what a permitted call does with permitted arguments: which file a path leads to is checked where
the path is read from the image.
"""

from __future__ import annotations

from bisect import bisect_right

from engine.abi.sched import CLONE_ARGS
from engine.abi.syscalls import NR
from engine.errors import EngineBug, Obstacle, Refused
from engine.plan import arguments, meetings
from engine.plan.arguments import Broken, Hostile
from engine.plan.listing import brief
from engine.plan.ops import (
    CALL,
    CONTROL_SIZE,
    CONTROLS,
    FULL_IO,
    HALT,
    LAYOUT,
    LOAD,
    OPS,
    POST,
    REPEAT,
    SPAWN,
    STACKS,
    STORE,
    WAIT,
    Op,
    Ref,
)  # fmt: skip
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import NoReturn

    from engine.plan.builder import Actor, Plan
    from engine.plan.signatures import Table

PAGE = 4096
MOST_REPEATS = 1 << 20
ADDRESS_END = (1 << 47) - PAGE
"""End of user space (TASK_SIZE_MAX, asm/page_64_types.h)."""
FULL_CALLS = (NR.read, NR.write, NR.pread64, NR.pwrite64)
LAST_CALLS = (NR.exit, NR.exit_group, NR.tgkill)
"""What an actor may end with, besides a halt: tgkill is how a zombie dies by a signal."""
CLONE_POINTERS = ("pidfd", "child_tid", "parent_tid", "tls", "cgroup")


class Space:
    """Stretches of address space; neighbours are one stretch."""

    __slots__ = ("ends", "starts")

    def __init__(self, areas: Iterable[tuple[int, int]] = ()) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in sorted(areas):
            if self.ends and start <= self.ends[-1]:
                self.ends[-1] = max(end, self.ends[-1])
            else:
                self.starts.append(start)
                self.ends.append(end)

    def covers(self, start: int, end: int) -> bool:
        """Whether all of a stretch that is not empty lies in here."""
        at = bisect_right(self.starts, start) - 1
        return at >= 0 and start < end <= self.ends[at]


NOWHERE = Space()


class Rules(NamedTuple):
    """What the records allow."""

    table: Table  # the calls
    roots: Collection[int]  # numbers of the actors that are started from outside
    spaces: Mapping[int, Space]  # by actor; who has none has the one of whoever spawned it
    descriptors: int = 0  # all numbers are below
    tasks: Collection[int] = ()  # pids and tids that the plan makes
    arena: tuple[int, int] = (0, 0)
    births: bool = True  # whether tasks may be spawned


def verify(plan: Plan, rules: Rules) -> None:
    """Returns if the plan keeps the rules; Refused for what an image caused, EngineBug for what we did."""
    _check_layout(plan)
    for space in {id(s): s for s in rules.spaces.values()}.values():
        _check_space(space, rules.arena)
    checker = _Checker(plan, rules)
    for root in rules.roots:
        checker.walk(root)
    for actor in plan.actors:
        if actor.index not in checker.born:
            raise EngineBug(f"{actor.name}: nobody starts it")
    meetings.check(plan, rules.roots)


def _check_layout(plan: Plan) -> None:
    ops = sum(len(actor.ops) + 1 for actor in plan.actors)
    if plan.size and plan.addresses[OPS] + ops * LAYOUT.size > [*plan.addresses, plan.size][OPS + 1]:
        raise EngineBug("the plan grew after it was laid out")
    for place, target in plan.fixups:
        if target.block != STACKS and target.offset > len(plan.blocks[target.block]):
            raise EngineBug(f"a pointer at {place} leads past the end of its data")


def _check_space(space: Space, arena: tuple[int, int]) -> None:
    for start, end in zip(space.starts, space.ends, strict=True):
        if not 0 <= start < end <= ADDRESS_END or (start | end) % PAGE:
            raise Refused([Obstacle(f"mapping {start:x}-{end:x}", "no mapping can lie there: the image is damaged")])
        if start < arena[1] and arena[0] < end:
            raise EngineBug(f"the arena {arena[0]:x}-{arena[1]:x} overlaps the mapping {start:x}-{end:x}")


class _Checker:
    """One plan under the rules. `slots` holds what wrote each slot of the actor in hand."""

    def __init__(self, plan: Plan, rules: Rules) -> None:
        self.plan, self.rules = plan, rules
        self.born: set[int] = set()
        self.arguments = arguments.Checks(plan, rules)

    def walk(self, root: int) -> None:
        """An actor that is started from outside, and all that it spawns."""
        self._bear(root)
        queue = [(self.plan.actors[root], NOWHERE)]
        for actor, parents in queue:
            space = self.rules.spaces.get(actor.index, parents)
            self.arguments.enter(actor, space, parents)
            children = self._check(actor)
            queue += [(self.plan.actors[child], space) for child in children]

    def _bear(self, index: int) -> None:
        if index in self.born:
            raise EngineBug(f"{self.plan.actors[index].name}: it is started twice")
        self.born.add(index)

    def _check(self, actor: Actor) -> list[int]:
        """Every op of an actor; returns the actors that it spawns."""
        children: list[int] = []
        op = Op(HALT, why=actor.name)
        try:
            for index, op in enumerate(actor.ops):
                code = op.code
                if code == CALL:
                    self.arguments.call(op)
                elif code == SPAWN:
                    children.append(self._spawn(op))
                    self.arguments.result(op)
                else:
                    self._other(actor, index, op)
            self._end(actor)
        except Broken as error:
            raise EngineBug(f"{op.why}: {brief(self.plan, op)}: {error}") from None
        except Hostile as error:
            self._refuse(op, error)
        return children

    def _refuse(self, op: Op, error: Hostile) -> NoReturn:
        raise Refused([Obstacle(op.why, f"{brief(self.plan, op)}: {error}: the image is damaged")]) from None

    def _other(self, actor: Actor, index: int, op: Op) -> None:
        """Everything but calls and births."""
        check = self.arguments
        if op.code == FULL_IO:
            if op.nr not in FULL_CALLS:
                raise Broken("only a read or write can be repeated until it is full")
            check.call(op)
        elif op.code in (LOAD, STORE):
            if op.nr not in (1, 4, 8):
                raise Broken(f"{op.nr} bytes are no number")
            check.values(op.args)
            if op.code == STORE:
                check.store(op.args[0], op.nr)
            else:
                check.memory(op.args[0], op.nr, False)
                check.result(op)
        elif op.code in (WAIT, POST):
            word, count = op.args
            if not isinstance(word, Ref) or word.offset % 4 or not isinstance(count, int) or count < 1:
                raise Broken("it takes a futex word among the plan's data and a number")
            check.data(word, 4, True)
        elif op.code == REPEAT:
            self._repeat(index, op)
            check.result(op)
        elif op.code != HALT:
            raise Broken(f"there is no op with the code {op.code}")
        elif index != len(actor.ops) - 1:
            raise Broken(f"{actor.name} halts before its last op")

    def _repeat(self, index: int, op: Op) -> None:
        back, slot, _, most = op.args
        if not isinstance(back, int) or not isinstance(slot, int) or not isinstance(most, int):
            raise Broken("its numbers must be known before it runs")
        self.arguments.values(op.args)
        self.arguments.written(slot)
        distance = (1 << 64) - back
        if not 1 <= distance <= index:
            raise Broken("it goes back to an op that is not there")
        if not 1 <= most <= MOST_REPEATS:
            raise Broken(f"it may repeat {most} times, which is no bound")

    def _spawn(self, op: Op) -> int:
        place, size, control = op.args
        if not self.rules.births:
            raise Broken("a frozen task bears nobody")
        if not isinstance(control, Ref) or control.block != CONTROLS or size != CLONE_ARGS.size:
            raise Broken("it takes struct clone_args and the control block of an actor")
        child, rest = divmod(control.offset, CONTROL_SIZE)
        if rest or child >= len(self.plan.actors):
            raise Broken("its control block is nobody's")
        content = self.arguments.content(place, CLONE_ARGS.size)
        if [n for n in CLONE_POINTERS if CLONE_ARGS.get(content, n)]:
            raise Broken("clone3 is given an address to write to")
        pointers = self.arguments.pointers
        stack = pointers.get(place + CLONE_ARGS.offsets["stack"]) if isinstance(place, Ref) else None
        if stack != self.plan.actors[child].stack:
            raise Broken("the stack is not the child's")
        self._bear(child)
        return child

    def _end(self, actor: Actor) -> None:
        """An actor halts at its end, or is gone then; whoever ran on would idle for ever."""
        ops = actor.ops
        last = ops[-1] if ops else None
        if last is None or not (last.code == HALT or (last.code == CALL and last.nr in LAST_CALLS)):
            raise Broken("it is the actor's last op, but the actor neither halts nor ends")
        if actor.on_error is not None and not 0 <= actor.on_error <= len(ops):
            raise Broken(f"{actor.name} goes on at op {actor.on_error} after an error, which is not there")
