"""struct mm: where code, data, heap, stack, arguments and environment lie, the auxiliary vector, and the executable.

Set at once by prctl(PR_SET_MM, PR_SET_MM_MAP) (Linux 3.18), which also works without CAP_SYS_RESOURCE. The executable
can be changed only when no mapping of the old one is left, so this comes after all mappings.
"""

from __future__ import annotations

import functools
import os

from engine.abi.prctl import PR_GET_DUMPABLE, PR_GET_THP_DISABLE, PR_SET_MM, PR_SET_MM_MAP, PRCTL_MM_MAP
from engine.images import pb
from engine.kernel.proc import parse_auxv
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask

ROWS = {
    "P63": "the link to the program",
    "P64": "where code, data, heap, stack, arguments and environment lie; the auxiliary vector",
}

# PRCTL_MM_MAP's fields in order, and where stat and mm_entry keep them
_STAT = ("startcode", "endcode", "start_data", "end_data", "start_brk", None, "startstack",
         "arg_start", "arg_end", "env_start", "env_end")  # fmt: skip
_ENTRY = ("mm_start_code", "mm_end_code", "mm_start_data", "mm_end_data", "mm_start_brk", "mm_brk",
          "mm_start_stack", "mm_arg_start", "mm_arg_end", "mm_env_start", "mm_env_end")  # fmt: skip


def collect(task: FrozenTask) -> None:
    """Most of it is in /proc/PID/stat."""
    for field, source in zip(_ENTRY, _STAT, strict=True):
        setattr(task.mm, field, getattr(task.stat, source) if source else 0)
    task.mm.MergeFromString(_auxv(task.proc.read("auxv")))
    task.mm.exe_file_id = task.tree.registry.path_id(task, "exe", os.O_RDONLY, "its executable")


@functools.lru_cache(1024)
def _auxv(raw: bytes) -> bytes:
    """The auxiliary vector as part of a serialised mm_entry; children have their parents'."""
    words = [word for pair in parse_auxv(raw) for word in pair]
    return pb.mm_entry(mm_saved_auxv=words).SerializePartialToString()


def ask(ask: Emitter) -> tuple[Slot, Slot, Slot]:
    """The end of the heap, and marks that belong to the memory."""
    brk = ask.attempt("brk", 0)
    return brk, ask.attempt("prctl", PR_GET_DUMPABLE), ask.attempt("prctl", PR_GET_THP_DISABLE, 0, 0, 0, 0)


def hear(task: FrozenTask, asked: tuple[Slot, Slot, Slot]) -> None:
    """Those three."""
    brk, dumpable, thp = asked
    task.mm.mm_brk = task.leader.answer(brk)
    task.mm.dumpable = task.leader.answer(dumpable)
    _note_huge_pages(task.mm, task.leader.answer(thp))


def _note_huge_pages(entry: pb.mm_entry, answer: int) -> None:
    """Whether they are off, and since Linux 6.18, for which memory: flags beside the lowest bit."""
    entry.thp_disabled = answer > 0
    if answer > 1:
        entry.thp_disable_flags = answer & ~1


def restore(task: NewTask) -> None:
    """The whole of struct prctl_mm_map in one call."""
    mm = task.mm
    auxv = b"".join(word.to_bytes(8, "little") for word in mm.mm_saved_auxv)
    with task.step(stages.SETTLE, "struct mm") as step:
        exe = task.tree.opener.open_path(task, mm.exe_file_id, os.O_RDONLY, step)
        numbers = [getattr(mm, field) for field in _ENTRY]
        layout = step.pack("11QQII", *numbers, step.data(auxv), len(auxv), 0)
        step.store(layout + PRCTL_MM_MAP.offsets["exe_fd"], exe, 4)
        step.call("prctl", PR_SET_MM, PR_SET_MM_MAP, layout, PRCTL_MM_MAP.size, 0)
        step.call("close", exe)
