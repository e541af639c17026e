"""One traced thread: ptrace(2) with PTRACE_SEIZE, never PTRACE_ATTACH.

A tracee is seized and interrupted without a signal. All waiting is by tid with __WALL; what else the kernel may
report meanwhile (a signal on its way, a group-stop) is kept apart here, so that nobody above has to think of it.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from operator import itemgetter

from engine.abi import ptrace as abi
from engine.abi.seccomp import SOCK_FILTER
from engine.abi.signal import SIGINFO
from engine.errors import AmberError, KernelError
from engine.kernel._native import ffi, lib
from engine.tuples import NamedTuple

Registers = dict[str, int]

U64 = (1 << 64) - 1
_FIELDS = tuple(abi.USER_REGS.offsets)
_REGS = abi.USER_REGS.struct
_in_order = itemgetter(*_FIELDS)
_REQUESTS = {v: k for k, v in vars(abi).items() if k.startswith("PTRACE_") and k.split("_")[1] not in ("O", "EVENT")}
_BUFFER = ffi.new("char[]", 65536)
_STATUS = ffi.new("int *")
_STOP_SIGNALS = (19, 20, 21, 22)  # SIGSTOP SIGTSTP SIGTTIN SIGTTOU: a group-stop shows one of them
PTRACE_GET_THREAD_AREA, PTRACE_SET_THREAD_AREA = 25, 26  # asm/ptrace-abi.h
SIGTRAP = 5
PATIENCE = 1.0  # seconds for a thread to stop or to end when it is let go
SYSCALL_STOP = SIGTRAP | 0x80  # SIGTRAP with PTRACE_O_TRACESYSGOOD


class Stop(NamedTuple):
    """Why a tracee stopped: `signal` on its way (event 0), or an event of the tracer's."""

    signal: int
    event: int

    @property
    def is_group_stop(self) -> bool:
        """Stopped by job control, and will stay so when it is let go."""
        return self.event == abi.PTRACE_EVENT_STOP and self.signal in _STOP_SIGNALS


class Gone(AmberError):
    """The task ended while it was worked on; `status` is its wait status."""

    def __init__(self, tid: int, status: int) -> None:
        self.tid, self.status = tid, status
        how = f"by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"with status {status >> 8}"
        super().__init__(f"task {tid}: ended {how} while it was worked on")


class Rseq(NamedTuple):
    """struct ptrace_rseq_configuration: where a thread's restartable-sequences area is (Linux 5.13)."""

    pointer: int
    size: int
    signature: int
    flags: int


def pack_registers(registers: Registers) -> bytes:
    """struct user_regs_struct; every field must be there."""
    return _REGS.pack(*_in_order(registers))


def unpack_registers(raw: bytes) -> Registers:
    """The way back."""
    return dict(zip(_FIELDS, _REGS.unpack(raw), strict=True))


def request(number: int, tid: int, address: int = 0, data: int = 0) -> int:
    """A raw ptrace request; KernelError names the task."""
    result = int(lib.ptrace_call(number, tid, address & U64, data & U64))
    if result < 0:
        raise KernelError(_REQUESTS.get(number, "ptrace"), -result, f"task {tid}", hint(result))
    return result


def hint(result: int) -> str:
    """What may be behind a refused request."""
    return "is it traced by a debugger?" if result == -errno.EPERM else ""


