"""Credentials of each thread: ids, groups, capability sets, securebits, no_new_privs (credentials(7), capabilities(7)).

Nearly all of it stands in /proc/PID/task/TID/status. The way back is a descent, each step of which needs what the next
ones take away:

    groups      setgroups needs CAP_SETGID
    inheritable with all privileges still there: it may hold what the bounding set will not
    ambient     within permitted and inheritable, before a securebit can forbid it
    ids         under SECBIT_NO_SETUID_FIXUP, so that no capability is lost by them
    securebits  need CAP_SETPCAP, and so does dropping from the bounding set
    the rest    effective, permitted, inheritable as they shall be; then no_new_privs
"""

from __future__ import annotations

import functools
import struct

from engine.abi.capability import (
    _LINUX_CAPABILITY_VERSION_3,
    CAP_DATA,
    CAP_HEADER,
    CAP_LAST_CAP,
)  # fmt: skip
from engine.abi.prctl import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_GET_SECUREBITS,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECUREBITS,
    SECBIT_NO_SETUID_FIXUP,
)  # fmt: skip
from engine.errors import Obstacle
from engine.images import pb
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.frozen import FrozenThread
    from engine.kernel.proc import Status
    from engine.plan.builder import Emitter
    from engine.plan.graph import Step
    from engine.plan.ops import Slot
    from engine.rebuild import NewThread, NewTree

    Ids = tuple[int, ...]

ROWS = {
    "P46": "user and group ids, also of single threads",
    "P47": "supplementary groups",
    "P48": "all five capability sets",
    "P49": "securebits",
    "P50": "no_new_privs",
}

U32 = (1 << 32) - 1
_HEADER = CAP_HEADER.pack(version=_LINUX_CAPABILITY_VERSION_3)
_SETS = {"cap_inh": "cap_inheritable", "cap_prm": "cap_permitted", "cap_eff": "cap_effective",
         "cap_bnd": "cap_bounding", "cap_amb": "cap_ambient"}  # fmt: skip


def ask_thread(ask: Emitter) -> Slot:
    """The securebits are the one thing to be asked."""
    return ask.call("prctl", PR_GET_SECUREBITS, 0, 0, 0, 0)


def hear_thread(thread: FrozenThread, securebits: Slot) -> None:
    """All that a thread may do."""
    thread.core.thread_core.creds.MergeFromString(_serialised(thread.status, thread.answer(securebits)))


def entry(status: Status, securebits: int) -> pb.creds_entry:
    """The message. A zombie's status is enough for it too."""
    creds: pb.creds_entry = pb.creds_entry.FromString(_serialised(status, securebits))
    return creds


def _serialised(status: Status, securebits: int) -> bytes:
    sets = tuple(getattr(status, source) for source in _SETS.values())
    return _entry(status.uids, status.gids, status.groups, status.no_new_privs, sets, securebits)


@functools.lru_cache(1024)
def _entry(uids: Ids, gids: Ids, groups: Ids, no_new_privs: int, sets: Ids, securebits: int) -> bytes:
    """The message, serialised: most threads of a tree have the same."""
    real, effective, saved, fs = zip(uids, gids, strict=True)
    creds = pb.creds_entry(
        uid=real[0], gid=real[1], euid=effective[0], egid=effective[1], suid=saved[0], sgid=saved[1],
        fsuid=fs[0], fsgid=fs[1], secbits=securebits, groups=groups, no_new_privs=no_new_privs,
    )  # fmt: skip
    for field, value in zip(_SETS, sets, strict=True):
        getattr(creds, field).extend((value & U32, value >> 32))
    return creds.SerializeToString()


def missing(tree: NewTree) -> list[Obstacle]:
    """The threads whose capabilities are not all ours to give."""
    obstacles = []
    for task in tree.alive:
        for thread in task.threads:
            creds = thread.core.thread_core.creds
            wanted = _number(creds.cap_bnd) | _number(creds.cap_prm)
            if lacking := wanted & ~own.status().cap_bounding & ((1 << CAP_LAST_CAP + 1) - 1):
                reason = f"it has capabilities that the engine cannot give: {_names(lacking)}"
                obstacles.append(Obstacle(str(thread), reason, "run the engine with them"))
    return obstacles


def _names(mask: int) -> str:
    from engine.abi import capability

    names = {v: k for k, v in vars(capability).items() if k.startswith("CAP_") and isinstance(v, int)}
    names[CAP_LAST_CAP] = "CAP_CHECKPOINT_RESTORE"
    return ", ".join(names[n] for n in range(CAP_LAST_CAP + 1) if mask >> n & 1)


def restore_thread(thread: NewThread) -> None:
    """See above."""
    if changes(thread):
        with thread.step(stages.CREDS, "credentials") as step:
            _descend(step, thread.core.thread_core.creds)


def changes(thread: NewThread) -> bool:
    """Whether it has other credentials than it is born with."""
    core = thread.core.thread_core
    return core.HasField("creds") and core.creds != _inherited()


@functools.cache
def _inherited() -> pb.creds_entry | None:
    securebits = own.securebits()
    return None if securebits is None else entry(own.status(), securebits)


def _descend(step: Step, creds: pb.creds_entry) -> None:
    why = step.why
    step.why = f"{why}: groups"
    set_groups(step, creds)
    step.why = f"{why}: inheritable and ambient capabilities"
    _widen_inheritable(step, creds)
    step.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in _bits(creds.cap_amb):
        step.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)
    step.why = f"{why}: ids"
    step.call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    set_ids(step, creds)
    step.why = f"{why}: securebits"
    step.call("prctl", PR_SET_SECUREBITS, creds.secbits, 0, 0, 0)
    step.why = f"{why}: capabilities"
    for number in _bits(creds.cap_bnd, present=False):
        step.call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
    words = [word for i in (0, 1) for word in (creds.cap_eff[i], creds.cap_prm[i], creds.cap_inh[i])]
    step.call("capset", step.data(_HEADER), step.pack("6I", *words))
    step.why = why
    if creds.no_new_privs:
        step.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_groups(step: Step, creds: pb.creds_entry) -> None:
    """The supplementary groups."""
    groups = struct.pack(f"<{len(creds.groups)}I", *creds.groups)
    step.call("setgroups", len(creds.groups), step.data(groups) if groups else 0)


def set_ids(step: Step, creds: pb.creds_entry) -> None:
    """Groups before users. setfsuid tells no success, only what was before: the second call asks for that."""
    step.call("setresgid", creds.gid, creds.egid, creds.sgid)
    step.call("setresuid", creds.uid, creds.euid, creds.suid)
    for name, value in (("setfsgid", creds.fsgid), ("setfsuid", creds.fsuid)):
        step.attempt(name, value)
        step.call(name, U32, expect=value)


def _widen_inheritable(step: Step, creds: pb.creds_entry) -> None:
    """capset with what the task has now, but for the inheritable set."""
    data = step.buffer(2 * CAP_DATA.size)
    header = step.data(_HEADER)
    step.call("capget", header, data)
    for i, word in enumerate(creds.cap_inh):
        step.store(data + i * CAP_DATA.size + CAP_DATA.offsets["inheritable"], word, 4)
    step.call("capset", header, data)


def _number(words: Iterable[int]) -> int:
    return sum(word << 32 * i for i, word in enumerate(words))


def _bits(words: Iterable[int], present: bool = True) -> list[int]:
    mask = _number(words)
    return [n for n in range(CAP_LAST_CAP + 1) if bool(mask >> n & 1) is present]
