"""Which kinds of mappings go into a core dump of a process (core(5), /proc/PID/coredump_filter)."""

from __future__ import annotations

import os

from engine.abi.fcntl import AT_FDCWD
from engine.resources import stages
from engine.resources.task import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.rebuild import NewTask

ROWS = {"P69": "the filter of core dumps"}

FILE = "/proc/self/coredump_filter"
DEFAULT = 0x33  # of most kernels; CONFIG_CORE_DUMP_DEFAULT_ELF_HEADERS is the 0x10 of it


def collect(task: FrozenTask) -> None:
    """One file."""
    if own.coredump_filter() >= 0 and (kinds := int(task.proc.read("coredump_filter"), 16)) != DEFAULT:
        task.mm.coredump_filter = kinds


def restore(task: NewTask) -> None:
    """It belongs to the memory, which nobody inherits any more at this stage."""
    if not task.mm.HasField("coredump_filter") or task.mm.coredump_filter == own.coredump_filter():
        return
    with task.step(stages.PLACE, "coredump_filter") as step:
        text = f"{task.mm.coredump_filter:#x}".encode()
        fd = step.call("openat", AT_FDCWD, step.text(FILE), os.O_WRONLY, 0)
        step.call("write", fd, step.data(text), len(text))
        step.call("close", fd)
