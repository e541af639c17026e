"""/proc/PID/status (proc_pid_status(5))."""

from __future__ import annotations

import functools

from engine.tuples import NamedTuple

_SETS = ("Inh", "Prm", "Eff", "Bnd", "Amb")
Ids = tuple[int, int, int, int]  # real, effective, saved, file system


class Status(NamedTuple):
    """What the text says about one thread. None: this kernel, or this task's state, has no such line."""

    name: str
    umask: int | None  # missing for a zombie
    state: str  # one letter
    tgid: int
    pid: int
    ppid: int
    tracer_pid: int
    uids: Ids
    gids: Ids
    fd_size: int
    groups: tuple[int, ...]
    ns_tgid: tuple[int, ...]  # one for each pid namespace, the reader's first; empty without CONFIG_PID_NS
    ns_pid: tuple[int, ...]
    ns_pgid: tuple[int, ...]
    ns_sid: tuple[int, ...]
    kthread: bool | None  # 6.8
    threads: int
    pending: int  # signal sets: bit n-1 stands for signal n
    shared_pending: int
    blocked: int
    ignored: int
    caught: int
    cap_inheritable: int
    cap_permitted: int
    cap_effective: int
    cap_bounding: int
    cap_ambient: int
    no_new_privs: int
    seccomp: int | None  # SECCOMP_MODE_*; missing without CONFIG_SECCOMP
    seccomp_filters: int | None  # 5.9
    thp_enabled: bool | None  # 5.0
    untag_mask: int | None  # 6.4
    vm_size: int | None  # bytes; missing without memory: zombies and kernel threads
    vm_locked: int | None
    vm_resident: int | None
    vm_anonymous: int | None  # of the resident ones those that are no file's (4.5)
    vm_swapped: int | None
    vm_hugetlb: int | None


def parse_status(raw: bytes) -> Status:
    """The whole text."""
    wanted = raw.partition(b"\nCpus_allowed")[0]  # what follows are long masks and counters
    changing, _, confinement = wanted.partition(b"\nCapInh:")
    got = _lines(changing)
    lasting = _lasting(confinement)
    return Status(
        _unescape(got["Name"]),
        _optional(got, "Umask", 8),
        got["State"][0],
        int(got["Tgid"]),
        int(got["Pid"]),
        int(got["PPid"]),
        int(got["TracerPid"]),
        _ids(got["Uid"]),
        _ids(got["Gid"]),
        int(got["FDSize"]),
        _numbers(got["Groups"]),
        _numbers(got.get("NStgid", "")),
        _numbers(got.get("NSpid", "")),
        _numbers(got.get("NSpgid", "")),
        _numbers(got.get("NSsid", "")),
        _flag(got, "Kthread"),
        int(got["Threads"]),
        int(got["SigPnd"], 16),
        int(got["ShdPnd"], 16),
        int(got["SigBlk"], 16),
        int(got["SigIgn"], 16),
        int(got["SigCgt"], 16),
        *lasting,
        _flag(got, "THP_enabled"),
        _optional(got, "untag_mask", 16),
        _kilobytes(got, "VmSize"),
        _kilobytes(got, "VmLck"),
        _kilobytes(got, "VmRSS"),
        _kilobytes(got, "RssAnon"),
        _kilobytes(got, "VmSwap"),
        _kilobytes(got, "HugetlbPages"),
    )


@functools.lru_cache(256)  # threads of one program have it in common
def _lasting(raw: bytes) -> tuple[int, int, int, int, int, int, int | None, int | None]:
    """What confines a thread, from the capability sets on."""
    got = _lines(b"CapInh:" + raw)
    inheritable, permitted, effective, bounding, ambient = (int(got[f"Cap{name}"], 16) for name in _SETS)
    seccomp, filters = _optional(got, "Seccomp"), _optional(got, "Seccomp_filters")
    return inheritable, permitted, effective, bounding, ambient, int(got["NoNewPrivs"]), seccomp, filters


def _lines(raw: bytes) -> dict[str, str]:
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _unescape(name: str) -> str:
    # fs/proc/array.c, proc_task_name(): only the newline and the backslash are escaped.
    return name.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\") if "\\" in name else name


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _ids(text: str) -> Ids:
    real, effective, saved, fs = map(int, text.split())
    return real, effective, saved, fs


def _optional(got: dict[str, str], key: str, base: int = 10) -> int | None:
    text = got.get(key)
    return None if text is None else int(text, base)


def _flag(got: dict[str, str], key: str) -> bool | None:
    text = got.get(key)
    return None if text is None else text.strip() == "1"


def _kilobytes(got: dict[str, str], key: str) -> int | None:
    text = got.get(key)
    return None if text is None else int(text[:-3]) * 1024
