"""Differences between two states, and the few that are allowed.

Allowed is, with its reason:

1. what the test's description lists under `changes`: the program itself changes it while it runs;
2. a mapping that grows downwards may have grown by up to 256 KiB: whoever runs on a stack may touch its next pages,
   a signal frame of the engine for one;
3. in transition tests the positions in files: data flows while we look.

What never counts is not captured at all: see `state.py` (inode numbers, seams between mappings, time namespaces).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .state import Fact, State

STACK_GROWTH = 256 << 10  # bytes


class Difference(NamedTuple):
    """One fact that is not what it was; None where there is no such fact."""

    fact: Fact
    before: str | None
    after: str | None

    def __str__(self) -> str:
        subject = f"pid {self.fact.pid} {self.fact.subject}".rstrip()
        if self.fact.what == EXISTS:
            return f"{subject}: {'is gone' if self.after is None else 'is new'}"
        if self.after is None:
            return f"{subject}: {self.fact.what} is gone, was {self.before!r}"
        if self.before is None:
            return f"{subject}: {self.fact.what} is new: {self.after!r}"
        return f"{subject}: {self.fact.what} was {self.before!r}, is {self.after!r}"


EXISTS = "existence"


def differences(before: State, after: State, changes: Iterable[str] = ()) -> list[Difference]:
    """What differs beyond the allowed, in the order of pids; `changes` are aspects that are not compared."""
    ignored = set(changes)
    old = {fact: value for fact, value in before.items() if fact.aspect not in ignored}
    new = {fact: value for fact, value in after.items() if fact.aspect not in ignored}
    _tolerate_stack_growth(old, new)
    found = [
        Difference(fact, old.get(fact), new.get(fact))
        for fact in sorted(old.keys() | new.keys())
        if old.get(fact) != new.get(fact)
    ]
    return list(_summed_up(found, old, new))


def _summed_up(found: list[Difference], old: State, new: State) -> Iterable[Difference]:
    """A thing that came or went as a whole (process, thread, descriptor) is one difference, not one per fact."""
    things = {side: {(f.pid, f.aspect, f.subject) for f in state} for side, state in (("old", old), ("new", new))}
    pids = {side: {f.pid for f in state} for side, state in (("old", old), ("new", new))}
    told = set()
    for each in found:
        pid, aspect, subject, _ = each.fact
        thing = each.fact
        if (pid in pids["old"]) != (pid in pids["new"]):
            thing = Fact(pid, "processes", "", EXISTS)
        elif subject and ((pid, aspect, subject) in things["old"]) != ((pid, aspect, subject) in things["new"]):
            thing = Fact(pid, aspect, subject, EXISTS)
        if thing not in told:
            told.add(thing)
            whole = thing.what == EXISTS
            yield Difference(thing, "there" if whole and each.before else each.before, each.after)


def _tolerate_stack_growth(old: State, new: State) -> None:
    """Renames a grown mapping of the new state to its old range."""
    for fact in [fact for fact in old if fact.aspect == "mappings" and fact not in new]:
        if "gd" not in old[fact].split():
            continue
        start, end = _range(fact)
        for other in [other for other in new if other.pid == fact.pid and other.aspect == "mappings"]:
            new_start, new_end = _range(other)
            grown = start - new_start
            if new_end == end and 0 < grown <= STACK_GROWTH and new[other] == old[fact]:
                new[fact] = new.pop(other)


def _range(fact: Fact) -> tuple[int, int]:
    start, end = fact.what.split("-")
    return int(start, 16), int(end, 16)
