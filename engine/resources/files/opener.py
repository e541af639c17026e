"""Descriptor tables of a new tree: every description is opened once, and each task puts it at its numbers.

What several tasks have is opened by their nearest common ancestor before they are born, and inherited; so are the
two ends of a pipe, files that mappings need, and what the engine itself hands to the first task ("given").

    staging     free numbers of all tables, for what waits to be put in place; emptied at the end

What one task has alone is opened when its turn comes, in the order of numbers: as open(2) takes the lowest free
number, most files land where they belong with a single call.
"""

from __future__ import annotations

import functools
import os
import resource
from contextlib import contextmanager

from engine.abi.fcntl import F_SETFD, FD_CLOEXEC, O_CLOEXEC
from engine.errors import EngineBug, Obstacle, Refused
from engine.images import pb
from engine.plan.ops import CALL, EQUAL
from engine.plan.signatures import MAKING
from engine.resources import stages
from engine.resources.files import ghost, regular
from engine.resources.files.units import Needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Any, TypeVar

    from engine.images.directory import ImageDir
    from engine.plan.builder import Emitter
    from engine.plan.graph import Step
    from engine.plan.ops import Op, Slot, Value
    from engine.rebuild import NewTask, NewTree
    from engine.resources.files.units import Unit

    T = TypeVar("T")

FIRST_STAGING = 3  # the first task is born with the engine's own 0, 1 and 2


class _Table:
    """A task's numbers while they fill: what is open, and which number open(2) would take next."""

    __slots__ = ("_next", "_used", "step", "task")

    def __init__(self, task: NewTask, step: Step) -> None:
        self.task, self.step = task, step
        self._used: set[int] = set()
        self._next = 0

    def lowest_free(self) -> int:
        """At most the first staging number, behind which nothing is certain."""
        while self._next in self._used:
            self._next += 1
        return self._next

    def put(self, entry: pb.fdinfo_entry, source: int) -> None:
        """A copy of what is open at `source`."""
        self.step.why = f"{self.task.leader}, fd {entry.fd}"
        flags = O_CLOEXEC if entry.flags & FD_CLOEXEC else 0
        self.step.call("dup3", source, entry.fd, flags, expect=entry.fd)
        self._used.add(entry.fd)

    def landed(self, entry: pb.fdinfo_entry, op: Op) -> None:
        """It is opened by this call right where it belongs."""
        op.policy, op.expect = EQUAL, entry.fd
        self._used.add(entry.fd)
        if entry.flags & FD_CLOEXEC:
            return
        at = _flags_of(op.nr)
        flags = op.args[at] if at is not None else None
        if isinstance(flags, int):
            op.args = (*op.args[:at], flags & ~O_CLOEXEC, *op.args[(at or 0) + 1 :])
        else:
            self.step.call("fcntl", entry.fd, F_SETFD, 0)


@functools.cache
def _flags_of(nr: int) -> int | None:
    """Which argument of a call that opens something holds O_CLOEXEC."""
    signature = MAKING.find(nr) or ()
    return next((i for i, parameter in enumerate(signature) if parameter.kind in ("open", "file")), None)


