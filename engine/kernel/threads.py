"""Many stopped threads at once: one crossing into C for what would be a dozen requests to each of them.

The tree is frozen meanwhile. One thread that fails, or stopped for another reason, does not change what is
known of the others: every row has a result of its own.
"""

from __future__ import annotations

import struct

from engine.abi import ptrace as abi
from engine.errors import AmberError, KernelError
from engine.kernel._native import ffi, lib
from engine.kernel.ptrace import SYSCALL_STOP, Rseq, pack_registers, unpack_registers
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.kernel.ptrace import Registers, Tracee

_REGISTERS = abi.USER_REGS.size
FACTS = struct.Struct(f"<iiQ{_REGISTERS}sQIII4xQ48sQ")
"""struct thread of native/many.c; the extended state follows."""

_ROW = struct.Struct("<iiQQQq")
"""struct request of native/many.c"""


class Facts(NamedTuple):
    """What ptrace tells of a stopped thread."""

    registers: Registers
    xstate: bytes  # NT_X86_XSTATE: the uncompacted xsave layout
    mask: int  # blocked signals, bit n-1 for signal n
    rseq: Rseq
    rseq_section: int  # rseq_cs of the rseq area: 0 outside of critical sections, all ones if it cannot be read
    tls: bytes  # three struct user_desc of 16 bytes: the thread-local entries of the GDT


def look(tids: Sequence[int]) -> list[Facts]:
    """The facts of stopped threads of ours. KernelError names the first that could not be looked at."""
    room = FACTS.size + _xstate_room()
    buffer = ffi.new("char[]", room * len(tids))
    raw = ffi.buffer(buffer)
    for i, tid in enumerate(tids):
        struct.pack_into("<i", raw, i * room, tid)
    lib.thread_facts(buffer, len(tids), room)
    return [_facts(raw, i * room) for i in range(len(tids))]


def _facts(raw: memoryview, at: int) -> Facts:
    tid, error, mask, registers, pointer, size, signature, flags, section, tls, length = FACTS.unpack_from(raw, at)
    if error:
        raise KernelError("ptrace", error, f"task {tid}")
    state = bytes(raw[at + FACTS.size : at + FACTS.size + length])
    return Facts(unpack_registers(registers), state, mask, Rseq(pointer, size, signature, flags), section, tls)


def _xstate_room() -> int:
    """Bytes of extended state if all that the processor knows were in use (CPUID leaf 0xd, ECX)."""
    if not _room:
        out = ffi.new("unsigned[4]")
        lib.cpuid(0xD, 0, out)
        _room.append(out[2] + 63 & -64)
    return _room[0]


_room: list[int] = []


class Requests:
    """Ptrace requests that are made one after the other when `run` is called."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, bool]] = []
        self._data = bytearray()

    def add(self, number: int, tid: int, address: int = 0, data: int = 0) -> None:
        """A request with plain numbers."""
        self._rows.append((number, tid, address, data, 0, False))

    def set_registers(self, tid: int, registers: Registers) -> None:
        """The general registers (NT_PRSTATUS)."""
        row = (abi.PTRACE_SETREGSET, tid, abi.NT_PRSTATUS, len(self._data), _REGISTERS, True)
        self._rows.append(row)
        self._data += pack_registers(registers)

    def set_xstate(self, tid: int, state: bytes) -> None:
        """The extended state; its size must be the kernel's own."""
        self._rows.append((abi.PTRACE_SETREGSET, tid, abi.NT_X86_XSTATE, len(self._data), len(state), True))
        self._data += state

    def set_signal_mask(self, tid: int, mask: int) -> None:
        """The blocked signals."""
        self._rows.append((abi.PTRACE_SETSIGMASK, tid, 8, len(self._data), 0, True))
        self._data += mask.to_bytes(8, "little")

    def run(self) -> list[int]:
        """Makes them all; the result of each, negative errnos among them."""
        raw = bytearray(_ROW.size * len(self._rows))
        data = ffi.from_buffer(self._data) if self._data else ffi.NULL
        base = int(ffi.cast("uint64_t", data))
        for i, (number, tid, address, value, length, points) in enumerate(self._rows):
            _ROW.pack_into(raw, i * _ROW.size, number, tid, address, base + value if points else value, length, 0)
        lib.ptrace_many(ffi.cast("struct request *", ffi.from_buffer(raw)), len(self._rows))
        return [row[-1] for row in _ROW.iter_unpack(raw)]


def must(results: Sequence[int], tids: Sequence[int], what: str) -> None:
    """KernelError for the first thread whose requests, as many for each, did not all succeed."""
    each = len(results) // max(len(tids), 1)
    for i, result in enumerate(results):
        if result < 0:
            raise KernelError(what, -result, f"task {tids[i // each]}")


def through_call(
    tracees: Sequence[Tracee], instead: Mapping[int, Registers] | None = None
) -> dict[int, AmberError]:
    """Lets threads run into their next system call and out of it (PTRACE_SYSCALL), with other registers from inside on
    if some are given by tid. One that cannot keeps no other from it: who is left on the way in would make the call that
    its registers name whenever it is let go. Returns what went wrong, by tid."""
    errors: dict[int, AmberError] = {}
    inside = _to_next_stop(tracees, errors, {})
    _to_next_stop(inside, errors, instead or {})
    return errors


def _to_next_stop(
    tracees: Sequence[Tracee], errors: dict[int, AmberError], registers: Mapping[int, Registers]
) -> list[Tracee]:
    """Those that entered a system call, or came out of it."""
    requests = Requests()
    going: list[Tracee] = []
    reached: list[Tracee] = []
    for tracee in tracees:
        if tracee.tid in registers:
            requests.set_registers(tracee.tid, registers[tracee.tid])
        requests.add(abi.PTRACE_SYSCALL, tracee.tid)
    each = 2 if registers else 1
    for tracee, result in zip(tracees, requests.run()[each - 1 :: each], strict=True):
        if result < 0:
            errors[tracee.tid] = KernelError("PTRACE_SYSCALL", -result, f"task {tracee.tid}")
        else:
            going.append(tracee)
    for tracee, status in zip(going, wait([tracee.tid for tracee in going]), strict=True):
        try:
            if not tracee.has_reached(tracee.stopped(status), SYSCALL_STOP):
                tracee.run_to(SYSCALL_STOP, how=abi.PTRACE_SYSCALL)
            reached.append(tracee)
        except AmberError as error:
            errors[tracee.tid] = error
    return reached


def wait(tids: Sequence[int]) -> list[int]:
    """The wait status of the next stop, or the end, of each thread; a negative errno where there is none."""
    numbers, statuses = ffi.new("int[]", list(tids)), ffi.new("int[]", len(tids))
    done = 0
    while done < len(tids):  # a signal, such as the alarm's, has its handler run between two rounds
        done += lib.wait_many(numbers + done, statuses + done, len(tids) - done)
    return list(statuses)
