"""The graph of a tree's steps, and the one order in which they run.

Every resource contributes *steps*: a few ops for one actor, at one stage of that actor's life, with `needs` edges to
steps of the same or another actor. The whole tree is sorted once, births before the lives that begin with them.
Each actor runs its own steps in that total order, so an edge between two actors, turned into POST and WAIT, can never
close a circle of waiting: there is no deadlock by construction. `Milestone` is a node with many steps before it and
many after it, one futex word for all.
"""

from __future__ import annotations

import heapq

from engine.errors import EngineBug
from engine.plan.builder import Emitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op, Ref


class Step(Emitter):
    """A few ops of one actor that stay together."""

    __slots__ = ("births", "needs", "number", "reaches", "stage")

    def __init__(self, graph: Graph, actor: Actor, why: str, stage: int, needs: Iterable[Node]) -> None:
        ops: list[Op] = []
        super().__init__(graph.plan, actor, ops, why)
        self.stage, self.number = stage, 0
        self.needs = list(needs)
        self.reaches: list[Milestone] = []
        self.births: list[Actor] = []

    def spawn(self, child: Actor, flags: int, tid: int = 0, exit_signal: int = 0) -> None:
        """The same as any emitter's; the child's steps come after this one."""
        super().spawn(child, flags, tid, exit_signal)
        self.births.append(child)

    def __enter__(self) -> Step:
        return self

    def __exit__(self, *_: object) -> None:
        """Only groups the lines that fill the step."""


class Milestone:
    """Passed when every step that reaches it is done."""

    __slots__ = ("name", "number", "steps", "word")

    def __init__(self, name: str) -> None:
        self.name, self.number, self.steps = name, 0, 0
        self.word: Ref | None = None


Node = Step | Milestone


class Graph:
    """All steps of a tree."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes: list[Node] = []

    def step(self, actor: Actor, why: str, stage: int, needs: Iterable[Node] = ()) -> Step:
        """A new step. Within an actor a lower stage always comes first."""
        step = Step(self, actor, why, stage, needs)
        self._add(step)
        return step

    def milestone(self, name: str) -> Milestone:
        """A new meeting point; steps reach it by `step.reaches.append(it)`."""
        milestone = Milestone(name)
        self._add(milestone)
        return milestone

    def order(self) -> list[Step]:
        """Sorts the tree, gives every actor its ops, with POST and WAIT where actors meet."""
        steps = [node for node in self._sorted() if isinstance(node, Step)]
        for step in steps:
            for milestone in step.reaches:
                milestone.steps += 1
        waited = {id(n) for s in steps for n in s.needs if isinstance(n, Milestone) or n.actor is not s.actor}
        words: dict[int, Ref] = {}
        for step in steps:
            self._append(step, waited, words)
        return steps

    def _append(self, step: Step, waited: set[int], words: dict[int, Ref]) -> None:
        actor, emit = step.actor, step.actor.emit(step.why)
        for need in step.needs:
            if isinstance(need, Milestone):
                if need.steps:
                    emit.wait(self._word(need, words), need.steps)
            elif need.actor is not actor:
                emit.wait(self._word(need, words), 1)
        actor.ops += step.ops
        if id(step) in waited:
            emit.post(self._word(step, words))
        for milestone in step.reaches:
            if id(milestone) in waited:
                emit.post(self._word(milestone, words))

    def _word(self, node: Node, words: dict[int, Ref]) -> Ref:
        if id(node) not in words:
            words[id(node)] = self.plan.buffer(4)
        return words[id(node)]

    def _add(self, node: Node) -> None:
        node.number = len(self.nodes)
        self.nodes.append(node)

    def _sorted(self) -> list[Node]:
        edges, count = self._edges()
        after: list[list[int]] = [[] for _ in range(count)]
        missing = [0] * count
        for before, then in edges:
            after[before].append(then)
            missing[then] += 1
        ready = [(self._rank(i), i) for i in range(count) if not missing[i]]
        heapq.heapify(ready)
        order: list[Node] = []
        while ready:
            _, i = heapq.heappop(ready)
            if i < len(self.nodes):
                order.append(self.nodes[i])
            for then in after[i]:
                missing[then] -= 1
                if not missing[then]:
                    heapq.heappush(ready, (self._rank(then), then))
        if len(order) < len(self.nodes):
            raise EngineBug("steps of the plan need each other: " + " <- ".join(self._circle(edges, missing)))
        return order

    def _rank(self, i: int) -> tuple[int, int]:
        """Among what may come next: gates and milestones at once, then the lower stage, then the older step."""
        node = self.nodes[i] if i < len(self.nodes) else None
        return (node.stage if isinstance(node, Step) else -1, i)

    def _edges(self) -> tuple[list[tuple[int, int]], int]:
        """(before, after) numbers, and how many numbers there are: those of the nodes, then one *gate* between each
        two stages of an actor."""
        steps = [node for node in self.nodes if isinstance(node, Step)]
        edges = [(need.number, step.number) for step in steps for need in step.needs]
        edges += [(step.number, milestone.number) for step in steps for milestone in step.reaches]
        births = {child.index: step.number for step in steps for child in step.births}
        lives: dict[int, dict[int, list[int]]] = {}
        for step in steps:
            lives.setdefault(step.actor.index, {}).setdefault(step.stage, []).append(step.number)
        gate = len(self.nodes)
        for actor, stages in lives.items():
            before = births.get(actor)
            for _, numbers in sorted(stages.items()):
                if before is not None:
                    edges += [(before, number) for number in numbers]
                edges += [(number, gate) for number in numbers]
                before, gate = gate, gate + 1
        return edges, gate

    def _circle(self, edges: list[tuple[int, int]], missing: list[int]) -> list[str]:
        """Names along one circle of needs: whoever was not sorted needs another one that was not."""
        needed_by = {then: before for before, then in edges if missing[before]}
        path = [next(i for i, left in enumerate(missing) if left)]
        while path[-1] not in path[:-1]:
            path.append(needed_by[path[-1]])
        circle = path[path.index(path[-1]) :]
        return [self._name(i) for i in circle if i < len(self.nodes)]

    def _name(self, i: int) -> str:
        node = self.nodes[i]
        return node.name if isinstance(node, Milestone) else f"{node.why} (stage {node.stage})"
