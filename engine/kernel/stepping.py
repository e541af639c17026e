"""A plan in a frozen task without the blob: every call is made from outside by ptrace, and shown (`--step`).

A hundred times slower than the blob, and for debugging only: one sees which call does what, and the interpreter
itself is out of the picture. Each call ends at the thread's frame that leads home, as all remote calls do.
"""

from __future__ import annotations

from engine.errors import EngineBug, Obstacle, Refused
from engine.kernel.inject import Call, make
from engine.plan.listing import line
from engine.plan.ops import Ref
from engine.plan.step import FAILED, RUNNING, WAITING, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.kernel.inject import Injection
    from engine.kernel.ptrace import Tracee
    from engine.plan.builder import Actor, Plan


class Stopped:
    """The world of a runner (engine/plan/step.py) whose actor is one stopped thread."""

    def __init__(self, injection: Injection, thread: Tracee, plan: Plan) -> None:
        self.injection, self.thread, self.plan = injection, thread, plan

    def call(self, actor: Actor, nr: int, args: Sequence[int]) -> int:
        """One remote call."""
        frame = actor.frame
        stack = self.injection.base + self.plan.offset(frame) if isinstance(frame, Ref) else frame
        return make([Call(self.injection, self.thread, stack, nr, args)])[0]

    def load(self, actor: Actor, address: int, width: int) -> int:
        """Straight from the task's memory, the arena's too."""
        return int.from_bytes(self.injection.read(address, width), "little")

    def store(self, actor: Actor, address: int, width: int, value: int) -> None:
        """The same."""
        self.injection.write(address, (value & (1 << 8 * width) - 1).to_bytes(width, "little"))

    def spawn(self, actor: Actor, child: Actor, args: int) -> int:
        """No frozen task bears anybody: the plan was verified."""
        raise EngineBug(f"{actor.name} spawns {child.name}")


def step_through(runner: Runner, show: Callable[[str], None]) -> None:
    """Runs an actor to its halt, or to the op that fails, and shows each op with its result."""
    plan, actor = runner.plan, runner.actor
    state = RUNNING
    while state == RUNNING and runner.pc < len(actor.ops):
        op = actor.ops[runner.pc]
        state = runner.step()
        result = runner.result if abs(runner.result) < 4096 else hex(runner.result)
        show(f"{actor.name}: {line(plan, actor, op)} -> {result}" + (" FAILED" if state == FAILED else ""))
    if state == WAITING:
        raise Refused([Obstacle(actor.name, "waiting for another task cannot be stepped through", "do without --step")])
