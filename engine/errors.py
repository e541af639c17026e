"""Everything that Amber raises on purpose.

    AmberError              the user can mend it; printed as one line, exit status 1
    ├── UsageError          a wrong option or argument
    ├── Refused             the tree, the images or the machine hold what cannot be done: all obstacles at once
    ├── ImageError          an image file is missing, damaged or foreign
    ├── KernelError         a system call failed; carries the errno
    └── PlanError           an op failed inside a task; carries the op, its reason and the errno
    EngineBug               a broken promise of our own code; printed with a traceback

Every message names the object, the cause and, where there is one, the remedy.
"""

from __future__ import annotations

import errno as _errno
import os

from engine.tuples import NamedTuple


class AmberError(Exception):
    """A failure that the user can do something about."""


class UsageError(AmberError):
    """An option or argument that cannot be understood or does not fit the others."""


class ImageError(AmberError):
    """An image file is missing, damaged, foreign or contradicts another one."""


class Obstacle(NamedTuple):
    """One reason why a tree cannot be dumped or an image cannot be restored."""

    subject: str  # "pid 12 fd 9"
    reason: str  # "anon_inode:[kvm-vm] is not supported"
    remedy: str = ""  # "close it before the dump"

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}" + (f" ({self.remedy})" if self.remedy else "")


class Refused(AmberError):
    """The work is refused before anything was changed; carries every obstacle that was found."""

    def __init__(self, obstacles: list[Obstacle]) -> None:
        self.obstacles = obstacles
        super().__init__("; ".join(str(o) for o in obstacles))


class KernelError(AmberError):
    """A system call failed. `errno` is positive; `subject` names what the call was for."""

    def __init__(self, call: str, errno: int, subject: str = "", remedy: str = "") -> None:
        self.call, self.errno, self.subject = call, errno, subject
        name = _errno.errorcode.get(errno, str(errno))
        text = f"{call} failed: {name} ({os.strerror(errno)})"
        super().__init__((f"{subject}: " if subject else "") + text + (f"; {remedy}" if remedy else ""))


class PlanError(AmberError):
    """An op of a plan failed inside a task; `why` is the op's own reason for being there."""

    def __init__(self, why: str, op: str, errno: int, remedy: str = "") -> None:
        self.why, self.op, self.errno = why, op, errno
        name = _errno.errorcode.get(errno, str(errno))
        text = f"{why}: {op} failed: {name} ({os.strerror(errno)})"
        super().__init__(text + (f"; {remedy}" if remedy else ""))


class EngineBug(Exception):
    """Amber broke one of its own promises; never the user's fault."""
