"""Differences between two states, and the few that are allowed.

Allowed is, with its reason:

1. what the test's description lists under `changes`: the program itself changes it while it runs; with `threads`
   or `processes` those that came or went, in all their aspects; with `descriptors` their positions as well;
2. a mapping that grows downwards may have grown by up to 256 KiB: whoever runs on a stack may touch its next
   pages, a signal frame of the engine for one;
3. in transition tests the positions in files and their sizes: data flows while we look.

What never counts is not captured at all, see `state.py`: numbers of inodes, seams between mappings, how
shared anonymous memory was made, O_LARGEFILE, time namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .facts import Fact, State

STACK_GROWTH = 256 << 10  # bytes
EXISTS = "existence"  # of a process, thread or descriptor as a whole


class Difference(NamedTuple):
    """One fact that is not what it was; None where there is no such fact."""

    fact: Fact
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"pid {self.fact.pid} {self.text}"

    @property
    def text(self) -> str:
        """In words, without the pid."""
        what = f"{self.fact.subject}: {self.fact.what}".removeprefix(": ")
        if self.fact.what == EXISTS:
            return f"{self.fact.subject} is {'gone' if self.after is None else 'new'}".lstrip()
        if self.after is None:
            return f"{what} is gone, was {self.before!r}"
        if self.before is None:
            return f"{what} is new: {self.after!r}"
        return f"{what} was {self.before!r}, is {self.after!r}"


def differences(before: State, after: State, changes: Iterable[str] = ()) -> list[Difference]:
    """What differs beyond the allowed, in the order of pids; `changes` are aspects that are not compared."""
    old, new = _stable(before, after, set(changes)), _stable(after, before, set(changes))
    _tolerate_stack_growth(old, new)
    facts = sorted(fact for fact in old.keys() | new.keys() if old.get(fact) != new.get(fact))
    things_old, things_new = _things(old), _things(new)
    whole = {_whole(fact, things_old ^ things_new): fact for fact in reversed(facts)}
    return [Difference(thing, old.get(fact), new.get(fact)) for thing, fact in sorted(whole.items())]


def _stable(state: State, other: State, changes: set[str]) -> State:
    """Facts that the program does not change. Where threads or processes come and go, only lasting ones count."""
    if "descriptors" in changes:
        changes = {*changes, "positions"}
    lasting = {(fact.pid, fact.subject) for fact in other}
    pids = {fact.pid for fact in other}

    def counts(fact: Fact) -> bool:
        if "processes" in changes and fact.pid not in pids:
            return False
        if "threads" in changes and fact.subject.startswith("thread ") and (fact.pid, fact.subject) not in lasting:
            return False
        return fact.aspect not in changes

    return {fact: value for fact, value in state.items() if counts(fact)}


def _things(state: State) -> set[Fact]:
    """Processes and their parts, each as the fact of its existence."""
    processes = {Fact(fact.pid, "", "", EXISTS) for fact in state}
    parts = {fact._replace(aspect="", what=EXISTS) for fact in state if fact.subject}
    return processes | parts


def _whole(fact: Fact, changed: set[Fact]) -> Fact:
    """A thing that came or went as a whole is one difference, not one for each of its facts."""
    process = Fact(fact.pid, "", "", EXISTS)
    part = fact._replace(aspect="", what=EXISTS)
    return next((thing for thing in (process, part) if thing in changed), fact)


def _tolerate_stack_growth(old: State, new: State) -> None:
    """Renames a grown mapping of the new state to its old range."""
    fresh = {fact: value for fact, value in new.items() if fact.aspect == "mappings" and fact not in old}
    for fact in [fact for fact in old if fact.aspect == "mappings" and fact not in new]:
        if "gd" not in old[fact].split():
            continue
        for grown, value in fresh.items():
            if value == old[fact] and _has_grown(fact, grown):
                new[fact] = new.pop(grown)


def _has_grown(fact: Fact, grown: Fact) -> bool:
    (start, end), (new_start, new_end) = _range(fact), _range(grown)
    return fact.pid == grown.pid and end == new_end and 0 < start - new_start <= STACK_GROWTH


def _range(fact: Fact) -> tuple[int, int]:
    start, end = fact.what.split("-")
    return int(start, 16), int(end, 16)


def described(found: list[Difference], most: int) -> Iterator[str]:
    """One line for each difference, those that many processes have in common once; at most so many lines."""
    pids: dict[str, list[int]] = {}
    for each in found:
        pids.setdefault(each.text, []).append(each.fact.pid)
    for text, having in list(pids.items())[:most]:
        others = f" (and {len(having) - 1} more)" if len(having) > 1 else ""
        yield f"pid {having[0]}{others}: {text}"
    if len(pids) > most:
        yield f"and {len(pids) - most} more"
