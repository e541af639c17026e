"""What confines a thread: strict mode, or a chain of filters, to which one can only be added (seccomp(2)).

Seized threads stay confined until they stand still: only then are their filters suspended (PTRACE_O_SUSPEND_SECCOMP,
Linux 4.3), so that nothing but our plan ever runs without them. The suspension ends with the tracer, however that ends.

Restored tasks are suspended from their birth, so filters can come as soon as there are threads to have them, and while
all privileges are there: without no_new_privs each takes CAP_SYS_ADMIN. What all threads of a process have in common is
installed before the first thread has borne the others: SECCOMP_FILTER_FLAG_TSYNC asks whose filters are the same.

seccomp.img lists the newest filter of a chain first; `prev` leads from a filter to the next newer, and the thread names
its oldest. If all threads of a process have the same chain, only the leader names it, and its
filters are marked with TSYNC.
"""

from __future__ import annotations

from engine.abi.capability import CAP_SYS_ADMIN
from engine.abi.prctl import PR_SET_SECCOMP
from engine.abi.ptrace import PTRACE_O_SUSPEND_SECCOMP, PTRACE_SETOPTIONS
from engine.abi.seccomp import (
    BPF_K,
    BPF_MAXINSNS,
    BPF_RET,
    SECCOMP_FILTER_FLAG_LOG,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    SECCOMP_FILTER_FLAG_TSYNC,
    SECCOMP_MODE_DISABLED,
    SECCOMP_MODE_FILTER,
    SECCOMP_MODE_STRICT,
    SECCOMP_RET_ACTION_FULL,
    SECCOMP_RET_USER_NOTIF,
    SECCOMP_SET_MODE_FILTER,
    SOCK_FILTER,
)  # fmt: skip
from engine.errors import ImageError, KernelError, Obstacle
from engine.images import pb
from engine.kernel.freeze import SEIZE_OPTIONS
from engine.kernel.ptrace import request
from engine.resources import stages
from engine.resources.task import own
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.frozen import FrozenThread, FrozenTree
    from engine.plan.graph import Step
    from engine.rebuild import NewTask, NewThread, NewTree

ROWS = {
    "P51": "strict seccomp",
    "P52": "seccomp filters: the chain of each thread, those that threads share",
}

KEPT = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW
"""Flags of a filter that stay with it; the others are about how it is installed."""


class Filter(NamedTuple):
    """One program of classic BPF, and SECCOMP_FILTER_FLAG_* bits."""

    code: bytes
    flags: int


Chain = tuple[Filter, ...]
"""The filters of a thread, the oldest first. Empty: it is in strict mode."""


def collect_thread(thread: FrozenThread) -> None:
    """Whoever is confined is so no more from here on, for as long as we trace it."""
    mode = thread.status.seccomp
    if not mode:
        return
    if mode not in (SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER):
        thread.refuse(f"it runs under seccomp in mode {mode}, which is not supported")
    elif _suspend(thread):
        thread.core.thread_core.seccomp_mode = mode
        if mode == SECCOMP_MODE_FILTER:
            thread.task.tree.chains[thread.tid] = _chain(thread)


def _suspend(thread: FrozenThread) -> bool:
    try:
        request(PTRACE_SETOPTIONS, thread.tid, 0, SEIZE_OPTIONS | PTRACE_O_SUSPEND_SECCOMP)
    except KernelError as error:
        thread.refuse(f"its seccomp filters cannot be suspended: {_hindrance() or error}")
        return False
    return True


def _hindrance() -> str:
    """What keeps the engine from suspending filters (kernel/ptrace.c, check_ptrace_options)."""
    if own.status().seccomp:
        return "the engine runs under seccomp itself"
    return "" if own.has(CAP_SYS_ADMIN) else "the engine lacks CAP_SYS_ADMIN"


def _chain(thread: FrozenThread) -> Chain:
    chain = tuple(Filter(code, flags) for code, flags in thread.tracee.seccomp_filters())
    if any(_notifies(filter.code) for filter in chain):
        reason = "a seccomp filter of it asks a listener (SECCOMP_RET_USER_NOTIF), which is not supported"
        thread.refuse(reason)
    return chain


def _notifies(code: bytes) -> bool:
    """Whether calls are handed to whoever listens: the descriptor that the filter came with cannot be made again."""
    verdicts = (k for op, _, _, k in SOCK_FILTER.struct.iter_unpack(code) if op == BPF_RET | BPF_K)
    return any(verdict & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_USER_NOTIF for verdict in verdicts)


def write(tree: FrozenTree) -> None:
    """seccomp.img, and which filter each thread names; before the threads' own images."""
    if not tree.chains:
        return
    listed = Listed()
    for task in tree.alive:
        chains = [tree.chains.get(thread.tid) for thread in task.threads]
        shared = all(chain == chains[0] for chain in chains)
        for thread, chain in zip(task.threads, chains, strict=True):
            core = thread.core.thread_core
            if chain and shared and thread is not task.leader:
                core.ClearField("seccomp_mode")
            elif chain:
                core.seccomp_filter = listed.number(chain, SECCOMP_FILTER_FLAG_TSYNC if shared else 0)
    tree.images.post("SECCOMP", None, [listed.entry])


