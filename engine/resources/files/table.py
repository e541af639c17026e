"""Descriptor tables: which number leads to which open file description, and who shares it.

Two numbers (of one task or of two) share a description, with its position and flags, exactly when kcmp(2) says so. A
description gets one id in files.img. On the way back it is opened once, by the nearest common ancestor of all tasks that
have it, before they are born, and inherited; each task then puts it at its own numbers.

    staging    numbers above every number that any task of the tree uses; emptied by close_range at the end
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from engine.abi.kcmp import KCMP_FILE
from engine.abi.stat import STAT
from engine.errors import ImageError, Obstacle, Refused
from engine.images import pb
from engine.kernel import calls
from engine.kernel._native import ffi, lib
from engine.kernel.proc import parse_fdinfo
from engine.resources import stages

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from types import ModuleType

    from engine.frozen import FrozenTask, FrozenTree
    from engine.kernel.proc import FdInfo
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask, NewTree

LINK_SIZE, INFO_SIZE = 4096 + 16, 2048
FD_CLOEXEC = 1
O_CLOEXEC = os.O_CLOEXEC
CLOSE_RANGE_END = (1 << 32) - 1
LOW = 8  # numbers that `open` may return while a kind opens a few files at once
VMA_MEMFD = 16384


class Descriptor(NamedTuple):
    """What /proc says of one descriptor of a task."""

    task: FrozenTask
    number: int
    link: str  # "/etc/passwd", "pipe:[4711]", "anon_inode:[eventfd]"
    info: FdInfo
    stat: dict[str, int]  # st_mode, st_dev, st_ino, …

    @property
    def flags(self) -> int:
        """Status flags of the description, without O_CLOEXEC, which is the number's own."""
        return self.info.flags & ~O_CLOEXEC

    @property
    def path(self) -> str:
        """Where the file can be opened again by us."""
        return f"/proc/{self.task.pid}/fd/{self.number}"

    def refuse(self, reason: str, remedy: str = "") -> None:
        """An obstacle, by name."""
        self.task.refuse(f"fd {self.number} ({self.link})", reason, remedy)


def no_owner() -> pb.fown_entry:
    """A file that sends no signals to anybody."""
    return pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)


def descriptors(task: FrozenTask) -> list[Descriptor]:
    """All descriptors of a task, in one crossing into C."""
    numbers = task.proc.descriptors()
    count = len(numbers)
    links, infos = ffi.new("char[]", count * LINK_SIZE), ffi.new("char[]", count * INFO_SIZE)
    stats, errors = ffi.new("char[]", count * STAT.size), ffi.new("int[]", count)
    array = ffi.new("int[]", numbers)
    lib.descriptor_facts(task.proc.fd, array, count, links, LINK_SIZE, infos, INFO_SIZE, stats, errors)
    found, raw = [], ffi.buffer(stats)
    for i, number in enumerate(numbers):
        if errors[i]:
            task.refuse(f"fd {number}", f"cannot be read: {os.strerror(errors[i])}")
            continue
        link = ffi.string(links + i * LINK_SIZE).decode("utf-8", "surrogateescape")
        info = parse_fdinfo(ffi.string(infos + i * INFO_SIZE))
        found.append(Descriptor(task, number, link, info, STAT.unpack(raw, i * STAT.size)))
    return found


