"""The few system calls that the harness needs and Python 3.11 does not wrap."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

PR_SET_PDEATHSIG = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000
MS_REC = 0x4000  # mount(2)
MS_PRIVATE = 1 << 18
KCMP_FILE = 0  # kcmp(2)
_KCMP_NUMBERS = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int) -> None:
    _checked(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def become_subreaper() -> None:
    """Orphans among the descendants become children of this process (Linux 3.4)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """SIGTERM to this process when the thread that started it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def leave_mount_namespace() -> None:
    """Into a copy of the mount namespace, whose mounts nobody else sees. Needs CAP_SYS_ADMIN."""
    _checked(_libc.unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    flags = ctypes.c_ulong(MS_REC | MS_PRIVATE)
    _checked(_libc.mount(b"none", b"/", None, flags, None), "mount --make-rprivate /")


def kcmp_file(pid1: int, fd1: int, pid2: int, fd2: int) -> int:
    """Order of two open file descriptions inside the kernel: 0 the same, -1 and 1 a total order (kcmp(2))."""
    number = _KCMP_NUMBERS[platform.machine()]
    words = (ctypes.c_long(word) for word in (number, pid1, pid2, KCMP_FILE, fd1, fd2))
    return (0, -1, 1)[_checked(_libc.syscall(*words), f"kcmp({pid1} fd {fd1}, {pid2} fd {fd2})")]