class Tracee:
    """A thread under ptrace. After `seize`, `interrupt` and `wait` it is stopped and its own."""

    __slots__ = ("late_signals", "options", "pid", "stop", "tid")

    def __init__(self, pid: int, tid: int) -> None:
        self.pid, self.tid = pid, tid
        self.stop = Stop(0, 0)
        self.late_signals: list[int] = []  # arrived while the task was not itself; delivered at detach

    def seize(self, options: int = abi.PTRACE_O_TRACESYSGOOD) -> None:
        """PTRACE_SEIZE: traced from now on, and still running."""
        request(abi.PTRACE_SEIZE, self.tid, 0, options)

    def interrupt(self) -> None:
        """Asks for a stop without a signal; `wait` sees it, or the thread's end."""
        result = lib.ptrace_call(abi.PTRACE_INTERRUPT, self.tid, 0, 0)
        if result < 0 and result != -errno.ESRCH:
            raise KernelError("PTRACE_INTERRUPT", -result, f"task {self.tid}")

    def wait_frozen(self) -> None:
        """Waits for the stop that `interrupt` asked for. Signals on their way are delivered first."""
        self.wait()
        self._reach_stop()

    def froze(self, status: int) -> None:
        """The same, when the first stop was waited for elsewhere (threads.py): a wait status or a negative errno."""
        self.stopped(status)
        self._reach_stop()

    def stopped(self, status: int) -> Stop:
        """Takes in a stop that was waited for elsewhere."""
        if status < 0:
            raise KernelError("wait4", -status, f"task {self.tid}")
        self.stop = decode(self.tid, status)
        return self.stop

    def __str__(self) -> str:
        return f"pid {self.tid}" if self.tid == self.pid else f"pid {self.pid}, thread {self.tid}"

    def _reach_stop(self) -> None:
        while self.stop.event != abi.PTRACE_EVENT_STOP:
            request(abi.PTRACE_CONT, self.tid, 0, self.stop.signal)
            self.wait()

    def wait(self) -> Stop:
        """Waits for the next stop of this thread, whatever it is."""
        while (result := lib.wait_task(self.tid, _STATUS, 0)) == -errno.EINTR:
            pass
        return self.stopped(_STATUS[0] if result > 0 else result)

    def poll(self) -> Stop | None:
        """The next stop, if it has come already."""
        status = self.poll_status()
        if status is None:
            return None
        if status < 0:
            raise KernelError("wait4", -status, f"task {self.tid}")
        return decode(self.tid, status)

    def run_to(self, signal: int, event: int = 0, how: int = abi.PTRACE_CONT) -> None:
        """Lets the thread run until it stops with just this signal and event. SIGSTOP cannot be blocked: when it
        comes meanwhile, it is kept for `detach`."""
        while True:
            request(how, self.tid)
            if self.has_reached(self.wait(), signal, event):
                return

    def has_reached(self, stop: Stop, signal: int, event: int = 0) -> bool:
        """Whether a stop is the one that was wanted; if not, what came in its place is kept, or is an error."""
        if stop == (signal, event):
            return True
        if stop.event == 0 and stop.signal in (4, 7, 8, 11):
            raise AmberError(f"task {self.tid}: signal {stop.signal} while our code ran in it")
        if stop.event == 0 and stop.signal != signal:
            self.late_signals.append(stop.signal)
        return False

    def registers(self) -> Registers:
        """General registers by name, `orig_rax`, `fs_base` and `gs_base` among them (NT_PRSTATUS)."""
        self._regset(abi.PTRACE_GETREGSET, abi.NT_PRSTATUS, _REGS.size)
        return unpack_registers(bytes(ffi.buffer(_BUFFER, _REGS.size)))

    def set_registers(self, registers: Registers) -> None:
        """The way back; every field must be there."""
        ffi.memmove(_BUFFER, pack_registers(registers), _REGS.size)
        self._regset(abi.PTRACE_SETREGSET, abi.NT_PRSTATUS, _REGS.size)

    def xstate(self) -> bytes:
        """Extended state in the uncompacted xsave layout (NT_X86_XSTATE)."""
        size = self._regset(abi.PTRACE_GETREGSET, abi.NT_X86_XSTATE, len(ffi.buffer(_BUFFER)))
        return bytes(ffi.buffer(_BUFFER, size))

    def set_xstate(self, state: bytes) -> None:
        """The way back; the size must be the kernel's own."""
        ffi.memmove(_BUFFER, state, len(state))
        self._regset(abi.PTRACE_SETREGSET, abi.NT_X86_XSTATE, len(state))

    def thread_area(self, number: int) -> bytes:
        """struct user_desc of one of the GDT's thread-local entries (arch/x86/kernel/tls.c)."""
        request(PTRACE_GET_THREAD_AREA, self.tid, number, _address(_BUFFER))
        return bytes(ffi.buffer(_BUFFER, 16))

    def set_thread_area(self, number: int, area: bytes) -> None:
        """The way back."""
        ffi.memmove(_BUFFER, area, len(area))
        request(PTRACE_SET_THREAD_AREA, self.tid, number, _address(_BUFFER))

    def signal_mask(self) -> int:
        """Blocked signals, bit n-1 for signal n (PTRACE_GETSIGMASK, Linux 3.11)."""
        request(abi.PTRACE_GETSIGMASK, self.tid, 8, _address(_BUFFER))
        return int.from_bytes(ffi.buffer(_BUFFER, 8), "little")

    def set_signal_mask(self, mask: int) -> None:
        """The way back."""
        ffi.memmove(_BUFFER, mask.to_bytes(8, "little"), 8)
        request(abi.PTRACE_SETSIGMASK, self.tid, 8, _address(_BUFFER))

    def pending_signals(self, shared: bool) -> list[bytes]:
        """Queued siginfo, 128 bytes each, of the process or of this thread (PTRACE_PEEKSIGINFO, Linux 3.10)."""
        found: list[bytes] = []
        flags = abi.PTRACE_PEEKSIGINFO_SHARED if shared else 0
        while True:
            args = ffi.new("char[]", struct.pack("<QIi", len(found), flags, 32))
            count = request(abi.PTRACE_PEEKSIGINFO, self.tid, _address(args), _address(_BUFFER))
            found += [bytes(ffi.buffer(_BUFFER + 128 * i, 128)) for i in range(count)]
            if not count:
                return found

    def step(self, signal: int = 0) -> Stop:
        """One instruction, after a signal is delivered: Stop(0, 0), or what else the thread stopped for."""
        request(abi.PTRACE_SINGLESTEP, self.tid, 0, signal)
        stop = self.wait()
        if stop == (SIGTRAP, 0):
            request(abi.PTRACE_GETSIGINFO, self.tid, 0, _address(_BUFFER))
            if SIGINFO.get(ffi.buffer(_BUFFER, SIGINFO.size), "si_code") > 0:  # the kernel's, nobody sent it
                return Stop(0, 0)
        return stop

    def stop_signal(self) -> int:
        """The signal that a group-stopped task was stopped with."""
        return self.stop.signal

    def rseq(self) -> Rseq:
        """Where the thread's rseq area is; all zero when it never registered one."""
        layout = abi.RSEQ_CONFIGURATION
        request(abi.PTRACE_GET_RSEQ_CONFIGURATION, self.tid, layout.size, _address(_BUFFER))
        return Rseq(*layout.struct.unpack(ffi.buffer(_BUFFER, layout.size))[:4])

    def seccomp_filters(self) -> list[tuple[bytes, int]]:
        """(program, SECCOMP_FILTER_FLAG_* bits) of each filter, the oldest first: there the
        manual page is wrong (kernel/seccomp.c, get_nth_filter; Linux 4.4, the flags 4.16)."""
        found: list[tuple[bytes, int]] = []
        metadata = abi.SECCOMP_METADATA
        while True:
            length = lib.ptrace_call(abi.PTRACE_SECCOMP_GET_FILTER, self.tid, len(found), _address(_BUFFER))
            if length == -errno.ENOENT:
                return found
            if length < 0:
                raise KernelError("PTRACE_SECCOMP_GET_FILTER", -length, f"task {self.tid}")
            code = bytes(ffi.buffer(_BUFFER, length * SOCK_FILTER.size))
            ffi.memmove(_BUFFER, metadata.pack(filter_off=len(found)), metadata.size)
            known = lib.ptrace_call(abi.PTRACE_SECCOMP_GET_METADATA, self.tid, metadata.size, _address(_BUFFER)) >= 0
            found.append((code, metadata.get(ffi.buffer(_BUFFER, metadata.size), "flags") if known else 0))

    def detach(self) -> None:
        """Lets the stopped task go; signals that came at a bad moment are sent on."""
        if not self._detach(0):
            self.let_go()

    def let_go(self) -> None:
        """The same when it may be running, or dying: only from a stop it can be let go, and as long as somebody who
        was killed is traced, its parent does not hear of it. A signal that it stopped for is delivered."""
        while not self._detach(self._signal_on_its_way()):
            self.interrupt()
            if not self._has_stopped():
                return

    def _detach(self, signal: int) -> bool:
        """False if it is not stopped."""
        result = lib.ptrace_call(abi.PTRACE_DETACH, self.tid, 0, signal)
        if result < 0 and result != -errno.ESRCH:
            raise KernelError("PTRACE_DETACH", -result, f"task {self.tid}")
        for late in self.late_signals if result >= 0 else ():
            lib.raw_syscall(234, self.pid, self.tid, late, 0, 0, 0)  # tgkill
        return bool(result >= 0)

    def _signal_on_its_way(self) -> int:
        """What it stopped for, if that was a signal."""
        if lib.ptrace_call(abi.PTRACE_GETSIGINFO, self.tid, 0, _address(_BUFFER)) < 0:
            return 0
        code = SIGINFO.get(ffi.buffer(_BUFFER, SIGINFO.size), "si_code")
        ours = code == SYSCALL_STOP or code >> 8 == abi.PTRACE_EVENT_STOP
        return 0 if ours else SIGINFO.get(ffi.buffer(_BUFFER, SIGINFO.size), "si_signo")

    def _has_stopped(self) -> bool:
        """Waits a while for its next stop; False when it has ended, or executed a program under another number."""
        until = time.monotonic() + PATIENCE
        while (status := self.poll_status()) is None:
            if time.monotonic() > until:
                raise AmberError(f"task {self.tid}: it does not stop, and stays traced until Amber ends")
            time.sleep(0.001)
        return status >= 0 and os.WIFSTOPPED(status)

    def poll_status(self) -> int | None:
        """Wait status of its next stop or its end, or a negative errno; None when nothing has happened yet."""
        result = int(lib.wait_task(self.tid, _STATUS, os.WNOHANG))
        return int(_STATUS[0]) if result > 0 else result or None

    def _regset(self, number: int, kind: int, size: int) -> int:
        result = int(lib.ptrace_regset(number, self.tid, kind, _BUFFER, size))
        if result < 0:
            raise KernelError(_REQUESTS[number], -result, f"task {self.tid}")
        return result


def decode(tid: int, status: int) -> Stop:
    """A wait status as a stop; Gone when the task ended."""
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        raise Gone(tid, status)
    return Stop(os.WSTOPSIG(status), status >> 16)


def _address(buffer: object) -> int:
    return int(ffi.cast("uint64_t", buffer))
