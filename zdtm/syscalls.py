"""The few system calls that the harness needs and Python 3.11 does not wrap."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

PR_SET_PDEATHSIG = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000  # unshare(2)
CLONE_NEWPID = 0x20000000
MS_NOSUID = 0x2  # mount(2)
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
KCMP_FILE = 0  # kcmp(2)
_KCMP_NUMBERS = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343}

_SIGACTION_NUMBERS = {"x86_64": 13, "aarch64": 134, "riscv64": 134, "ppc64le": 173, "s390x": 174}

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


def end_with_parent(number: signal.Signals) -> None:
    """The signal comes to this process when the thread that started it ends."""
    _prctl(PR_SET_PDEATHSIG, number)


def unshare_pids_and_mounts() -> None:
    """The next child is the first of a pid namespace; mounts are seen by nobody else. Needs CAP_SYS_ADMIN."""
    _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare(CLONE_NEWNS | CLONE_NEWPID)")
    _mount(b"/", None, MS_REC | MS_PRIVATE)


def mount_proc() -> None:
    """The /proc of the pid namespace that this process is in."""
    _mount(b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _mount(target: bytes, kind: bytes | None, flags: int) -> None:
    _checked(_libc.mount(b"none", target, kind, ctypes.c_ulong(flags), None), f"mount({target.decode()})")


def kcmp_file(pid1: int, fd1: int, pid2: int, fd2: int) -> int:
    """Order of two open file descriptions inside the kernel: 0 the same, -1 and 1 a total order (kcmp(2))."""
    number = _KCMP_NUMBERS[platform.machine()]
    words = (ctypes.c_long(word) for word in (number, pid1, pid2, KCMP_FILE, fd1, fd2))
    return (0, -1, 1)[_checked(_libc.syscall(*words), f"kcmp({pid1} fd {fd1}, {pid2} fd {fd2})")]


def default_action(number: int) -> None:
    """Gives a signal its default action, also one that the C library keeps to itself (rt_sigaction(2))."""
    action = ctypes.create_string_buffer(64)  # all zero: SIG_DFL, no flags, an empty mask
    call = ctypes.c_long(_SIGACTION_NUMBERS[platform.machine()])
    _checked(_libc.syscall(call, ctypes.c_long(number), action, None, ctypes.c_long(8)), f"rt_sigaction({number})")
