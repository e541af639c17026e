"""/proc/PID/stat (proc_pid_stat(5))."""

from __future__ import annotations

from engine.tuples import NamedTuple


class Stat(NamedTuple):
    """All fields, in the kernel's order. Times in clock ticks; addresses are zero without ptrace access."""

    pid: int
    comm: str
    state: str  # one letter: R S D T t Z X I P
    ppid: int
    pgrp: int
    session: int
    tty_nr: int  # device number of the controlling terminal, 0 for none
    tpgid: int
    flags: int  # PF_*
    minflt: int
    cminflt: int
    majflt: int
    cmajflt: int
    utime: int
    stime: int
    cutime: int
    cstime: int
    priority: int
    nice: int
    num_threads: int
    itrealvalue: int
    starttime: int
    vsize: int
    rss: int  # pages
    rsslim: int
    startcode: int
    endcode: int
    startstack: int
    kstkesp: int
    kstkeip: int
    signal: int
    blocked: int
    sigignore: int
    sigcatch: int
    wchan: int
    nswap: int
    cnswap: int
    exit_signal: int
    processor: int
    rt_priority: int
    policy: int
    delayacct_blkio_ticks: int
    guest_time: int
    cguest_time: int
    start_data: int
    end_data: int
    start_brk: int
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    exit_code: int  # as wait4 gives it


PF_KTHREAD = 0x00200000  # include/linux/sched.h: a thread of the kernel, without memory of its own


def parse_stat(raw: bytes) -> Stat:
    """The only line of stat. The name may hold parentheses, blanks and newlines: the last ")" ends it."""
    opening, closing = raw.index(b"("), raw.rindex(b")")
    comm = raw[opening + 1 : closing].decode("utf-8", "surrogateescape")
    state, *numbers = raw[closing + 2 :].split()
    return Stat(int(raw[:opening]), comm, state.decode(), *map(int, numbers[: len(Stat._fields) - 3]))
