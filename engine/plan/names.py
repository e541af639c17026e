"""Names for the numbers in system calls, by the kinds of engine/plan/signatures.py: for people who read listings."""

from __future__ import annotations

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# kind -> (module of engine.abi, prefix of its names)
_FLAGS = {
    "prot": ("mman", "PROT_"), "map": ("mman", "MAP_"), "mremap": ("mman", "MREMAP_"), "memfd": ("mman", "MFD_"),
    "clone": ("sched", "CLONE_"), "open": ("fcntl", "O_"), "file": ("fcntl", "O_"),
}  # fmt: skip
_CHOICES = {
    "madvise": ("mman", "MADV_"), "signal": ("signal", "SIG"), "itimer": ("time", "ITIMER_"),
    "rlimit": ("resource", "RLIMIT_"), "epoll": ("epoll", "EPOLL_CTL_"),
}  # fmt: skip
_COMMANDS = ("prctl", "arch", "membarrier", "fcntl", "ioctl")
_WHENCE = dict(enumerate("SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE".split()))  # noqa: SIM905
_SIGMASK = dict(enumerate("SIG_BLOCK SIG_UNBLOCK SIG_SETMASK".split()))  # noqa: SIM905
O_ACCMODE = 3
MAP_TYPE = 0xF
SIGRTMIN, NSIG = 32, 64


def name(kind: str, value: int) -> str | None:
    """How a number of this kind is called; None for kinds that are just numbers."""
    if kind in _FLAGS:
        return _flags(kind, value)
    if kind in _CHOICES or kind in _COMMANDS or kind in ("whence", "sigmask"):
        return _choices(kind).get(value) or _real_time(kind, value) or number(value)
    if kind == "mode":
        return f"{value:#o}" if value else "0"
    if kind == "at" and value == -100:
        return "AT_FDCWD"
    return None


def _real_time(kind: str, value: int) -> str:
    return f"SIGRTMIN+{value - SIGRTMIN}" if kind == "signal" and SIGRTMIN < value <= NSIG else ""


def number(value: int) -> str:
    """Small numbers decimal, others hexadecimal."""
    return str(value) if -1000 <= value < 1000 else hex(value)


def errno_name(value: int) -> str:
    """ENOENT for 2."""
    import errno

    return errno.errorcode.get(value, str(value))


def _flags(kind: str, value: int) -> str:
    """Names of all bits, the rest as a number. The lowest bits of two kinds are a choice."""
    found, left = [], value
    if kind == "open" and not value & 0o10000000:  # O_PATH has no access mode
        found.append(("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[value & O_ACCMODE])
        left &= ~O_ACCMODE
    elif kind == "map":
        found.append(_bits("map").get(value & MAP_TYPE, "0"))
        left &= ~MAP_TYPE
    for bits, text in _bits(kind).items():
        if bits and left & bits == bits:
            found.append(text)
            left &= ~bits
    if left or not found:
        found.append(number(left))
    return "|".join(found)


@cache
def _bits(kind: str) -> dict[int, str]:
    """Value -> name, the values with more bits first: O_SYNC contains O_DSYNC."""
    module, prefix = _FLAGS[kind]
    found = {v: n for n, v in _constants(module, prefix) if v and n not in ("O_ACCMODE", "MAP_TYPE", "MAP_HUGE_MASK")}
    return dict(sorted(found.items(), key=lambda item: -item[0].bit_count()))


@cache
def _choices(kind: str) -> dict[int, str]:
    if kind == "whence":
        return _WHENCE
    if kind == "sigmask":
        return _SIGMASK
    if kind in _COMMANDS:
        from engine.plan.signatures import command_names

        return command_names("arch_prctl" if kind == "arch" else kind)
    module, prefix = _CHOICES[kind]
    wanted: Callable[[str], bool] = (lambda n: "_" not in n) if kind == "signal" else (lambda n: True)
    return {value: n for n, value in _constants(module, prefix) if wanted(n)}


def _constants(module: str, prefix: str) -> list[tuple[str, int]]:
    from importlib import import_module

    names = vars(import_module(f"engine.abi.{module}")).items()
    return [(n, value) for n, value in names if n.startswith(prefix) and isinstance(value, int)]
