"""stat and status of several kernels, and of ourselves."""

from __future__ import annotations

import os
import signal

import pytest

from engine.kernel.proc import ProcDir, parse_stat, parse_status

# 5.10, a shell whose name was chosen to mislead.
STAT = (
    b"4711 (a) R (\nb c) S 1 4711 4711 34816 4711 4194304 1 2 3 4 5 6 7 8 20 -5 3 0 216440 "
    b"18446744073699065856 900 18446744073709551615 4194304 4200000 140737488346432 140737488340000 "
    b"139900000000000 0 65536 4 "
    b"134295555 0 0 0 17 1 99 2 11 12 13 6291456 6295552 6299648 140737488347000 140737488347010 "
    b"140737488347010 140737488351209 35072\n"
)

STATUS_6_18 = b"""\
Name:\tb\\\\a\\nc d
Umask:\t0027
State:\tT (stopped)
Tgid:\t812
Ngid:\t0
Pid:\t815
PPid:\t1
TracerPid:\t900
Uid:\t1000\t1001\t1002\t1003
Gid:\t100\t101\t102\t103
FDSize:\t256
Groups:\t4 24 4294967295\x20
NStgid:\t812\t7
NSpid:\t815\t9
NSpgid:\t812\t7
NSsid:\t0\t1
Kthread:\t0
VmPeak:\t    9000 kB
VmSize:\t    8888 kB
VmLck:\t       4 kB
VmRSS:\t    1024 kB
HugetlbPages:\t    2048 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t3
SigQ:\t1/96365
SigPnd:\t0000000000000200
ShdPnd:\t0000000000004000
SigBlk:\t8000000000000000
SigIgn:\t0000000000001000
SigCgt:\t0000000180004002
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000001
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t3
Speculation_Store_Bypass:\tvulnerable
Cpus_allowed:\t3
voluntary_ctxt_switches:\t120
"""

# 4.19: a zombie, on a kernel that knows less.
STATUS_OLD_ZOMBIE = b"""\
Name:\tsh
State:\tZ (zombie)
Tgid:\t12
Ngid:\t0
Pid:\t12
PPid:\t1
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t0
Groups:\t\x20
Threads:\t1
SigQ:\t0/100
SigPnd:\t0000000000000000
ShdPnd:\t0000000000000000
SigBlk:\t0000000000000000
SigIgn:\t0000000000000000
SigCgt:\t0000000000000000
CapInh:\t0000000000000000
CapPrm:\t0000003fffffffff
CapEff:\t0000003fffffffff
CapBnd:\t0000003fffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
"""


def test_stat_with_a_misleading_name() -> None:
    stat = parse_stat(STAT)
    assert (stat.pid, stat.comm, stat.state, stat.ppid) == (4711, "a) R (\nb c", "S", 1)
    assert (stat.nice, stat.starttime, stat.vsize) == (-5, 216440, 18446744073699065856)
    assert (stat.exit_signal, stat.rt_priority, stat.policy) == (17, 99, 2)
    assert (stat.start_data, stat.start_brk, stat.env_end) == (6291456, 6299648, 140737488351209)
    assert os.waitstatus_to_exitcode(stat.exit_code) == 137


def test_stat_of_a_newer_kernel_with_more_fields() -> None:
    assert parse_stat(STAT.rstrip() + b" 1 2 3\n") == parse_stat(STAT)


def test_status_of_a_new_kernel() -> None:
    status = parse_status(STATUS_6_18)
    assert (status.name, status.state, status.umask) == ("b\\a\nc d", "T", 0o27)
    assert (status.uids, status.gids) == ((1000, 1001, 1002, 1003), (100, 101, 102, 103))
    assert status.groups == (4, 24, 4294967295)
    assert (status.ns_tgid, status.ns_pid, status.ns_sid) == ((812, 7), (815, 9), (0, 1))
    assert (status.tracer_pid, status.threads, status.kthread) == (900, 3, False)
    assert (status.pending, status.shared_pending) == (1 << signal.SIGUSR1 - 1, 1 << signal.SIGTERM - 1)
    assert status.blocked == 1 << 63
    assert (status.cap_effective, status.cap_ambient) == (0x1FFFEFFFFFF, 1)
    assert (status.no_new_privs, status.seccomp, status.seccomp_filters) == (1, 2, 3)
    assert (status.vm_size, status.vm_locked, status.vm_hugetlb) == (8888 << 10, 4096, 2 << 20)
    assert (status.thp_enabled, status.untag_mask) == (True, (1 << 64) - 1)


def test_status_with_missing_lines() -> None:
    status = parse_status(STATUS_OLD_ZOMBIE)
    assert (status.state, status.groups, status.ns_pid) == ("Z", (), ())
    assert (status.umask, status.kthread, status.vm_size, status.seccomp, status.untag_mask) == (None,) * 5


@pytest.fixture
def ours() -> ProcDir:
    return ProcDir(os.getpid())


def test_our_own_stat(ours: ProcDir) -> None:
    stat = ours.stat()
    assert (stat.pid, stat.ppid, stat.pgrp, stat.session) == (
        os.getpid(),
        os.getppid(),
        os.getpgrp(),
        os.getsid(0),
    )
    assert stat.startcode < stat.endcode
    assert stat.arg_start < stat.arg_end <= stat.env_start


def test_our_own_status(ours: ProcDir) -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        status = ours.status()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert status.blocked >> signal.SIGUSR2 - 1 & 1
    assert status.uids[:3] == os.getresuid()
    assert sorted(status.groups) == sorted(os.getgroups())
    assert status.pid == status.ns_pid[0] == os.getpid()
