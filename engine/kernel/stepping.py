"""Plans without the blob: every call is made from outside by ptrace, and shown (`--step`).

A hundred times slower than the blob, and for debugging only: one sees which call does what, and the interpreter
itself is out of the picture. A frozen task's calls end at the frame that leads home, as all remote calls do. Those of
a restore are made by tasks that stand in the idle loop, and that stop for us as soon as they are born (PTRACE_SEIZE
goes over to children of CLONE_PTRACE, which begin with a stop: kernel/ptrace.c, ptrace_init_task).
"""

from __future__ import annotations

import os
import time

from engine.abi import ptrace as abi
from engine.abi.sched import CLONE_ARGS
from engine.abi.syscalls import NR
from engine.errors import EngineBug
from engine.kernel.inject import ARGUMENTS, Call, make, raise_error
from engine.kernel.ptrace import SYSCALL_STOP, U64, Gone, Stop, Tracee, request
from engine.kernel.skeleton import IDLE_SYSCALL
from engine.plan.listing import line, posters
from engine.plan.ops import CALL, FULL_IO, LOAD, SPAWN, WAIT, Ref
from engine.plan.step import FAILED, HALTED, RUNNING, WAITING, Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import FileIO

    from engine.kernel.inject import Injection
    from engine.kernel.skeleton import Troupe
    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Value

    Show = Callable[[str], None]

WITH_RESULT = (CALL, FULL_IO, LOAD, SPAWN)
ADDRESSES = 1 << 24  # what is shown as one
PATIENCE = 0.02  # seconds that a call may take before the others go on


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


class Player(Runner):
    """An actor of a restore. The interpreter's task would take a signal that it sends to itself, or a stop that another
    thread brings upon it while it waits; ours runs for a moment to do so."""

    def __init__(self, stage: Stage, actor: Actor) -> None:
        troupe = stage.troupe
        super().__init__(troupe.plan, actor, troupe.base, memoryview(troupe.view), stage)
        self.stage = stage

    def step(self) -> int:
        """Runs one op; Gone if it was the actor's last."""
        op = self.actor.ops[self.pc]
        state = super().step()
        if state == RUNNING and (op.code == WAIT or (op.code == CALL and op.nr == NR.tgkill)):
            self.stage.whole_call(self.actor, NR.sched_yield)
        return state


class Stage:
    """The world of a restore: tasks that bear one another, meet, and end. All play in turn."""

    def __init__(self, troupe: Troupe, root: Actor) -> None:
        self.troupe = troupe
        self.roles = {role.actor.index: role for role in troupe.roles}
        self.tracees = {root.index: troupe.tracees[troupe.root]}  # by actor
        self.steps = posters(troupe.plan)
        self.inside: set[int] = set()  # actors whose call has not returned
        self.players = [Player(self, root)]

    def play(self, show: Show) -> None:
        """Each as far as it gets by itself, again and again, until all have halted or ended."""
        while self.players:
            before = [player.pc for player in self.players]
            self.players = [player for player in self.players if not self._is_done(player, show)]
            if before == [player.pc for player in self.players] and not self.inside:
                raise EngineBug(f"nobody goes on: {', '.join(player.actor.name for player in self.players)}")

    def call(self, actor: Actor, nr: int, args: Sequence[int]) -> int | None:
        """One remote call. While it sleeps, as waitid does, the others have their turn."""
        tracee = self.tracees[actor.index]
        if actor.index not in self.inside:
            self._enter(tracee, nr, args)
            self.inside.add(actor.index)
        until = time.monotonic() + PATIENCE
        while (stop := tracee.poll()) != (SYSCALL_STOP, 0):
            if stop is not None:
                _go_on(tracee, stop)
            elif time.monotonic() > until:
                return None
        self.inside.discard(actor.index)
        result = tracee.registers()["rax"]
        return result - (1 << 64) if result >> 63 else result

    def whole_call(self, actor: Actor, nr: int, *args: int) -> int:
        """One that does not sleep."""
        while (result := self.call(actor, nr, args)) is None:
            pass
        return result

    def load(self, actor: Actor, address: int, width: int) -> int:
        """From the task's memory, the arena's too."""
        with self._memory(actor) as memory:
            return int.from_bytes(os.pread(memory.fileno(), width, address), "little")

    def store(self, actor: Actor, address: int, width: int, value: int) -> None:
        """The same."""
        with self._memory(actor) as memory:
            os.pwrite(memory.fileno(), (value & (1 << 8 * width) - 1).to_bytes(width, "little"), address)

    def spawn(self, actor: Actor, child: Actor, args: int) -> int:
        """clone3. The child stops before its first instruction, and plays from now on."""
        tid = self.whole_call(actor, NR.clone3, args, CLONE_ARGS.size)
        if tid > 0:
            pid = self.roles[child.index].pid if child.index in self.roles else tid
            tracee = self.tracees[child.index] = self.troupe.tracees[tid] = Tracee(pid, tid)
            tracee.wait()
            self.players.append(Player(self, child))
        return tid

    def _is_done(self, player: Player, show: Show) -> bool:
        actor = player.actor
        try:
            state = step_through(player, show, self.steps)
        except Gone as gone:
            self.inside.discard(actor.index)
            del self.troupe.tracees[gone.tid]
            if actor.index in self.roles:
                raise
            return True  # a zombie to be, or a helper
        raise_error(self.troupe.plan, actor, self.troupe.view)
        return state == HALTED

    def _enter(self, tracee: Tracee, nr: int, args: Sequence[int]) -> None:
        registers = tracee.registers() | dict(zip(ARGUMENTS, args, strict=False))
        tracee.set_registers(registers | {"rax": nr, "orig_rax": U64, "rip": self.troupe.base + IDLE_SYSCALL})
        stop = Stop(0, 0)
        while stop != (SYSCALL_STOP, 0):  # signals and stops that are due come first
            _go_on(tracee, stop)
            stop = tracee.wait()
        _go_on(tracee, stop)

    def _memory(self, actor: Actor) -> FileIO:
        return open(f"/proc/{self.tracees[actor.index].tid}/mem", "r+b", buffering=0)


def _go_on(tracee: Tracee, stop: Stop) -> None:
    """To the next stop; a signal on its way is delivered."""
    on_its_way = not stop.event and stop.signal != SYSCALL_STOP
    request(abi.PTRACE_SYSCALL, tracee.tid, 0, stop.signal if on_its_way else 0)


def step_through(runner: Runner, show: Show, steps: dict[Value, str] | None = None) -> int:
    """Runs an actor to its halt, to the op that fails, or to where it must wait; shows each op with its result. `steps`
    has the names of futex words."""
    plan, actor, state = runner.plan, runner.actor, RUNNING
    while state == RUNNING and runner.pc < len(actor.ops):
        op = actor.ops[runner.pc]
        text = f"{actor.name}: {line(plan, actor, op, steps)}"
        try:
            state = runner.step()
        except Gone:
            show(f"{text} -> gone")
            raise
        if state != WAITING:
            result = runner.result if abs(runner.result) < ADDRESSES else hex(runner.result)
            show(text + f" -> {result}" * (op.code in WITH_RESULT) + " FAILED" * (state == FAILED))
    return state
