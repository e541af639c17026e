"""A frozen tree, as resources see it during a dump: facts to read, questions to ask, messages to fill.

A resource's `collect(task)` or `collect_thread(thread)` reads from outside; what only the task can tell it hears
afterwards (engine/questions.py). All of it goes into the image's messages. What cannot be saved is said with `refuse`,
all of it, and nothing is written then.
"""

from __future__ import annotations

from engine.errors import Obstacle
from engine.images import pb
from engine.kernel.proc import parse_status
from engine.kernel.proc.ahead import Reader
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.kernel.freeze import Frozen
    from engine.kernel.home import Home
    from engine.kernel.inject import Gadgets
    from engine.kernel.proc import DetailedMapping, Mapping, ProcDir, Stat, Status
    from engine.kernel.ptrace import Tracee
    from engine.kernel.threads import Facts
    from engine.options import DumpOptions
    from engine.plan.ops import Ref, Slot
    from engine.questions import Form, Forms
    from engine.resources.files.table import Registry
    from engine.resources.memory.shared import Segment
    from engine.resources.task.seccomp import Chain
    from engine.room import Room
    from engine.stats import Timings


class FrozenThread:
    """One stopped thread. `core` is its message."""

    __slots__ = ("core", "facts", "home", "status", "task", "tid", "tracee")

    task: FrozenTask
    tid: int
    tracee: Tracee
    status: Status  # its own, of /proc/PID/task/TID
    home: Home  # registers, extended state, mask
    facts: Facts  # of ptrace, as it was stopped

    def __init__(self, task: FrozenTask, tracee: Tracee) -> None:
        self.task, self.tid, self.tracee = task, tracee.tid, tracee
        self.core = pb.core_entry()

    def answer(self, slot: Slot) -> int:
        """What a call returned: negative means an errno."""
        at = self.task.form.plan.slot_offset(slot)
        return int.from_bytes(self.task.answers[at : at + 8], "little", signed=True)

    def read(self, place: Ref, size: int) -> bytes:
        """Bytes that a call left in a buffer."""
        at = self.task.form.plan.offset(place)
        return bytes(self.task.answers[at : at + size])

    def number(self, place: Ref, size: int = 8) -> int:
        """The same as a number."""
        return int.from_bytes(self.read(place, size), "little")

    def refuse(self, reason: str, remedy: str = "") -> None:
        """An obstacle of this thread."""
        self.task.refuse("" if self.tid == self.task.pid else f"thread {self.tid}", reason, remedy)

    def __str__(self) -> str:
        leader = self.tid == self.task.pid
        return f"pid {self.tid}" if leader else f"pid {self.task.pid}, thread {self.tid}"


class Running(NamedTuple):
    """A process that is looked at before it is frozen. What it has that cannot be saved is no obstacle yet."""

    tree: FrozenTree
    pid: int
    proc: ProcDir
    refused: list[str]

    @property
    def stat(self) -> Stat:
        """As it is at this moment."""
        return self.proc.stat()

    def refuse(self, what: str, reason: str, remedy: str = "") -> None:
        """Noted, and no more: whether it still has that will be seen in the freeze."""
        self.refused.append(f"{what}: {reason}")


class FrozenTask:
    """One process of the tree. A zombie has a leader's `core` and `stat`, and no threads."""

    def __init__(self, tree: FrozenTree, frozen: Frozen) -> None:
        self.tree, self.frozen = tree, frozen
        self.pid = frozen.pid
        self.proc: ProcDir = frozen.proc
        self.ppid = frozen.parent.pid if frozen.parent else 0
        self.threads = [FrozenThread(self, tracee) for tracee in frozen.threads]
        self.zombie_core = pb.core_entry()
        self.mm, self.fs, self.ids = pb.mm_entry(), pb.fs_entry(), pb.task_kobj_ids_entry()
        self.form: Form
        self.stat: Stat
        self.status: Status
        self.mappings: list[DetailedMapping] = []
        self.left: list[Mapping] = []  # arenas that killed engines left in it
        self.answers = memoryview(b"")  # the arena, after the plan ran

    @property
    def leader(self) -> FrozenThread:
        """The thread whose tid is the pid."""
        return self.threads[0]

    @property
    def core(self) -> pb.core_entry:
        """The process' own message."""
        return self.threads[0].core if self.threads else self.zombie_core

    def thread_status(self, tid: int) -> Status:
        """/proc/PID/task/TID/status; the leader's is the process' own."""
        return parse_status(self.proc.read(f"task/{tid}/status"))

    def refuse(self, what: str, reason: str, remedy: str = "") -> None:
        """An obstacle: `what` is the object within the process ("fd 9"), or empty for the process itself."""
        subject = f"pid {self.pid}" + (f" {what}" if what else "")
        self.tree.obstacles.append(Obstacle(subject, reason, remedy))


class FrozenTree:
    """All processes, parents before children, and what belongs to none of them alone."""

    def __init__(self, options: DumpOptions, room: Room, timings: Timings) -> None:
        self.options, self.room, self.timings = options, room, timings
        self.images = room.images
        self.tasks: list[FrozenTask] = []
        self.obstacles: list[Obstacle] = []
        self.registry: Registry
        self.forms: Forms
        self.reader = Reader()
        self.segments: dict[int, Segment] = {}  # shared anonymous memory, by inode
        self.known_mappings: dict[tuple[Mapping, frozenset[str]], pb.vma_entry] = {}  # relatives have many in common
        self.gadgets: dict[int, Gadgets] = {}  # by pid, found before the freeze
        self.chains: dict[int, Chain] = {}  # seccomp filters of confined threads, by tid
        self.cgroup_sets: dict[bytes, int] = {}  # number of each text of /proc/PID/cgroup

    @property
    def alive(self) -> list[FrozenTask]:
        """Those that are no zombies."""
        return [task for task in self.tasks if task.threads]
