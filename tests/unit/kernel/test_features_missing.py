"""Every probe can say no: each is run where the system call that it lives on answers ENOSYS."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from engine.abi import prctl, seccomp
from engine.abi.syscalls import NR
from engine.kernel.features import catalog
from engine.kernel.features.child import run_alone
from engine.kernel.features.raw import Memory, call

ENOSYS = 38

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# The system call without which there is no such feature.
LIVES_ON = {
    "aio_remap": "io_setup",
    "apparmor_stacking": "openat",
    "autofs": "mount",
    "breakpoints": "ptrace",
    "can_map_vdso": "arch_prctl",
    "cgroup_freezer": "mkdir",
    "cgroupns": "unshare",
    "clone3_set_tid": "clone3",
    "close_range": "close_range",
    "compat_cr": "arch_prctl",
    "external_net_ns": "setns",
    "fcntl_owner_uids": "fcntl",
    "fdinfo_ext": "openat",
    "fdinfo_lock": "flock",
    "get_rseq_conf": "ptrace",
    "has_ipt_legacy": "unshare",
    "ipc_next_id": "openat",
    "ipv6_freebind": "setsockopt",
    "kcmp_epoll": "kcmp",
    "kcmp_file": "kcmp",
    "link_nsid": "sendto",
    "loginuid": "openat",
    "madvise_guard": "madvise",
    "madvise_populate": "madvise",
    "map_files": "openat",
    "mem_dirty_track": "openat",
    "membarrier_get": "membarrier",
    "memfd_hugetlb": "memfd_create",
    "mnt_id": "openat",
    "move_mount_set_group": "move_mount",
    "net_diag_raw": "sendto",
    "network_lock_nftables": "sendto",
    "newifindex": "sendto",
    "nftables": "sendto",
    "ns_last_pid": "openat",
    "ns_pid": "openat",
    "nsid": "sendto",
    "openat2": "openat2",
    "overlayfs_maps": "mount",
    "pagemap_pfn": "openat",
    "pagemap_scan": "ioctl",
    "pagemap_scan_guard_pages": "ioctl",
    "pidfd_store": "pidfd_getfd",
    "prctl_tid_address": "prctl",
    "proc_children": "openat",
    "proc_stat": "openat",
    "proc_timers": "timer_create",
    "process_vm": "process_vm_readv",
    "procmap_query": "ioctl",
    "ptrace_peeksiginfo": "ptrace",
    "ptrace_seize": "ptrace",
    "seccomp_filters": "ptrace",
    "seccomp_suspend": "ptrace",
    "set_mm_map": "prctl",
    "sigqueueinfo": "rt_sigqueueinfo",
    "sk_ns": "ioctl",
    "sk_unix_file": "ioctl",
    "sock_diag": "sendto",
    "sock_get_filter": "getsockopt",
    "sock_peek_off": "setsockopt",
    "sockopt_buf_lock": "getsockopt",
    "special_mapping_mremap": "mremap",
    "tcp_half_closed": "setsockopt",
    "tcp_repair": "setsockopt",
    "timens": "unshare",
    "timer_cr_ids": "timer_create",
    "timerfd": "ioctl",
    "tty_ioctls": "ioctl",
    "tun": "ioctl",
    "tun_ns": "ioctl",
    "uffd": "userfaultfd",
    "uffd-noncoop": "ioctl",
    "uffd_wp_async": "ioctl",
    "userns": "unshare",
    "vmsplice_unaligned": "vmsplice",
}

# What the kernel's configuration says about a feature, where it says it in one word.
CONFIGURED_BY = {
    "mem_dirty_track": "MEM_SOFT_DIRTY",
    "net_diag_raw": "INET_RAW_DIAG",
    "nftables": "NF_TABLES",
    "tun": "TUN",
    "uffd": "USERFAULTFD",
    "userns": "USER_NS",
    "timens": "TIME_NS",
    "aio_remap": "AIO",
}


def forbid(number: int) -> None:
    """From now on the system call answers ENOSYS, here and in all children."""
    load, compare, leave = seccomp.BPF_LD | seccomp.BPF_ABS, seccomp.BPF_JMP | seccomp.BPF_JEQ, seccomp.BPF_RET
    rows = [
        (load, 0, 0, seccomp.SECCOMP_DATA.offsets["nr"]),
        (compare, 0, 1, number),
        (leave, 0, 0, seccomp.SECCOMP_RET_ERRNO | ENOSYS),
        (leave, 0, 0, seccomp.SECCOMP_RET_ALLOW),
    ]
    code = Memory(b"".join(seccomp.SOCK_FILTER.struct.pack(*row) for row in rows))
    whole = Memory(seccomp.SOCK_FPROG.pack(len=len(rows), filter=code.address))
    call("prctl", prctl.PR_SET_NO_NEW_PRIVS, 1)
    call("seccomp", seccomp.SECCOMP_SET_MODE_FILTER, 0, whole)


def attempt_without(name: str, system_call: str) -> str:
    """The verdict on a feature where one system call is missing."""

    def trial() -> str:
        feature = catalog.find(name)
        forbid(getattr(NR, system_call))
        return feature.trial()

    return run_alone(trial)


def test_every_feature_is_in_the_table() -> None:
    assert set(LIVES_ON) == set(catalog.features())


@pytest.mark.parametrize("name", sorted(LIVES_ON))
def test_the_probe_says_no(name: str) -> None:
    assert attempt_without(name, LIVES_ON[name]) != ""


def test_another_missing_call_does_no_harm() -> None:
    assert attempt_without("openat2", "userfaultfd") == ""


@pytest.mark.skipif(not os.path.exists("/proc/config.gz"), reason="this kernel does not show its configuration")
@pytest.mark.parametrize("name", sorted(CONFIGURED_BY))
def test_the_configuration_agrees(name: str) -> None:
    lines = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().split("\n")
    option = f"CONFIG_{CONFIGURED_BY[name]}"
    if f"{option}=m" in lines:
        pytest.skip(f"{option} is a module, which may not be installed")
    assert (catalog.find(name).attempt() == "") == (f"{option}=y" in lines)
