"""What frozen tasks are asked: plans that are written, verified and encoded before the freeze.

Every process is asked the same by its leader, every thread the same by itself, so one form serves all processes with
so many threads. A resource has up to four functions for that:

    ask(ask)            puts its questions to a process into the plan; returns where the answers will be
    ask_thread(ask)     those to each thread
    ask_of(task)        questions to this process in particular, as a function like `ask`, or None
    hear(task, asked)   takes the answers, and hear_thread(thread, asked): `asked` is what `ask` returned

Whoever has questions of its own, which is rare, gets a form of its own, written in the freeze.
"""

from __future__ import annotations

from engine.kernel.inject import ARENAS, QUIET_SIGNALS
from engine.plan import rules
from engine.plan.builder import Plan
from engine.plan.verify import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

    from engine.frozen import FrozenTask
    from engine.plan.builder import Actor, Emitter

    Ask = Callable[[Emitter], Any]
    Asked = list[tuple[ModuleType, Any]]


class Form:
    """A plan for a process and its threads, the leader first, and where each resource finds its answers."""

    def __init__(
        self, modules: Sequence[ModuleType], names: Sequence[str], special: dict[ModuleType, Ask], frame_size: int
    ) -> None:
        """One actor for each name. `frame_size`: bytes for the frame that leads a thread home."""
        self.plan = Plan()
        self.actors: list[Actor] = []
        self._process: Asked = []
        self._threads: list[Asked] = []
        self._images: dict[tuple[int, int], bytes] = {}
        for name in names:
            self._ask(modules, name, special, frame_size)
        self.plan.layout()
        verify(self.plan, rules.of_questions(self.actors))

    def _ask(
        self, modules: Sequence[ModuleType], name: str, special: dict[ModuleType, Ask], frame_size: int
    ) -> None:
        actor = self.plan.actor(name)
        emit = actor.emit(name)
        if not self.actors:
            self._process = [(module, module.ask(emit)) for module in modules if hasattr(module, "ask")]
            self._process += [(module, ask(emit)) for module, ask in special.items()]
        self._threads.append([(m, m.ask_thread(emit)) for m in modules if hasattr(m, "ask_thread")])
        emit.halt()
        actor.frame = self.plan.buffer(frame_size) + 0
        self.actors.append(actor)

    def image(self, base: int, halt: int) -> bytes:
        """The arena's bytes for an address and a signal to halt by."""
        key = (base, halt)
        if key not in self._images:
            self.plan.halt = halt
            self._images[key] = bytes(self.plan.encode(base))
        return self._images[key]

    def heard_by(self, task: FrozenTask) -> None:
        """The plan has run in the process: every resource takes its answers, in its order."""
        for module, asked in self._process:
            module.hear(task, asked)
        for thread, asked_of_thread in zip(task.threads, self._threads, strict=True):
            for module, asked in asked_of_thread:
                module.hear_thread(thread, asked)


class Forms:
    """One form for each number of threads; those of earlier dumps serve again."""

    def __init__(self, modules: Sequence[ModuleType]) -> None:
        self.modules = modules
        self._special = [module for module in modules if hasattr(module, "ask_of")]

    def prepare(self, threads: int) -> None:
        """Before the freeze: the form that a process with so many threads will probably get. How large a frame is, is
        known from the rehearsal."""
        for _, frame_size in list(_forms)[:1]:
            self._common(threads, frame_size).image(ARENAS, QUIET_SIGNALS[0])

    def form_for(self, task: FrozenTask, named: bool = False) -> Form:
        """The questions to a frozen process. `named`: people will read the plan."""
        special = {m: ask for m in self._special if (ask := m.ask_of(task))}
        frame_size = task.leader.home.frame_size
        if special or named:
            return Form(self.modules, [str(thread) for thread in task.threads], special, frame_size)
        return self._common(len(task.threads), frame_size)

    def _common(self, threads: int, frame_size: int) -> Form:
        key = (threads, frame_size)
        if key not in _forms:
            names = [f"thread {number} of a process" for number in range(1, threads + 1)]
            _forms[key] = Form(self.modules, names, {}, frame_size)
        return _forms[key]


_forms: dict[tuple[int, int], Form] = {}
