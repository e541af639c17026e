"""What the engine itself has, and so can give: privileges, and settings that tasks inherit from it."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from engine.kernel.proc import ProcDir

if TYPE_CHECKING:
    from engine.kernel.proc import Status


@functools.cache
def status() -> Status:
    """Our own /proc/PID/status, read once."""
    with ProcDir(os.getpid()) as proc:
        return proc.status()


def has(capability: int) -> bool:
    """Whether a capability is in our effective set."""
    return bool(status().cap_effective >> capability & 1)


@functools.cache
def oom_score_adj() -> int:
    """What every task that we start begins with."""
    with ProcDir(os.getpid()) as proc:
        return proc.number("oom_score_adj")
