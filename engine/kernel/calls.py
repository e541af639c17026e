"""System calls through the extension: a value, or KernelError with the call's name and what it was for."""

from __future__ import annotations

from engine.abi.syscalls import NR
from engine.errors import KernelError
from engine.kernel._native import ffi, lib

U64 = (1 << 64) - 1

PROCESSES, FILES = 1, 0  # kcmp types this module names itself; the rest comes from engine.abi


def syscall(name: str, *args: int, subject: str = "", remedy: str = "") -> int:
    """The system call `name`; pointers are plain addresses."""
    result = attempt(name, *args)
    if result < 0:
        raise KernelError(name, -result, subject, remedy)
    return result


def attempt(name: str, *args: int) -> int:
    """The same, but a failure is returned as the negative errno."""
    padded = [a & U64 for a in args] + [0] * (6 - len(args))
    return int(lib.raw_syscall(getattr(NR, name), *padded))


def pidfd_open(pid: int) -> int:
    """A descriptor for the process, close-on-exec as all pidfds are (pidfd_open(2), Linux 5.3)."""
    return syscall("pidfd_open", pid, 0, subject=f"pid {pid}")


def pidfd_getfd(pidfd: int, fd: int, subject: str) -> int:
    """A duplicate of somebody else's descriptor (pidfd_getfd(2), Linux 5.6)."""
    return syscall("pidfd_getfd", pidfd, fd, 0, subject=subject)


def kcmp(pid1: int, pid2: int, kind: int, a: int = 0, b: int = 0) -> int:
    """0 equal, 1 less, 2 greater, 3 unequal without order (kcmp(2)); the order is the kernel's own secret."""
    return syscall("kcmp", pid1, pid2, kind, a, b, subject=f"pids {pid1} and {pid2}")


def read_memory(pid: int, address: int, size: int) -> bytes:
    """Bytes of a task's memory that it may read itself (process_vm_readv(2))."""
    buffer = ffi.new("char[]", size)
    copy_memory(pid, [(address, int(ffi.cast("uint64_t", buffer)), size)])
    return bytes(ffi.buffer(buffer, size))


def copy_memory(pid: int, pieces: list[tuple[int, int, int]], mem: int = -1, threads: int = 1) -> None:
    """Copies (remote, local, length) pieces of a task's memory to us, in several threads, the GIL released.

    With `mem`, an open /proc/PID/mem, pages that relatives share by copy-on-write stay shared, and memory that the task
    itself may not read is read. Without it process_vm_readv(2) is used: faster, but it pins pages, and the kernel gives
    the task a copy of its own of every shared page that is pinned (mm/gup.c, FAULT_FLAG_UNSHARE, Linux 5.19).
    """
    if not pieces:
        return
    fault = ffi.new("uint64_t *")
    array = ffi.new("struct piece[]", pieces)
    error = lib.copy_pieces(pid, mem, array, len(pieces), threads, fault)
    if error:
        call = "process_vm_readv" if mem < 0 else "pread of /proc/PID/mem"
        raise KernelError(call, -error, f"pid {pid}, memory at {fault[0]:#x}")