class Registry:
    """Every open file description of a tree, and every file that is referred to by name."""

    def __init__(self, tree: FrozenTree, kinds: Sequence[ModuleType]) -> None:
        self.tree, self.kinds = tree, kinds
        self.files: list[pb.file_entry] = []
        self._last_id = 0
        self._same: dict[tuple[int, ...], list[tuple[Descriptor, pb.file_entry]]] = {}
        self._named: dict[tuple[str, int, int, int], int] = {}

    def new_id(self) -> int:
        """An id that nobody has."""
        self._last_id += 1
        return self._last_id

    def collect(self, task: FrozenTask) -> list[pb.fdinfo_entry]:
        """The descriptor table of a task; each description met for the first time is collected by its kind."""
        entries = []
        for descriptor in descriptors(task):
            file = self._known(descriptor) or self._collect(descriptor)
            if file is not None:
                flags = FD_CLOEXEC if descriptor.info.flags & O_CLOEXEC else 0
                entries.append(pb.fdinfo_entry(id=file.id, flags=flags, type=file.type, fd=descriptor.number))
        return entries

    def path_id(self, task: FrozenTask, link: str, flags: int, what: str) -> int:
        """The id of a file that a link of /proc/PID leads to (`exe`, `cwd`, `map_files/…`), as if opened with `flags`."""
        name, facts = task.proc.link(link), os.stat(link, dir_fd=task.proc.fd)
        key = (name, facts.st_dev, facts.st_ino, flags)
        if key not in self._named:
            from engine.resources.files import regular

            file = regular.collect_path(task, link, name, facts, flags, self.new_id(), what)
            self.files.append(file)
            self._named[key] = file.id
        return self._named[key]

    def _known(self, new: Descriptor) -> pb.file_entry | None:
        stat = new.stat
        key = (stat["st_dev"], stat["st_ino"], new.info.pos, new.flags, new.info.mnt_id)
        candidates = self._same.setdefault(key, [])
        for old, file in candidates:
            if calls.kcmp(old.task.pid, new.task.pid, KCMP_FILE, old.number, new.number) == 0:
                return file
        return None

    def _collect(self, new: Descriptor) -> pb.file_entry | None:
        kind = next((k for k in self.kinds if k.claims(new)), None)
        if kind is None:
            new.refuse("this kind of file is not supported")
            return None
        file: pb.file_entry = kind.collect(new, self.new_id())
        self.files.append(file)
        stat = new.stat
        key = (stat["st_dev"], stat["st_ino"], new.info.pos, new.flags, new.info.mnt_id)
        self._same[key].append((new, file))
        return file


class Unit:
    """Files that are opened together (the two ends of a pipe), the tasks that need them, and who opens them."""

    def __init__(self, kind: ModuleType) -> None:
        self.kind = kind
        self.files: list[pb.file_entry] = []
        self.users: list[NewTask] = []
        self.staged: dict[int, int] = {}  # file id -> number

    @property
    def owner(self) -> NewTask:
        """The nearest common ancestor of all users."""
        common = _ancestors(self.users[0])
        for user in self.users[1:]:
            line = set(map(id, _ancestors(user)))
            common = [task for task in common if id(task) in line]
        return common[0]

    def use(self, task: NewTask) -> None:
        """One more task needs a file of this unit."""
        if task not in self.users:
            self.users.append(task)


def _ancestors(task: NewTask) -> list[NewTask]:
    line = [task]
    while line[-1].parent:
        line.append(line[-1].parent)
    return line


