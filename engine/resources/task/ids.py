"""What processes share: descriptor tables, memory, file system state, signal handlers, as kcmp(2) tells.

Each class of equals gets a small number. Processes that share one of them were made with CLONE_VM, CLONE_FILES,
CLONE_FS or CLONE_SIGHAND, and threads that do not have left those of their process by unshare(2): both are refused by
name.
"""

from __future__ import annotations

from engine.abi.kcmp import KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_VM
from engine.errors import KernelError
from engine.kernel._native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenTree

REFUSED = {
    "P43": "processes that share working directory and umask",
    "P44": "processes that share a descriptor table",
    "P45": "processes that share memory or signal handlers",
    "P59": "a parent that waits in vfork, for its child shares its memory",
}

KINDS = {
    "vm_id": (KCMP_VM, "memory"), "files_id": (KCMP_FILES, "descriptor table"),
    "fs_id": (KCMP_FS, "working directory and umask"), "sighand_id": (KCMP_SIGHAND, "signal handlers"),
}  # fmt: skip
_THREADS_OWN = ("files_id", "fs_id")  # what unshare(2) gives a thread
OWN = 1  # the engine itself has this number of each, in the inventory


def collect_tree(tree: FrozenTree) -> None:
    """Numbers the classes of all processes at once: sorted by kcmp's order, equals are neighbours."""
    tasks = {task.pid: task for task in tree.alive}
    for field, (kind, what) in KINDS.items():
        pids, same = ffi.new("int[]", list(tasks)), ffi.new("unsigned char[]", len(tasks))
        if error := lib.sort_tasks(pids, same, len(tasks), kind):
            raise KernelError("kcmp", -error, f"the {what} of the tree's processes")
        for number, pid in enumerate(pids):
            setattr(tasks[pid].ids, field, OWN + 1 + number)
            if same[number]:
                reason = f"it shares its {what} with pid {pids[number - 1]}, which is not supported"
                tasks[pid].refuse("", reason)
    for task in tree.alive:
        if len(task.threads) > 1:
            _compare_threads(task)


def _compare_threads(task: FrozenTask) -> None:
    """All threads must have what their process has; the first that has not is enough to be refused."""
    tids = ffi.new("int[]", [thread.tid for thread in task.threads])
    for field in _THREADS_OWN:
        kind, what = KINDS[field]
        same = lib.same_as_first(tids, len(task.threads), kind)
        if same < 0:
            raise KernelError("kcmp", -same, f"the {what} of the threads of pid {task.pid}")
        if same + 1 < len(task.threads):
            task.threads[same + 1].refuse(f"it has a {what} of its own, which is not supported")
