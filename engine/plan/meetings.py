"""Whether a plan's actors can all run to their ends: nobody waits for a word that is not posted in time.

Futex words only grow, so what an actor can reach does not depend on who is faster: one run through births, posts and
waits, in any order, decides it for all orders.
"""

from __future__ import annotations

from engine.errors import EngineBug
from engine.plan.ops import CONTROL_SIZE, POST, SPAWN, WAIT, Ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op

MEETING = (SPAWN, POST, WAIT)


class Sleeper:
    """An actor that waits: for what, and what it does afterwards."""

    __slots__ = ("actor", "count", "op", "rest", "word")

    def __init__(self, actor: Actor, op: Op, rest: Iterator[Op]) -> None:
        self.actor, self.op, self.rest = actor, op, rest
        self.word, self.count = word_of(op)


def check(plan: Plan, roots: Iterable[int]) -> None:
    """Raises EngineBug that names who waits for whom for ever. Every op of the plan is well-formed by itself."""
    words: dict[Ref, int] = {}
    asleep: dict[Ref, list[Sleeper]] = {}
    running = [(plan.actors[root], _meetings(plan.actors[root])) for root in roots]
    while running:
        actor, rest = running.pop()
        for op in rest:
            if op.code == SPAWN:
                child = plan.actors[child_of(op)]
                running.append((child, _meetings(child)))
                continue
            word, count = word_of(op)
            if op.code == POST:
                words[word] = words.get(word, 0) + count
                running += _wake(asleep, word, words[word])
            elif words.get(word, 0) < count:
                asleep.setdefault(word, []).append(Sleeper(actor, op, rest))
                break
    left = [sleeper for sleepers in asleep.values() for sleeper in sleepers]
    if left:
        raise EngineBug("; ".join(_complaint(plan, sleeper, words) for sleeper in left[:6]))


def child_of(op: Op) -> int:
    """The number of the actor that a SPAWN starts."""
    control = op.args[2]
    assert isinstance(control, Ref)
    return control.offset // CONTROL_SIZE


def word_of(op: Op) -> tuple[Ref, int]:
    """The futex word of a WAIT or POST, and its number."""
    word, count = op.args
    assert isinstance(word, Ref) and isinstance(count, int)
    return word, count


def posters(plan: Plan, word: Ref) -> list[Op]:
    """Every op that posts a word."""
    return [op for actor in plan.actors for op in actor.ops if op.code == POST and op.args[0] == word]


def _meetings(actor: Actor) -> Iterator[Op]:
    return (op for op in actor.ops if op.code in MEETING)


def _wake(asleep: dict[Ref, list[Sleeper]], word: Ref, value: int) -> list[tuple[Actor, Iterator[Op]]]:
    if word not in asleep:
        return []
    sleepers = asleep.pop(word)
    if left := [sleeper for sleeper in sleepers if sleeper.count > value]:
        asleep[word] = left
    return [(sleeper.actor, sleeper.rest) for sleeper in sleepers if sleeper.count <= value]


def _complaint(plan: Plan, sleeper: Sleeper, words: dict[Ref, int]) -> str:
    by = ", ".join(dict.fromkeys(op.why for op in posters(plan, sleeper.word))) or "nobody"
    seen = words.get(sleeper.word, 0)
    return f"{sleeper.op.why}: waits for ever: {seen} of {sleeper.count} posts come, which are made by {by}"