class Opener:
    """Plans the opening of every description of a tree."""

    def __init__(self, tree: NewTree, kinds: Sequence[ModuleType]) -> None:
        self.tree, self._kinds = tree, kinds
        self.files: dict[int, pb.file_entry] = {file.id: file for file in tree.images.read("FILES")}
        self.ghosts = ghost.read(tree.images)  # by file id
        self._loaded: dict[object, Any] = {}
        self._needs = Needs(tree, self.files, {kind.TYPE: kind for kind in kinds})
        self._givers: dict[Hashable, Callable[[], int]] = {}
        self._given: dict[int, int] = {}  # file id -> place among the givers
        self._check()
        self.staging, self._staging_end = self._find_staging()
        self._staged = len(self._givers)
        self._owned: dict[int, list[Unit]] = {}
        for unit in self._needs.units:
            self._owned.setdefault(unit.owner.pid, []).append(unit)

    @property
    def numbers(self) -> int:
        """Above every descriptor number of the plan, the tasks' own and the staging numbers."""
        return max([self._staging_end, *(entry.fd + 1 for task in self.tree.alive for entry in task.descriptors)])

    def file(self, ident: int, referrer: str) -> pb.file_entry:
        """The entry of files.img; ImageError names who refers to a missing one."""
        try:
            return self.files[ident]
        except KeyError:
            raise self._needs.missing(ident, referrer) from None

    def open_path(self, task: NewTask, ident: int, flags: int, step: Emitter) -> Slot:
        """Opens a file that is referred to by name (an executable, a directory), not by a descriptor."""
        return regular.open_named(self.tree, self.file(ident, str(task.leader)), flags, step)

    def open_for_mapping(self, task: NewTask, ident: int, flags: int, step: Emitter) -> Slot:
        """A descriptor to map the file with; the caller closes it."""
        if ident in self._needs.named:
            return self.open_path(task, ident, flags, step)
        return step.call("dup", self._needs.by_id[ident].staged[ident])

    def users(self, ident: int) -> Iterable[NewTask]:
        """The tasks that have a descriptor or mapping of the file."""
        return self._needs.by_id[ident].users.values()

    def given(self, ident: int) -> int | None:
        """The number at which the first task, and so every task, inherits a descriptor that was made for this file."""
        return self.staging + self._given[ident] if ident in self._given else None

    def once(self, load: Callable[[ImageDir], T]) -> T:
        """What a kind reads from images of its own, read when it is first needed."""
        if load not in self._loaded:
            self._loaded[load] = load(self.tree.images)
        found: T = self._loaded[load]
        return found

    @contextmanager
    def giving(self) -> Iterator[list[int]]:
        """Makes the descriptors that the first task inherits from `staging` on; ours are closed afterwards."""
        made: list[int] = []
        try:
            for make in self._givers.values():
                made.append(make())
            yield made
        finally:
            for fd in made:
                os.close(fd)

    def stage(self, step: Emitter, value: Value) -> int:
        """Moves a descriptor to a staging number, which is known while the plan is written."""
        number = self.staging + self._staged
        if number >= self._staging_end:
            raise EngineBug("more files are staged than were counted")
        self._staged += 1
        step.call("dup3", value, number, O_CLOEXEC, expect=number)
        step.call("close", value)
        return number

    def share(self, task: NewTask) -> None:
        """What descendants (or mappings) need too is opened now and stays at its staging number."""
        for unit in self._owned.get(task.pid, ()):
            if unit.is_private:
                continue
            with task.step(stages.SHARE, f"files {[f.id for f in unit.files]}") as step:
                if len(unit.files) > 1:
                    values = unit.kind.open_group(self.tree, unit.files, step)
                else:
                    values = [unit.kind.open(self.tree, unit.files[0], step)]
                for file, value in zip(unit.files, values, strict=True):
                    unit.staged[file.id] = self.stage(step, value)

    def restore(self, task: NewTask) -> None:
        """Puts everything at its numbers, opens what is this task's alone, and forgets the staging numbers."""
        with task.step(stages.OPEN, "descriptors") as step:
            table = _Table(task, step)
            own: dict[int, list[pb.fdinfo_entry]] = {}
            for entry in task.descriptors:
                unit = self._needs.by_id[entry.id]
                if entry.id in unit.staged:
                    table.put(entry, unit.staged[entry.id])
                else:
                    own.setdefault(entry.id, []).append(entry)
            for entries in sorted(own.values(), key=lambda e: e[0].fd):
                self._open_own(table, self._needs.by_id[entries[0].id], entries)
        for entry in task.descriptors:
            settle = getattr(self._needs.by_id[entry.id].kind, "settle", None)
            if settle:
                settle(task, self.files[entry.id], entry.fd)
        with task.step(stages.GROUP, "descriptors") as step:
            step.call("close_range", self.staging, self._staging_end - 1, 0)

    def _open_own(self, table: _Table, unit: Unit, entries: list[pb.fdinfo_entry]) -> None:
        first, step = entries[0], table.step
        step.why = f"{table.task.leader}, fd {first.fd}"
        lands = getattr(unit.kind, "LANDS", False) and table.lowest_free() == first.fd
        begin = len(step.ops)
        slot = unit.kind.open(self.tree, unit.files[0], step)
        if lands:
            op = next(op for op in step.ops[begin:] if op.code == CALL and op.dst == slot.index)
            table.landed(first, op)
            source, rest = first.fd, entries[1:]
        else:
            source, rest = self.stage(step, slot), entries
        for entry in rest:
            table.put(entry, source)

    def _check(self) -> None:
        """Everything that can be known to be in the way, before anything starts; and what has to be given."""
        obstacles: list[Obstacle] = []
        hooks = {kind: (getattr(kind, "check", None), getattr(kind, "given", None)) for kind in self._kinds}
        for kind, file in self._needs.all_files():
            check, given = hooks[kind]
            if check and (obstacle := check(self, file)):
                obstacles.append(obstacle)
            if given and (found := given(self, file)):
                key, make = found
                self._givers.setdefault(key, make)
                self._given[file.id] = list(self._givers).index(key)
        if obstacles:
            raise Refused(obstacles)

    def _find_staging(self) -> tuple[int, int]:
        """Room for all staged files: above every number in use, or between two of them."""
        need = sum(len(unit.files) + 1 for unit in self._needs.units) + len(self._givers)
        used = sorted({entry.fd for task in self.tree.alive for entry in task.descriptors})
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        first = max(FIRST_STAGING, used[-1] + 1) if used else FIRST_STAGING
        if first + need > limit:
            lows = [max(number, FIRST_STAGING - 1) for number in (0, *used)]
            first = next((low + 1 for low, high in zip(lows, used, strict=False) if high - low > need), 0)
        if not first or (used and used[-1] >= limit):
            reason = f"its numbers and {need} more do not fit below the limit of {limit} open files"
            raise Refused([Obstacle("the tree's descriptors", reason, "raise the hard limit with `ulimit -Hn`")])
        return first, first + need