class Opener:
    """Plans the opening of every description of a tree."""

    def __init__(self, tree: NewTree, kinds: Sequence[ModuleType]) -> None:
        self.tree = tree
        self.files: dict[int, pb.file_entry] = {file.id: file for file in tree.images.read("FILES")}
        self._kinds = {kind.TYPE: kind for kind in kinds}
        self.staging = max((d.fd for task in tree.alive for d in task.descriptors), default=0) + 1
        self.staged = 0
        self._units: dict[int, Unit] = {}  # by file id
        self._groups: dict[tuple[int, Hashable], Unit] = {}
        for task in tree.alive:
            self._note_users(task)

    def file(self, ident: int, referrer: str) -> pb.file_entry:
        """The entry of files.img; ImageError names who refers to a missing one."""
        try:
            return self.files[ident]
        except KeyError:
            raise ImageError(f"files.img: file id {ident} is missing; {referrer} refers to it") from None

    def open_path(self, task: NewTask, ident: int, flags: int, step: Emitter) -> Slot:
        """Opens a file that is referred to by name (an executable, a directory), not by a descriptor."""
        from engine.resources.files import regular

        return regular.open_named(self.tree, self.file(ident, str(task.leader)), flags, step)

    def open_for_mapping(self, task: NewTask, ident: int, flags: int, step: Emitter) -> Slot:
        """A descriptor to map the file with; the caller closes it."""
        if ident in self._units:
            unit = self._units[ident]
            if ident in unit.staged:
                return step.call("dup", unit.staged[ident])
        return self.open_path(task, ident, flags, step)

    def share(self, task: NewTask) -> None:
        """What descendants (or mappings) need too is opened now and stays at its staging number."""
        for unit in self._owned(task):
            if self._is_private(unit, task):
                continue
            with task.step(stages.SHARE, f"files {[f.id for f in unit.files]}") as step:
                slots = unit.kind.open_unit(self.tree, unit.files, step) if len(unit.files) > 1 else None
                slots = slots or [unit.kind.open(self.tree, unit.files[0], step)]
                for file, slot in zip(unit.files, slots, strict=True):
                    unit.staged[file.id] = self._stage(step, slot)

    def restore(self, task: NewTask) -> None:
        """Opens what is this task's alone, puts everything at its numbers, and forgets the staging numbers."""
        numbers: dict[int, list[pb.fdinfo_entry]] = {}
        for entry in task.descriptors:
            numbers.setdefault(entry.id, []).append(entry)
        places = [(entry, self._units[ident].staged[ident]) for ident in numbers for entry in numbers[ident]
                  if ident in self._units[ident].staged]  # fmt: skip
        for ident, entries in numbers.items():
            if ident not in self._units[ident].staged:
                places += self._open_own(task, self._units[ident], entries)
        with task.step(stages.OPEN, "descriptors") as step:
            for entry, number in places:
                step.why = f"{task.leader}, fd {entry.fd}"
                step.call("dup3", number, entry.fd, _flags(entry), expect=entry.fd)
            step.why = f"{task.leader}, descriptors"
            step.call("close_range", self.staging, CLOSE_RANGE_END, 0)

    def _open_own(self, task: NewTask, unit: Unit, entries: list[pb.fdinfo_entry]) -> list[tuple[pb.fdinfo_entry, int]]:
        """Straight to its numbers, if `open`, which returns the lowest free one, cannot meet them."""
        with task.step(stages.OPEN, f"fd {entries[0].fd}") as step:
            slot = unit.kind.open(self.tree, unit.files[0], step)
            if min(entry.fd for entry in entries) < LOW:
                number = self._stage(step, slot)
                return [(entry, number) for entry in entries]
            for entry in entries:
                step.call("dup3", slot, entry.fd, _flags(entry), expect=entry.fd)
            step.call("close", slot)
        return []

    def _stage(self, step: Emitter, slot: Slot) -> int:
        number = self.staging + self.staged
        self.staged += 1
        step.call("dup3", slot, number, O_CLOEXEC, expect=number)
        step.call("close", slot)
        return number

    def _is_private(self, unit: Unit, task: NewTask) -> bool:
        """Whether one task alone uses it, and by descriptors only."""
        file = unit.files[0]
        return len(unit.files) == 1 and unit.users == [task] and file.type != pb.fd_types.MEMFD

    def _owned(self, task: NewTask) -> list[Unit]:
        units = {id(unit): unit for unit in self._units.values()}
        return [unit for unit in units.values() if unit.owner is task]

    def _note_users(self, task: NewTask) -> None:
        for entry in task.descriptors:
            self._unit(entry.id, f"{task.leader} fd {entry.fd}").use(task)
        for vma in task.mm.vmas:
            if vma.status & VMA_MEMFD:
                self._unit(vma.shmid, f"a mapping of {task.leader}").use(task)

    def _unit(self, ident: int, referrer: str) -> Unit:
        if ident in self._units:
            return self._units[ident]
        file = self.file(ident, referrer)
        kind = self._kinds.get(file.type)
        if kind is None:
            name = pb.fd_types.Name(file.type)
            raise Refused([Obstacle(referrer, f"restoring a file of the type {name} is not supported")])
        group = kind.unit(file) if hasattr(kind, "unit") else None
        key = (file.type, file.id if group is None else group)
        unit = self._groups.setdefault(key, Unit(kind))
        unit.files.append(file)
        self._units[ident] = unit
        return unit


def _flags(entry: pb.fdinfo_entry) -> int:
    return O_CLOEXEC if entry.flags & FD_CLOEXEC else 0
