"""Control groups: in which one of each hierarchy a task is (cgroups(7)).

Equal places in all hierarchies are one set, with a number; the engine's own is the first. At restore a task enters the
groups of its set before it has any memory, which is charged to them then. Groups that are missing are made, those that
the engine was in are never entered: the task stays in those that the engine is in now. Limits and other properties of
groups are neither saved nor set.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from engine.errors import ImageError, KernelError, Obstacle, Refused
from engine.images import pb
from engine.kernel.proc import ProcDir, parse_cgroup
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.frozen import FrozenThread, FrozenTree
    from engine.kernel.proc import Mount
    from engine.plan.graph import Step
    from engine.rebuild import NewThread, NewTree

ROWS = {
    "C01": "the control groups of every thread",
    "C02": "groups that are missing, with owner and mode; their limits are not set",
    "C07": "what may be made (--manage-cgroups)",
    "C11": "threads in other groups than their process",
}

OWN = 1  # number of the engine's own set
DELETED = " (deleted)"
EXISTING = ("none", "props")  # modes of --manage-cgroups in which no group is made
PLAIN = pb.cgroup_perms(mode=0o755, uid=0, gid=0)
Places = dict[str, str]  # by hierarchy ("cpu,cpuacct", "name=systemd", "" for version 2), the path of the group


def places(text: bytes) -> Places:
    """From /proc/PID/cgroup."""
    return {",".join(line.controllers): line.path for line in parse_cgroup(text)}


def collect_tree(tree: FrozenTree) -> None:
    """Numbers the sets of all threads."""
    if tree.options.manage_cgroups == "ignore":
        return
    with ProcDir(os.getpid()) as proc:
        tree.cgroup_sets[proc.read("cgroup")] = OWN
    for task in tree.alive:
        for thread in task.threads:
            _collect(thread, tree.cgroup_sets)


def _collect(thread: FrozenThread, sets: dict[bytes, int]) -> None:
    text = thread.task.proc.read(f"task/{thread.tid}/cgroup")
    if text not in sets:
        sets[text] = len(sets) + 1
        for hierarchy, path in places(text).items():
            if path.endswith(DELETED):
                thread.refuse(f"its control group {hierarchy}:{path} was removed, which is not supported")
    thread.core.thread_core.cg_set = sets[text]


def write(tree: FrozenTree) -> None:
    """cgroup.img; none is needed if everybody was where the engine is."""
    if len(tree.cgroup_sets) <= 1:
        return
    sets = {number: places(text) for text, number in tree.cgroup_sets.items()}
    points = _points()
    entry = pb.cgroup_entry()
    for number, members in sets.items():
        ctls = [pb.cg_member_entry(name=name, path=path) for name, path in sorted(members.items())]
        entry.sets.append(pb.cg_set_entry(id=number, ctls=ctls))
    for hierarchy in sets[OWN]:
        paths = sorted({members[hierarchy] for members in sets.values()})
        dirs = [_directory_entry(path, _directory(points, hierarchy, path)) for path in paths]
        entry.controllers.append(pb.cg_controller_entry(cnames=hierarchy.split(","), dirs=dirs))
    tree.images.post("CGROUP", None, [entry])


def _directory_entry(path: str, directory: str | None) -> pb.cgroup_dir_entry:
    entry = pb.cgroup_dir_entry(dir_name=path.lstrip("/"))
    if directory is not None:
        facts = os.stat(directory)
        entry.dir_perms.CopyFrom(pb.cgroup_perms(mode=facts.st_mode, uid=facts.st_uid, gid=facts.st_gid))
    return entry


def _points() -> dict[str, Mount]:
    """Where each hierarchy is mounted; the one with the widest view, if there are several mounts of it."""
    with ProcDir(os.getpid()) as proc:
        mounts, hierarchies = proc.mountinfo(), list(places(proc.read("cgroup")))
    found: dict[str, Mount] = {}
    for mount in sorted(mounts, key=lambda mount: len(mount.root)):
        options = set(mount.super_options.split(","))
        for hierarchy in hierarchies:
            unified = hierarchy == "" and mount.fstype == "cgroup2"
            if unified or (hierarchy and mount.fstype == "cgroup" and options.issuperset(hierarchy.split(","))):
                found.setdefault(hierarchy, mount)
    return found


def _directory(points: dict[str, Mount], hierarchy: str, path: str) -> str | None:
    """The directory of a group, if the hierarchy is mounted and shows it."""
    mount = points.get(hierarchy)
    root = mount.root.rstrip("/") if mount else ""
    if mount is None or not f"{path}/".startswith(f"{root}/"):
        return None
    return os.path.join(mount.point, path[len(root) :].lstrip("/"))


class Groups:
    """Who goes where when a tree is restored."""

    def __init__(self, tree: NewTree) -> None:
        self.tree = tree
        self.missing: dict[str, pb.cgroup_perms] = {}  # directories to make
        self._obstacles: dict[str, Obstacle] = {}
        ignored = tree.options.manage_cgroups == "ignore"
        images = [] if ignored else tree.images.read("CGROUP")
        self._tasks = tree.alive if images else []  # without an image everybody was where the engine was
        if images:
            self._read(images[0])

    def _read(self, entry: pb.cgroup_entry) -> None:
        self._points = _points()
        with ProcDir(os.getpid()) as proc:
            self._own = places(proc.read("cgroup"))
        self._sets = {one.id: {ctl.name: ctl.path for ctl in one.ctls} for one in entry.sets}
        self._left = self._sets.get(self.tree.inventory.root_cg_set, {})  # where who dumped it was
        self._saved = {
            (",".join(controller.cnames), path): saved
            for controller in entry.controllers
            for path, saved in _flat(controller.dirs, "/")
        }

    def plan(self) -> None:
        """A step of every task that is not where its parent is. Refused is raised with all groups that cannot be."""
        for task in self._tasks:
            before = self._wanted(task.parent.leader) if task.parent else self._own
            files = self._ways(task.leader, before, "cgroup.procs")
            if files:
                with task.step(stages.BORN, "control groups") as step:
                    _enter(step, files)
            for thread in task.threads[1:]:  # they have to have a place to go to
                self._ways(thread, self._wanted(task.leader), "tasks")
        if self._obstacles:
            raise Refused(list(self._obstacles.values()))

    def move_threads(self) -> None:
        """Threads that are in other groups than their process. They are there now, and stand still."""
        for task in self._tasks:
            for thread in task.threads[1:]:
                for path in self._ways(thread, self._wanted(task.leader), "tasks"):
                    _move(thread, path)

    @contextmanager
    def made(self) -> Iterator[None]:
        """The missing groups exist, and are gone again if the restore fails."""
        new: list[str] = []
        try:
            for path in sorted(self.missing):
                _make(path, self.missing[path], new)
            yield
        except BaseException:
            for path in reversed(new):
                os.rmdir(path)
            raise

    def _wanted(self, thread: NewThread) -> Places:
        """The groups that a thread shall be in."""
        number = _set_of(thread)
        if number and number != self.tree.inventory.root_cg_set and number not in self._sets:
            raise ImageError(f"cgroup.img: set {number} is missing; core-{thread.tid}.img refers to it")
        wanted = dict(self._own)
        for hierarchy, path in self._sets.get(number, {}).items():
            if path != self._left.get(hierarchy):
                wanted[hierarchy] = path
        return wanted

    def _ways(self, thread: NewThread, before: Places, name: str) -> list[str]:
        """The files to write to, so that a thread gets from the groups `before` to those it shall be in."""
        files = []
        for hierarchy, path in self._wanted(thread).items():
            if path == before.get(hierarchy):
                continue
            directory = _directory(self._points, hierarchy, path)
            if directory is None:
                self._refuse(hierarchy, path, "its hierarchy is not mounted here")
                continue
            if not os.path.isdir(directory):
                self._note_missing(hierarchy, path, directory)
            elif self.tree.options.manage_cgroups == "strict":
                self._refuse(hierarchy, path, "it exists, and --manage-cgroups strict forbids that")
            unified = name == "tasks" and not hierarchy
            files.append(os.path.join(directory, "cgroup.threads" if unified else name))
        return files

    def _note_missing(self, hierarchy: str, path: str, directory: str) -> None:
        mode = self.tree.options.manage_cgroups
        if mode in EXISTING:
            self._refuse(hierarchy, path, f"it does not exist, and --manage-cgroups {mode} makes none")
        saved = self._saved.get((hierarchy, path), pb.cgroup_dir_entry())
        if saved.properties:
            self.tree.options.log.warning(f"control group {hierarchy}:{path}: its limits in the image are not set")
        self.missing[directory] = saved.dir_perms if saved.HasField("dir_perms") else PLAIN

    def _refuse(self, hierarchy: str, path: str, reason: str) -> None:
        name = f"control group {hierarchy}:{path}"
        remedy = "leave control groups alone with --manage-cgroups ignore"
        self._obstacles[name] = Obstacle(name, reason, remedy)


def _set_of(thread: NewThread) -> int:
    """Newer images have it with every thread, older ones with the process."""
    return thread.core.thread_core.cg_set or thread.task.core.thread_core.cg_set or thread.task.core.tc.cg_set


def _flat(entries: Iterable[pb.cgroup_dir_entry], above: str) -> Iterator[tuple[str, pb.cgroup_dir_entry]]:
    for entry in entries:
        path = os.path.join(above, entry.dir_name).rstrip("/") or "/"
        yield path, entry
        yield from _flat(entry.children, path)


def _enter(step: Step, files: list[str]) -> None:
    """Whoever writes a zero means itself."""
    for path in files:
        fd = step.call("open", step.text(path), os.O_WRONLY | os.O_CLOEXEC)
        step.call("write", fd, step.data(b"0"), 1, expect=1)
        step.call("close", fd)


def _move(thread: NewThread, path: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(thread.tid))
    except OSError as error:
        raise KernelError("write", error.errno or 0, f"{thread}, entering {path}") from None


def _make(path: str, perms: pb.cgroup_perms, new: list[str]) -> None:
    """With those above it that are missing too."""
    if os.path.isdir(path):
        return
    _make(os.path.dirname(path), PLAIN, new)
    try:
        os.mkdir(path)
        new.append(path)
        os.chown(path, perms.uid, perms.gid)
        os.chmod(path, perms.mode & 0o7777)
    except OSError as error:
        raise KernelError("mkdir", error.errno or 0, f"control group {path}") from None
