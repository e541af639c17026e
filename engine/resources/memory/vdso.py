"""The vdso: code that the kernel maps into every task, and the data pages beside it.

It is never taken from an image: the running kernel's own is put where the task had it (arch_prctl ARCH_MAP_VDSO_64).
Programs keep pointers into it, so that is right only if it is the very same code: another kernel's is refused.
"""

from __future__ import annotations

import os

from engine.abi.prctl import ARCH_MAP_VDSO_64
from engine.errors import Obstacle, Refused
from engine.kernel._native import ffi
from engine.kernel.proc import ProcDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.plan.builder import Emitter
    from engine.rebuild import NewTask

ROWS = {"P61": "the vdso, at its old address"}
REFUSED = {"P61": "the vdso of another kernel"}

VDSO, VVAR = 8, 4096


def restore(task: NewTask, step: Emitter) -> None:
    """Maps data and code where the task had them; the data come first, the code directly behind."""
    areas = [v for v in task.mm.vmas if v.status & (VDSO | VVAR)]
    if not areas:
        return
    _check(task, sum(v.end - v.start for v in areas if v.status & VDSO))
    if areas[0].start not in task.kept:
        step.why = f"{task.leader}, vdso"
        step.call("arch_prctl", ARCH_MAP_VDSO_64, areas[0].start)


def _check(task: NewTask, code_size: int) -> None:
    """Same sizes, same code; images of other engines may lack the code, then the sizes must do."""
    data, code = _own()
    data_size = sum(v.end - v.start for v in task.mm.vmas if v.status & VVAR)
    if (data_size, code_size) != (data, len(code)):
        reason = f"its vdso has {data_size} bytes of data and {code_size} of code, this kernel's {data} and {len(code)}"
        raise Refused([Obstacle(str(task.leader), reason, "restore it on the kernel that it was dumped on")])
    if task.vdso is not None:
        fd = os.open(task.pages_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            same = os.pread(fd, task.vdso.length, task.vdso.offset) == code[: task.vdso.length]
        finally:
            os.close(fd)
        if not same:
            reason = "its vdso is another kernel's, and standing in for it is not supported yet"
            raise Refused([Obstacle(str(task.leader), reason, "restore it on the kernel that it was dumped on")])


def _own() -> tuple[int, bytes]:
    """(Bytes of data pages, the code) of this process' own vdso."""
    if not _known:
        with ProcDir(os.getpid()) as proc:
            maps = proc.maps()
        data = sum(m.end - m.start for m in maps if m.name.startswith("[vvar"))
        code = next((m for m in maps if m.name == "[vdso]"), None)
        content = bytes(ffi.buffer(ffi.cast("char *", code.start), code.end - code.start)) if code else b""
        _known.append((data, content))
    return _known[0]


_known: list[tuple[int, bytes]] = []
