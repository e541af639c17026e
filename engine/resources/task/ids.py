"""What processes share: descriptor tables, memory, file system state, signal handlers, as kcmp(2) tells.

Each class of equals gets a small number. Processes (not threads) that share one of them were made with CLONE_VM,
CLONE_FILES, CLONE_FS or CLONE_SIGHAND, which is refused by name.
"""

from __future__ import annotations

import functools
import itertools

from engine.abi.kcmp import KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_VM
from engine.kernel import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenTree

REFUSED = {
    "P43": "processes that share working directory and umask",
    "P44": "processes that share a descriptor table",
    "P45": "processes that share memory or signal handlers",
    "P59": "a parent that waits in vfork, for its child shares its memory",
}

_KINDS = {
    "vm_id": (KCMP_VM, "memory"), "files_id": (KCMP_FILES, "descriptor table"),
    "fs_id": (KCMP_FS, "working directory and umask"), "sighand_id": (KCMP_SIGHAND, "signal handlers"),
}  # fmt: skip
OWN = 1  # the engine itself has this number of each, in the inventory
_ORDER = {0: 0, 1: -1, 2: 1, 3: 1}


def collect_tree(tree: FrozenTree) -> None:
    """Numbers the classes of all processes at once: sorted by kcmp's order, equals are neighbours."""
    for field, (kind, what) in _KINDS.items():

        def compare(a: FrozenTask, b: FrozenTask, kind: int = kind) -> int:
            return _ORDER[calls.kcmp(a.pid, b.pid, kind)]

        ordered = sorted(tree.alive, key=functools.cmp_to_key(compare))
        for number, task in enumerate(ordered, OWN + 1):
            setattr(task.ids, field, number)
        for a, b in itertools.pairwise(ordered):
            if compare(a, b) == 0:
                b.refuse("", f"it shares its {what} with pid {a.pid}, which is not supported")
