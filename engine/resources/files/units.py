"""What a new tree needs of files.img: which descriptions, who has them, which are made together."""

from __future__ import annotations

from engine.errors import ImageError, Obstacle, Refused
from engine.images import pb
from engine.resources.files import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from types import ModuleType

    from engine.rebuild import NewTask, NewTree

VMA_FILE = 64 | 128  # vma_entry.status: private or shared mapping of a file


class Unit:
    """Files that are opened together (the two ends of a pipe), the tasks that need them, and who opens them."""

    __slots__ = ("files", "kind", "mapped", "staged", "users")

    def __init__(self, kind: ModuleType) -> None:
        self.kind = kind
        self.files: list[pb.file_entry] = []
        self.users: dict[int, NewTask] = {}  # by pid
        self.mapped = False
        self.staged: dict[int, int] = {}  # file id -> number

    @property
    def is_private(self) -> bool:
        """Whether one task alone uses it, and by descriptors only."""
        return len(self.files) == 1 and len(self.users) == 1 and not self.mapped

    @property
    def owner(self) -> NewTask:
        """The nearest common ancestor of all users."""
        users = iter(self.users.values())
        if len(self.users) == 1:
            return next(users)
        common = _ancestors(next(users))
        for user in users:
            line = {task.pid for task in _ancestors(user)}
            common = [task for task in common if task.pid in line]
        return common[0]


def _ancestors(task: NewTask) -> list[NewTask]:
    line = [task]
    while line[-1].parent:
        line.append(line[-1].parent)
    return line


class Needs:
    """All units of a tree, and all files that are referred to by name."""

    def __init__(self, tree: NewTree, files: Mapping[int, pb.file_entry], kinds: Mapping[int, ModuleType]) -> None:
        self.units: list[Unit] = []
        self.by_id: dict[int, Unit] = {}  # file id -> unit
        self.named: dict[int, pb.file_entry] = {}  # ids of what mappings, executables and directories are
        self._files, self._kinds = files, kinds
        self._groups: dict[tuple[int, Hashable], Unit] = {}
        for task in tree.alive:
            self._note_descriptors(task)
            self._note_names(task)

    def missing(self, ident: int, referrer: str) -> ImageError:
        """What to raise for a file that is not there."""
        return ImageError(f"files.img: file id {ident} is missing; {referrer} refers to it")

    def all_files(self) -> Iterator[tuple[ModuleType, pb.file_entry]]:
        """Every file that somebody needs, once, with its kind."""
        for unit in self.units:
            for file in unit.files:
                yield unit.kind, file
        for ident, file in self.named.items():
            if ident not in self.by_id:
                yield regular, file

    def _note_descriptors(self, task: NewTask) -> None:
        numbers: set[int] = set()
        for entry in task.descriptors:
            unit = self.by_id.get(entry.id) or self._new_unit(entry.id, task, entry.fd)
            if entry.type != unit.kind.TYPE:
                raise ImageError(f"files.img: file id {entry.id} is of another type than {task.leader} fd {entry.fd}")
            unit.users[task.pid] = task
            numbers.add(entry.fd)
        if len(numbers) < len(task.descriptors):
            raise ImageError(f"fdinfo-{task.ids.files_id}.img: a descriptor of {task.leader} is there twice")

    def _note_names(self, task: NewTask) -> None:
        referrers = {task.mm.exe_file_id: "its executable", task.fs.cwd_id: "its working directory",
                     task.fs.root_id: "its root"}  # fmt: skip
        for vma in task.mm.vmas:
            if vma.status & VMA_FILE and vma.shmid not in referrers:
                referrers[vma.shmid] = f"its mapping {vma.start:x}-{vma.end:x}"
        for ident, what in referrers.items():
            file = self._files.get(ident)
            if file is not None and file.type == regular.TYPE:
                self.named[ident] = file
            else:
                unit = self.by_id.get(ident) or self._new_unit(ident, task, what)
                unit.users[task.pid], unit.mapped = task, True

    def _new_unit(self, ident: int, task: NewTask, what: int | str) -> Unit:
        """The unit of a file that is met for the first time; `what` (a number or words) refers to it in the task."""
        file = self._files.get(ident)
        kind = self._kinds.get(file.type) if file else None
        if file is None or kind is None:
            referrer = f"{task.leader}, " + (f"fd {what}" if isinstance(what, int) else what)
            if file is None:
                raise self.missing(ident, referrer)
            name = pb.fd_types.Name(file.type)
            raise Refused([Obstacle(referrer, f"restoring a file of the type {name} is not supported")])
        group = getattr(kind, "group", None)
        key = (file.type, group(file)) if group else (-1, ident)
        unit = self._groups.get(key)
        if unit is None:
            unit = self._groups[key] = Unit(kind)
            self.units.append(unit)
        unit.files.append(file)
        self.by_id[ident] = unit
        return unit
