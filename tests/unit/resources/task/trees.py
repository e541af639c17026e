"""Trees to be restored, made of messages in memory, and the plans that come of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from engine.abi.signal import SIGINFO_KILL
from engine.abi.syscalls import NAMES as SYSCALLS
from engine.images import pb
from engine.log import Log
from engine.options import RestoreOptions
from engine.plan.ops import CALL, NAMES, SPAWN, Ref, Slot
from engine.rebuild import ALIVE, NewTree
from engine.resources.task.tree import prepare, restore
from engine.stats import Timings

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.plan.builder import Plan
    from engine.plan.ops import Op
    from engine.rebuild import NewTask

STAGING = 100


class Born(NamedTuple):
    """One process of a tree. Group and session default to those of the first one, which leads both."""

    pid: int
    parent: int = 0
    group: int = 0
    session: int = 0
    state: int = ALIVE
    exit_code: int = 0
    stop_signal: int = 0
    threads: tuple[int, ...] = ()
    exit_signal: int | None = None


class Warnings(Log):
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def warning(self, text: str) -> None:
        self.texts.append(text)


class Images:
    """As much of an image directory as a tree reads."""

    fd = -1

    def __init__(self, born: tuple[Born, ...]) -> None:
        root = born[0].pid
        self.items = [
            pb.pstree_entry(
                pid=b.pid, ppid=b.parent, pgid=b.group or root, sid=b.session or root, threads=(b.pid, *b.threads),
                exit_signal=b.exit_signal,
            )
            for b in born
        ]
        self.cores = {tid: core(b if tid == b.pid else None) for b in born for tid in (b.pid, *b.threads)}

    def read_one(self, kind: str, number: int | None = None) -> object:
        if kind == "CORE" and number is not None:
            return self.cores[number]
        made = {"INVENTORY": pb.inventory_entry, "IDS": pb.task_kobj_ids_entry, "MM": pb.mm_entry, "FS": pb.fs_entry}
        return made[kind]()

    def read(self, kind: str, number: int | None = None) -> list[object]:
        return list(self.items) if kind == "PSTREE" else []


def core(born: Born | None) -> pb.core_entry:
    """The message of a leader, or of another thread (None)."""
    message = pb.core_entry(mtype=pb.core_entry.X86_64)
    message.thread_core.futex_rla, message.thread_core.futex_rla_len = 0, 0
    if born is not None:
        message.tc.task_state, message.tc.exit_code = born.state, born.exit_code
        message.tc.stop_signo = born.stop_signal
        message.tc.personality, message.tc.flags, message.tc.blk_sigset = 0, 0, 0
        message.tc.comm = f"task {born.pid}"
    return message


def tree(*born: Born, shell_job: bool = False) -> NewTree:
    """The tree, before anything is planned for it."""
    options = RestoreOptions(shell_job=shell_job, log=Warnings())
    new = NewTree(options, Images(born), Timings())  # type: ignore[arg-type]
    new.opener = SimpleNamespace(staging=STAGING)  # type: ignore[assignment]
    return new


def warnings(new: NewTree) -> list[str]:
    """What was logged as a warning."""
    assert isinstance(new.options.log, Warnings)
    return new.options.log.texts


def task(**fields: object) -> NewTask:
    """The only process, pid 7, of a tree; `fields` are set in its task_core_entry."""
    found = tree(Born(7)).root
    for name, value in fields.items():
        setattr(found.core.tc, name, value)
    return found


def words(op: Op) -> str:
    """An op in one line: `setpgid 0 7`, `spawn 8`, `wait`; `&` is an address of data, `r` an earlier result."""
    if op.code == SPAWN:
        return f"spawn {op.expect}"
    if op.code != CALL:
        return NAMES[op.code].lower()
    shown = ["&" if isinstance(v, Ref) else "r" if isinstance(v, Slot) else str(v) for v in op.args]
    return " ".join([SYSCALLS[op.nr], *shown])


def lines(new: NewTree) -> dict[str, list[str]]:
    """What every task and thread of a tree does, in order."""
    new.graph.order()
    return {actor.name: [words(op) for op in actor.ops] for actor in new.plan.actors}


def shape(*born: Born, shell_job: bool = False) -> dict[str, list[str]]:
    """What tree.py and fates.py plan for a tree, by actor."""
    new = tree(*born, shell_job=shell_job)
    prepare(new)
    restore(new)
    return lines(new)


def calls(one: NewTask, *planners: Callable[[NewTask], None]) -> list[Op]:
    """What the leader of a task does after these functions have planned."""
    for planner in planners:
        planner(one)
    one.tree.graph.order()
    return one.leader.actor.ops


def data(plan: Plan, op: Op, argument: int, size: int) -> bytes:
    """The bytes that an argument of a call points to."""
    place = op.args[argument]
    assert isinstance(place, tuple), place
    return bytes(plan.blocks[place[0]][place[1] : place[1] + size])


def siginfo(number: int, code: int) -> bytes:
    """A siginfo_t with recognisable contents."""
    return SIGINFO_KILL.pack(si_signo=number, si_code=code, si_pid=4711, si_uid=number)