class Listed:
    """The filters of all threads; what chains end with alike is there once."""

    def __init__(self) -> None:
        self.entry = pb.seccomp_entry()
        self._known: dict[tuple[int | None, bytes, int], int] = {}

    def number(self, chain: Chain, more_flags: int = 0) -> int:
        """The oldest filter of a chain, from which `prev` leads to all others."""
        number = None
        for code, flags in reversed(chain):
            key = (number, code, flags | more_flags)
            if key not in self._known:
                self.entry.seccomp_filters.append(pb.seccomp_filter(prev=number, filter=code, flags=flags | more_flags))
                self._known[key] = len(self._known)
            number = self._known[key]
        assert number is not None
        return number


def prepare(tree: NewTree) -> list[Obstacle]:
    """Finds out what every thread shall be confined by. The obstacles that are in the engine itself."""
    filters = _Filters(tree)
    for task in tree.alive:
        tree.chains |= filters.of(task)
    if own.status().seccomp:
        reason = "the engine runs under seccomp itself, and the restored tasks would inherit that"
        return [Obstacle("the tree", reason, "run the engine unconfined")]
    if tree.chains and (hindrance := _hindrance()):
        return [Obstacle("the tree", f"it has seccomp filters, but {hindrance}")]
    return []


class _Filters:
    """The filters of an image, as chains. The file is read when the first thread asks for it."""

    def __init__(self, tree: NewTree) -> None:
        self._tree = tree
        self._list: list[pb.seccomp_filter] | None = None

    def of(self, task: NewTask) -> dict[int, Chain]:
        """The chains of its confined threads, by tid."""
        leader, old = task.leader, task.core.tc
        found: dict[int, Chain] = {}
        for thread in task.threads:
            core = thread.core.thread_core
            if core.HasField("seccomp_mode") or not old.HasField("old_seccomp_mode"):
                mode, number = core.seccomp_mode, core.seccomp_filter
            else:  # in older images it is the process that is confined
                mode, number = old.old_seccomp_mode, old.old_seccomp_filter
            if mode == SECCOMP_MODE_FILTER:
                found[thread.tid] = self._chain(thread, number)
            elif mode == SECCOMP_MODE_STRICT:
                found[thread.tid] = ()
            elif mode != SECCOMP_MODE_DISABLED:
                raise ImageError(f"core-{thread.tid}.img: seccomp mode {mode} is not known")
        if any(filter.flags & SECCOMP_FILTER_FLAG_TSYNC for filter in found.get(leader.tid, ())):
            found = {thread.tid: found.get(thread.tid, found[leader.tid]) for thread in task.threads}
        return found

    def _chain(self, thread: NewThread, number: int) -> Chain:
        if self._list is None:
            entries = self._tree.images.read("SECCOMP")
            self._list = [filter for entry in entries for filter in entry.seccomp_filters]
        chain: list[Filter] = []
        while len(chain) < len(self._list):
            if number >= len(self._list):
                raise ImageError(f"core-{thread.tid}.img: there is no filter {number} in seccomp.img")
            found = self._list[number]
            chain.append(_checked(found, number))
            if not found.HasField("prev"):
                return tuple(chain)
            number = found.prev
        what = "the chain of filters has no end" if self._list else "there are no filters in seccomp.img"
        raise ImageError(f"core-{thread.tid}.img: {what}")


def _checked(found: pb.seccomp_filter, number: int) -> Filter:
    length, rest = divmod(len(found.filter), SOCK_FILTER.size)
    if rest or not 0 < length <= BPF_MAXINSNS:
        raise ImageError(f"seccomp.img: filter {number} has {len(found.filter)} bytes, which is no program")
    if unknown := found.flags & ~(KEPT | SECCOMP_FILTER_FLAG_TSYNC):
        raise ImageError(f"seccomp.img: filter {number} has flags {unknown:#x}, which are not supported")
    return Filter(found.filter, found.flags)


def options(tree: NewTree) -> int:
    """With what a tree is traced while it is made, besides the usual."""
    return PTRACE_O_SUSPEND_SECCOMP if tree.chains else 0


def restore(task: NewTask) -> None:
    """First what all threads have, then what each has beyond."""
    if not task.tree.chains:
        return
    chains = [task.tree.chains.get(thread.tid) for thread in task.threads]
    common = _common([chain or () for chain in chains])
    if common:
        with task.step(stages.CONFINE, "seccomp filters of all threads") as step:
            _install(step, common)
    for thread, chain in zip(task.threads, chains, strict=True):
        if chain == ():
            with thread.step(stages.FILTERS, "strict seccomp") as step:
                step.call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
        elif chain and len(chain) > len(common):
            with thread.step(stages.FILTERS, "seccomp filters") as step:
                _install(step, chain[len(common) :])


def _common(chains: Sequence[Chain]) -> Chain:
    """What all chains begin with."""
    same = 0
    for filters in zip(*chains, strict=False):
        if any(filter != filters[0] for filter in filters):
            break
        same += 1
    return chains[0][:same]


def _install(step: Step, chain: Chain) -> None:
    for code, flags in chain:
        program = step.pack("H6xQ", len(code) // SOCK_FILTER.size, step.data(code))
        step.call("seccomp", SECCOMP_SET_MODE_FILTER, flags & KEPT, program)
