"""Three ways to run a plan to its end, and what it left: results, data and the errors of each actor."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, NamedTuple

from engine.kernel.skeleton import Role, Troupe
from engine.plan.model import Kernel
from engine.plan.ops import CONTROL, OPS, SLOTS, Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.plan.builder import Plan

BASE = 0x10000000
FIRST_NUMBER = 500  # where skeletons have their arena's descriptor, before the plan runs


class Outcome(NamedTuple):
    """Of one run."""

    results: list[list[int]]  # of each actor, in the order of its slots
    data: bytes  # ops and data
    errors: list[tuple[int, int]]  # of each actor: errno and op


def play(plan: Plan, roles: Sequence[Role], show: Callable[[str], None] | None = None) -> Outcome:
    """In real tasks that are killed afterwards, by the blob or, with `show`, call by call."""
    plan.layout()
    with Troupe(plan, BASE, roles) as troupe:
        try:
            troupe.play([], FIRST_NUMBER, show)
            return outcome(plan, bytes(troupe.view))
        finally:
            troupe.kill()


def threads(plan: Plan, tids: list[int]) -> list[Role]:
    """The roles of one process: actor i has tid i of the list. Actors without a tid end by themselves."""
    return [Role(tids[0], tid, actor) for tid, actor in zip(tids, plan.actors, strict=False)]


def by_blob(plan: Plan, tids: list[int]) -> Outcome:
    """In the threads of a real process."""
    return play(plan, threads(plan, tids))


def by_steps(plan: Plan, tids: list[int]) -> Outcome:
    """The same, call by call from outside."""
    return play(plan, threads(plan, tids), lambda _: None)


def by_model(plan: Plan, tids: list[int], files: dict[str, bytes] | None = None) -> Outcome:
    """In no task at all."""
    plan.layout()
    kernel = Kernel(plan, BASE, files, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    kernel.run(plan.actors[0], tids[0])
    return outcome(plan, bytes(kernel.view))


def outcome(plan: Plan, view: bytes) -> Outcome:
    """Reads what a run left in the arena."""
    results, errors = [], []
    for actor in plan.actors:
        at = plan.offset(Ref(SLOTS, 8 * actor.first_slot))
        slots = [view[at + 8 * i : at + 8 * i + 8] for i in range(actor.slots)]
        results.append([int.from_bytes(slot, "little", signed=True) for slot in slots])
        _, _, _, error, pc, *_ = CONTROL.unpack_from(view, plan.offset(actor.control))
        errors.append((-error, pc))
    return Outcome(results, view[plan.offset(Ref(OPS)) :], errors)


def free_pids(count: int) -> list[int]:
    """Pids that nobody has just now, high above those that are given out."""
    with open("/proc/sys/kernel/pid_max") as file:
        top = int(file.read())
    free: list[int] = []
    pid = top - 100 - os.getpid() % 1000 * 8
    while len(free) < count:
        pid -= 1
        if not os.path.exists(f"/proc/{pid}"):
            free.append(pid)
    return free
