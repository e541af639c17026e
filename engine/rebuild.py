"""A tree under reconstruction, as resources see it during a restore: messages to read, steps to contribute.

A resource's `restore(task)` or `restore_thread(thread)` adds steps to the one graph of the tree:

    with task.step(stages.FS, "umask") as step:
        step.call("umask", task.fs.umask)
"""

from __future__ import annotations

from engine.errors import ImageError
from engine.images import pb
from engine.plan.builder import Plan
from engine.plan.graph import Graph
from engine.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.images.directory import ImageDir
    from engine.options import RestoreOptions
    from engine.plan.builder import Actor
    from engine.plan.graph import Milestone, Node, Step
    from engine.resources.cgroups import Groups
    from engine.resources.files.opener import Opener
    from engine.resources.memory.contents import Piece, Run
    from engine.resources.memory.stand_in import Patch
    from engine.resources.task.seccomp import Chain
    from engine.stats import Timings

PID_MAX_LIMIT = 1 << 22  # no pid is above (include/linux/threads.h)
ALIVE, DEAD, STOPPED = 1, 2, 3  # task_core_entry.task_state


class NewThread:
    """One thread to be: its message and the actor that becomes it."""

    def __init__(self, task: NewTask, tid: int, core: pb.core_entry) -> None:
        self.task, self.tid, self.core = task, tid, core
        self._name = f"pid {tid}" if tid == task.pid else f"pid {task.pid}, thread {tid}"
        self.actor: Actor = task.tree.plan.actor(self._name)

    def step(self, stage: int, what: str, needs: Iterable[Node] = ()) -> Step:
        """A step of this thread; `what` goes into the error if one of its calls fails."""
        return self.task.tree.graph.step(self.actor, f"{self._name}, {what}" if what else self._name, stage, needs)

    @property
    def is_leader(self) -> bool:
        """Whether its tid is the pid."""
        return self.tid == self.task.pid

    def __str__(self) -> str:
        return self._name


class NewTask:
    """One process to be."""

    def __init__(self, tree: NewTree, item: pb.pstree_entry) -> None:
        self.tree, self.item = tree, item
        self.pid, self.ppid, self.pgid, self.sid = item.pid, item.ppid, item.pgid, item.sid
        self.children: list[NewTask] = []
        self.parent: NewTask | None = None
        self.born: int | None = None  # session to be born in; None: any will do (sessions.py)
        self.heir = False  # born with its parent's memory (inherit.py decides this and the next ones)
        self.kept: set[int] = set()  # mappings that it has from its parent, by their start
        self.fill: list[Piece] = []  # pages to read from the image
        self.drop: list[Run] = []  # pages of the parent that are not its own
        self.pages_path = ""
        self.vdso: list[Piece] = []  # its code in the image
        self.patches: list[Patch] = []  # what becomes of it, if it is another kernel's (stand_in.py)
        self.ids, self.mm, self.fs = pb.task_kobj_ids_entry(), pb.mm_entry(), pb.fs_entry()
        self.descriptors: list[pb.fdinfo_entry] = []
        self.threads = [NewThread(self, self.pid, self._core(self.pid))]
        _check_ids(item, self.dead)
        if not self.dead:  # of a zombie, CRIU's images list threads that never were
            self.threads += [NewThread(self, tid, self._core(tid)) for tid in item.threads if tid != self.pid]
            self._read()

    @property
    def leader(self) -> NewThread:
        """The thread whose tid is the pid."""
        return self.threads[0]

    @property
    def core(self) -> pb.core_entry:
        """The process' own message."""
        return self.threads[0].core

    @property
    def state(self) -> int:
        """ALIVE, DEAD or STOPPED."""
        return self.core.tc.task_state

    @property
    def exit_signal(self) -> int:
        """What its parent is sent when it ends; 0: nothing."""
        return self.item.exit_signal if self.item.HasField("exit_signal") else signal.SIGCHLD

    @property
    def dead(self) -> bool:
        """To be a zombie."""
        return self.state == DEAD

    @property
    def born_with(self) -> list[pb.vma_entry]:
        """The mappings that it finds: an heir all of its parent's; the child of an heir that has not begun with its own
        memory yet, those that the parent was born with."""
        if self.parent is None:
            return []
        return list(self.parent.mm.vmas) if self.heir else self.parent.born_with

    @property
    def outside(self) -> bool:
        """In the session that its parent left: to be born before the parent's setsid."""
        parent = self.parent
        return parent is not None and parent.sid == parent.pid and self.born not in (None, parent.sid)

    def step(self, stage: int, what: str, needs: Iterable[Node] = ()) -> Step:
        """A step of the process, run by its leader."""
        return self.leader.step(stage, what, needs)

    def _core(self, tid: int) -> pb.core_entry:
        core: pb.core_entry = self.tree.images.read_one("CORE", tid)
        if core.mtype != pb.core_entry.X86_64:
            raise ImageError(f"core-{tid}.img: it is of another architecture (mtype {core.mtype}), not x86-64")
        return core

    def _read(self) -> None:
        images = self.tree.images
        self.ids = images.read_one("IDS", self.pid)
        self.mm, self.fs = images.read_one("MM", self.pid), images.read_one("FS", self.pid)
        self.descriptors = images.read("FDINFO", self.ids.files_id)


def _check_ids(item: pb.pstree_entry, dead: bool) -> None:
    """The threads of a dead process never were, and have any numbers in CRIU's images."""
    numbers = [item.pid, item.ppid, item.pgid, item.sid, *([] if dead else item.threads)]
    if wrong := [number for number in numbers if number > PID_MAX_LIMIT]:
        raise ImageError(f"pstree.img: no process has the number {wrong[0]} (it is with pid {item.pid})")


class NewTree:
    """All processes to be, parents before children, in one plan."""

    def __init__(self, options: RestoreOptions, images: ImageDir, timings: Timings) -> None:
        self.options, self.images, self.timings = options, images, timings
        self.plan = Plan()
        self.graph = Graph(self.plan)
        self.inventory: pb.inventory_entry = images.read_one("INVENTORY")
        self.tasks: list[NewTask] = [NewTask(self, item) for item in images.read("PSTREE")]
        self.by_pid = {task.pid: task for task in self.tasks}
        self.everyone: Milestone = self.graph.milestone("everyone is ready")
        self.opener: Opener
        self.groups: Groups
        self.chains: dict[int, Chain] = {}  # what confines threads, by tid (seccomp.py)
        self.base = 0  # address of the arena in every task
        self.scratch = 0  # address that is free in every task, with room for the largest shared segment
        self._link()

    @property
    def root(self) -> NewTask:
        """The process without a parent in the tree."""
        return self.tasks[0]

    @property
    def alive(self) -> list[NewTask]:
        """Those that will not be zombies."""
        return [task for task in self.tasks if not task.dead]

    def _link(self) -> None:
        if not self.tasks:
            raise ImageError("pstree.img: no process is in it")
        if len(self.by_pid) < len(self.tasks):
            raise ImageError("pstree.img: a pid is there twice")
        for task in self.tasks[1:]:
            if task.ppid not in self.by_pid or task.ppid == task.pid:
                raise ImageError(f"pstree.img: pid {task.pid} has the parent {task.ppid}, which is not in the tree")
            task.parent = self.by_pid[task.ppid]
            task.parent.children.append(task)
        reached = [self.tasks[0]]
        for task in reached:
            reached += task.children
        if len(reached) < len(self.tasks):
            raise ImageError("pstree.img: some processes are their own ancestors")
        self.tasks = reached
