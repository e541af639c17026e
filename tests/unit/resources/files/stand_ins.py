"""Stand-ins: a frozen task that is this very process, and a new tree from messages of our own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from engine import resources
from engine.errors import Obstacle
from engine.images import pb
from engine.images.directory import ImageDir
from engine.kernel.proc import ProcDir
from engine.options import DumpOptions, RestoreOptions
from engine.plan.listing import line
from engine.rebuild import NewTree
from engine.resources.files.descriptor import Descriptor, descriptors
from engine.resources.files.opener import Opener
from engine.resources.files.table import Registry
from engine.stats import Timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from engine.plan.ops import Op

NOBODY = pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)


class Tree:
    """A frozen tree, as far as descriptors go."""

    def __init__(self, **options: Any) -> None:
        self.options = DumpOptions(pid=os.getpid())._replace(**options)
        self.obstacles: list[Obstacle] = []
        self.registry = Registry(self, resources.FILES)  # type: ignore[arg-type]
        self.tasks = [Task(self)]
        self.images: Any = Written()


class Task:
    """This process, which is not frozen, but holds still."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.pid = tree, os.getpid()
        self.proc = ProcDir(self.pid)
        self.stat = self.proc.stat()

    def refuse(self, what: str, reason: str, remedy: str = "") -> None:
        """As a frozen task does it; but what was open only to read the table is gone again."""
        if not reason.startswith("cannot be read: "):
            self.tree.obstacles.append(Obstacle(what, reason, remedy))


class Written:
    """Takes images instead of a directory."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, object], list[Any]] = {}

    def post(self, kind: str, ident: object, messages: Iterable[Any]) -> None:
        """As ImageDir does it."""
        self.files[kind, ident] = list(messages)


def describe(tree: Tree, number: int) -> Descriptor:
    """One descriptor of ours."""
    return next(d for d in descriptors(tree.tasks[0]) if d.number == number)  # type: ignore[arg-type]


def collect(tree: Tree, *numbers: int) -> list[pb.file_entry]:
    """What a dump would write about these numbers, as if there were no others."""
    registry = tree.registry
    table = registry.tables[os.getpid()] = {n: describe(tree, n) for n in numbers}
    files = []
    for number, descriptor in table.items():
        file = registry._file(descriptor)
        if file is not None:
            registry.ids[os.getpid(), number] = file.id
            files.append(file)
    for kind in registry.kinds:
        if hasattr(kind, "finish") and kind.TYPE in registry.found:
            kind.finish(tree, registry.found[kind.TYPE])
    return files


def new_tree(
    directory: Path,
    files: Sequence[pb.file_entry],
    tables: dict[int, dict[int, int]],
    parents: dict[int, int] | None = None,
    **options: Any,
) -> NewTree:
    """A tree of the pids in `tables`, where each number leads to a file id; all but the first are its children."""
    images = ImageDir.create(str(directory))
    types = {file.id: file.type for file in files}
    place = pb.file_entry(type=1, id=9999, reg=pb.reg_file_entry(id=9999, flags=0, pos=0, fown=NOBODY, name="/"))
    first = next(iter(tables))
    ids = pb.task_kobj_ids_entry(vm_id=1, files_id=1, fs_id=1, sighand_id=1)
    images.write("INVENTORY", None, [pb.inventory_entry(img_version=2, fdinfo_per_id=True, root_ids=ids)])
    images.write("FILES", None, [*files, place])
    tasks = []
    for number, (pid, table) in enumerate(tables.items(), 1):
        ppid = (parents or {}).get(pid, 0 if pid == first else first)
        tasks.append(pb.pstree_entry(pid=pid, ppid=ppid, pgid=first, sid=first, threads=[pid]))
        ids = pb.task_kobj_ids_entry(vm_id=number, files_id=number, fs_id=number, sighand_id=number)
        entries = [pb.fdinfo_entry(id=ident, flags=fd % 2, type=types[ident], fd=fd) for fd, ident in table.items()]
        images.write("IDS", pid, [ids])
        images.write("FDINFO", number, entries)
        images.write("FS", pid, [pb.fs_entry(cwd_id=9999, root_id=9999, umask=0o22)])
        images.write("MM", pid, [_mm()])
        images.write("CORE", pid, [_core()])
    images.write("PSTREE", None, tasks)
    tree = NewTree(RestoreOptions(images_dir=str(directory))._replace(**options), images, Timings())
    tree.opener = Opener(tree, resources.FILES)
    return tree


def _mm() -> pb.mm_entry:
    mm = pb.mm_entry()
    _fill(mm)
    mm.exe_file_id = 9999
    return mm


def _core() -> pb.core_entry:
    core = pb.core_entry(mtype=pb.core_entry.X86_64)
    _fill(core.tc)
    core.tc.task_state = 1
    return core


def _fill(message: Any) -> None:
    """Gives every required field a value."""
    for field in message.DESCRIPTOR.fields:
        if field.is_required and field.message_type:
            _fill(getattr(message, field.name))
        elif field.is_required:
            setattr(message, field.name, field.default_value)


def steps(tree: NewTree, pid: int) -> list[str]:
    """What the process of this pid does, as the listing shows it."""
    if not any(task.leader.actor.ops for task in tree.tasks):
        tree.graph.order()
    actor = tree.by_pid[pid].leader.actor
    return [_text(tree, actor, op) for op in actor.ops]


def _text(tree: NewTree, actor: Any, op: Op) -> str:
    return " ".join(line(tree.plan, actor, op).split()).replace("O_RDONLY|", "").replace("O_RDONLY", "0")
