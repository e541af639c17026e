"""What the C library told the kernel about each thread: tid address, robust list, rseq area.

All of it is set by the thread itself; the rseq area is read before any of our code runs in it, because the kernel
clears its rseq_cs as soon as the thread runs anything else (kernel/rseq.c).
"""

from __future__ import annotations

import struct

from engine.abi.prctl import PR_GET_TID_ADDRESS
from engine.kernel import calls
from engine.resources import stages

RSEQ_CS_OFFSET = 8  # in struct rseq: what critical section the thread is in (linux/rseq.h)
UNREADABLE = (1 << 64) - 1
_PLACES = struct.Struct("<3Q")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenThread
    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref
    from engine.rebuild import NewThread

ROWS = {
    "P31": "robust futex lists",
    "P32": "the address that is cleared at a thread's end",
    "P33": "restartable sequences: the area, and a section that the thread was in",
}


def collect_thread(thread: FrozenThread) -> None:
    """Where its rseq area is."""
    rseq = thread.facts.rseq
    if rseq.pointer:
        entry = thread.core.thread_core.rseq_entry
        entry.rseq_abi_pointer, entry.rseq_abi_size, entry.signature = rseq.pointer, rseq.size, rseq.signature


def ask_thread(ask: Emitter) -> Ref:
    """Where its other areas are: three numbers."""
    places = ask.buffer(24)
    ask.call("prctl", PR_GET_TID_ADDRESS, places, 0, 0, 0)
    ask.call("get_robust_list", 0, places + 8, places + 16)
    return places


def hear_thread(thread: FrozenThread, places: Ref) -> None:
    """The tid address, the head of the robust list and its size."""
    core = thread.core
    tid_address, core.thread_core.futex_rla, core.thread_core.futex_rla_len = _PLACES.unpack(thread.read(places, 24))
    core.thread_info.clear_tid_addr = tid_address


def leave_critical_section(thread: FrozenThread) -> None:
    """A thread stopped inside a restartable sequence goes home to its abort handler, as after any preemption."""
    section = thread.facts.rseq_section
    if not section:
        return
    if section == UNREADABLE:  # says which memory it is
        section = int.from_bytes(calls.read_memory(thread.tid, thread.facts.rseq.pointer + RSEQ_CS_OFFSET, 8), "little")
    _, _, start, length, abort = struct.unpack("<IIQQQ", calls.read_memory(thread.tid, section, 32))
    if start <= thread.home.registers["rip"] < start + length:
        thread.home.registers["rip"] = abort


def restore_thread(thread: NewThread) -> None:
    """The memory they point to is in place."""
    core = thread.core.thread_core
    with thread.step(stages.PERSONAL, "futexes and rseq") as step:
        step.call("set_tid_address", thread.core.thread_info.clear_tid_addr)
        if core.futex_rla_len:
            step.call("set_robust_list", core.futex_rla, core.futex_rla_len)
        if core.rseq_entry.rseq_abi_pointer:
            entry = core.rseq_entry
            step.call("rseq", entry.rseq_abi_pointer, entry.rseq_abi_size, 0, entry.signature)
