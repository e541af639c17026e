"""The vdso: code that the kernel maps into every task, and the data pages beside it.

It is never taken from an image: the running kernel's own is put where the task had it (arch_prctl ARCH_MAP_VDSO_64).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.abi.prctl import ARCH_MAP_VDSO_64

if TYPE_CHECKING:
    from engine.plan.builder import Emitter
    from engine.rebuild import NewTask

VDSO, VVAR = 8, 4096


def restore(task: NewTask, step: Emitter) -> None:
    """Maps data and code where the task had them; the data come first, the code directly behind."""
    places = [v.start for v in task.mm.vmas if v.status & (VDSO | VVAR)]
    if places and min(places) not in task.kept:
        step.why = f"{task.leader}, vdso"
        step.call("arch_prctl", ARCH_MAP_VDSO_64, min(places))
