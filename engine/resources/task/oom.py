"""How much the out-of-memory killer likes a process (proc_pid_oom_score_adj(5)).

Anybody may raise it. Lowering it below what it ever was needs CAP_SYS_RESOURCE; without that the process keeps ours,
and the log says so.
"""

from __future__ import annotations

import os
from errno import EACCES

from engine.abi.capability import CAP_SYS_RESOURCE
from engine.abi.fcntl import AT_FDCWD
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.rebuild import NewTask

ROWS = {"P38": "the out-of-memory score adjustment"}

FILE = "/proc/self/oom_score_adj"


def collect(task: FrozenTask) -> None:
    """One file."""
    task.core.tc.oom_score_adj = task.proc.number("oom_score_adj")


def restore(task: NewTask) -> None:
    """Only where it differs from ours, which the tree inherits."""
    wanted, ours = task.core.tc.oom_score_adj, own.oom_score_adj()
    if wanted == ours or not task.core.tc.HasField("oom_score_adj"):
        return
    if wanted < ours and not own.has(CAP_SYS_RESOURCE):
        reason = f"its oom_score_adj {wanted} is out of reach, it becomes {ours}"
        task.tree.options.log.warning(f"{task.leader}: {reason} (lowering it needs CAP_SYS_RESOURCE)")
    with task.step(stages.PLACE, "oom_score_adj") as step:
        text = str(wanted).encode()
        fd = step.call("openat", AT_FDCWD, step.text(FILE), os.O_WRONLY, 0)
        step.call("write", fd, step.data(text), len(text), may=(EACCES,) if wanted < ours else ())
        step.call("close", fd)
