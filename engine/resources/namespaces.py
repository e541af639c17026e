"""Namespaces: a tree lives in those of the engine, which are noted; a task that has others is refused by name.

Images number the namespaces that a dump met. The engine's own come first, so a task that shares them all has the same
numbers as the inventory's root_ids.
"""

from __future__ import annotations

import os
from errno import ENOENT

from engine.errors import KernelError, Obstacle
from engine.images import pb
from engine.kernel.proc import ProcDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenTree
    from engine.rebuild import NewTree

ROWS = {"NS01": "which namespaces each process is in"}
REFUSED = {
    "NS02": "pid namespaces of the tree's own",
    "NS04": "UTS namespaces",
    "NS05": "IPC namespaces",
    "NS10": "user namespaces",
    "NS12": "time namespaces",
    "NS13": "cgroup namespaces",
    "NS14": "network namespaces",
    "MN01": "mount namespaces",
}

KINDS = ("pid", "net", "ipc", "uts", "mnt", "time", "user", "cgroup")
FOR_CHILDREN = ("pid_for_children", "time_for_children")  # differ after unshare(2), until the next fork
REMEDY = "run the engine in the same namespaces"


def number(ids: pb.task_kobj_ids_entry) -> pb.task_kobj_ids_entry:
    """Gives somebody who is in the engine's own namespaces their numbers."""
    for value, kind in enumerate(KINDS, 1):
        setattr(ids, f"{kind}_ns_id", value)
    return ids


def collect_tree(tree: FrozenTree) -> None:
    """Every live process must be in the engine's namespaces, and so must the children that it would have."""
    with ProcDir(os.getpid()) as proc:
        own = _links(proc)
    for task in tree.alive:
        _collect(task, own)


def _collect(task: FrozenTask, own: dict[str, str]) -> None:
    for kind, link in _links(task.proc).items():
        if link != own[kind]:
            task.refuse("", f"its {kind} namespace is not the engine's, which is not supported", REMEDY)
    number(task.ids)


def _links(proc: ProcDir) -> dict[str, str]:
    """Which namespaces a process is in: {"net": "net:[4026531840]", …}."""
    return {kind: _link(proc, kind) for kind in (*KINDS, *FOR_CHILDREN)}


def _link(proc: ProcDir, kind: str) -> str:
    """Empty where the kernel has no such namespaces, or where the new one has no first process yet."""
    try:
        return proc.link(f"ns/{kind}")
    except KernelError as error:
        if error.errno == ENOENT:
            return ""
        raise


def check(tree: NewTree) -> list[Obstacle]:
    """Tasks that were in other namespaces than who dumped them."""
    root = tree.inventory.root_ids
    return [
        Obstacle(str(task.leader), f"it was in a {kind} namespace of its own, which is not supported")
        for task in tree.alive
        for kind in KINDS
        if _differ(root, task.ids, f"{kind}_ns_id")
    ]


def _differ(one: pb.task_kobj_ids_entry, other: pb.task_kobj_ids_entry, field: str) -> bool:
    """What an image does not know does not differ."""
    known = one.HasField(field) and other.HasField(field)
    return known and bool(getattr(one, field) != getattr(other, field))
