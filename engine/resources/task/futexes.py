"""What the C library told the kernel about each thread: tid address, robust list, rseq area.

All of it is set by the thread itself; the rseq area is read before any of our code runs in it, because the kernel
clears its rseq_cs as soon as the thread runs anything else (kernel/rseq.c).
"""

from __future__ import annotations

import struct

from engine.abi.prctl import PR_GET_TID_ADDRESS
from engine.images import pb
from engine.kernel import calls
from engine.resources import stages

RSEQ_CS_OFFSET = 8  # in struct rseq: what critical section the thread is in (linux/rseq.h)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.frozen import FrozenThread
    from engine.rebuild import NewThread

ROWS = {
    "P31": "robust futex lists",
    "P32": "the address that is cleared at a thread's end",
    "P33": "restartable sequences: the area, and a section that the thread was in",
}


def collect_thread(thread: FrozenThread) -> Iterator[None]:
    """Asks the thread where its areas are."""
    ask, core = thread.ask, thread.core
    tid_address, head, length = ask.buffer(8), ask.buffer(8), ask.buffer(8)
    ask.call("prctl", PR_GET_TID_ADDRESS, tid_address, 0, 0, 0)
    ask.call("get_robust_list", 0, head, length)
    if thread.rseq.pointer:
        core.thread_core.rseq_entry.CopyFrom(
            pb.rseq_entry(
                rseq_abi_pointer=thread.rseq.pointer,
                rseq_abi_size=thread.rseq.size,
                signature=thread.rseq.signature,
            )
        )
    yield
    core.thread_info.clear_tid_addr = thread.number(tid_address)
    core.thread_core.futex_rla = thread.number(head)
    core.thread_core.futex_rla_len = thread.number(length)


def leave_critical_section(thread: FrozenThread) -> None:
    """A thread stopped inside a restartable sequence goes home to its abort handler, as after any preemption."""
    thread.rseq = thread.tracee.rseq()
    if not thread.rseq.pointer:
        return
    (section,) = struct.unpack("<Q", calls.read_memory(thread.tid, thread.rseq.pointer + RSEQ_CS_OFFSET, 8))
    if not section:
        return
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
