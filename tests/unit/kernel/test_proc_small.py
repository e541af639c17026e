"""limits, timers, auxv, children, mountinfo, cgroup."""

from __future__ import annotations

import os
import resource
import struct

from engine.abi import auxvec
from engine.abi.resource import RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_NOFILE, RLIMIT_RTTIME, RLIMIT_STACK
from engine.kernel.proc import (
    Cgroup,
    Limit,
    ProcDir,
    Timer,
    parse_auxv,
    parse_cgroup,
    parse_children,
    parse_limits,
    parse_mountinfo,
    parse_ranges,
    parse_timers,
)

LIMITS = b"""\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             18446744073709551614 18446744073709551614 bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            1024                 524288               files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
Max pending signals       96365                96365                signals   
Max msgqueue size         819200               819200               bytes     
Max nice priority         0                    0                    
Max realtime priority     0                    0                    
Max realtime timeout      unlimited            7                    us        
"""  # noqa: W291

TIMERS = b"""\
ID: 1
signal: 60/00007fff86e452a8
notify: signal/pid.2634
ClockID: 0
ID: 7
signal: 0/0000000000000000
notify: none/tid.2635
ClockID: -42
"""

MOUNTINFO = rb"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,discard
36 35 0:50 /a\134b\040c /mnt/new\012line ro,nosuid master:1 propagate_from:2 unbindable - fuse.sshfs user@host:/ rw
40 22 0:31 /gone//deleted /x rw - tmpfs  rw,size=4k
44 22 0:9 net:[4026531833] /run/netns/a rw shared:7 - nsfs nsfs rw
"""

CGROUP = b"""\
12:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/a:b
0::/user.slice/session-1.scope (deleted)
"""


def test_limits() -> None:
    limits = parse_limits(LIMITS)
    assert len(limits) == RLIM_NLIMITS
    assert limits[RLIMIT_STACK] == Limit(8388608, RLIM_INFINITY)
    assert limits[RLIMIT_NOFILE] == Limit(1024, 524288)
    assert limits[RLIMIT_RTTIME] == Limit(RLIM_INFINITY, 7)
    assert limits[1].soft == 18446744073709551614


def test_our_own_limits() -> None:
    with ProcDir(os.getpid()) as ours:
        limits = ours.limits()
    for number, limit in enumerate(limits):
        wanted = resource.getrlimit(number)
        assert tuple(limit) == tuple(value % (1 << 64) for value in wanted), number


def test_timers() -> None:
    assert parse_timers(TIMERS) == [
        Timer(1, 60, 0x7FFF86E452A8, "signal", "pid", 2634, 0),
        Timer(7, 0, 0, "none", "tid", 2635, -42),
    ]
    assert parse_timers(b"") == []


def test_auxv() -> None:
    raw = struct.pack("=6Q", auxvec.AT_PAGESZ, 4096, auxvec.AT_SYSINFO_EHDR, 1 << 63, auxvec.AT_NULL, 0)
    assert parse_auxv(raw) == [(auxvec.AT_PAGESZ, 4096), (auxvec.AT_SYSINFO_EHDR, 1 << 63)]
    with ProcDir(os.getpid()) as ours:
        assert dict(ours.auxv())[auxvec.AT_PAGESZ] == os.sysconf("SC_PAGESIZE")


def test_children() -> None:
    assert parse_children(b"12 7 4194303 ") == [12, 7, 4194303]
    assert parse_children(b"") == []


def test_mountinfo() -> None:
    root, fuse, gone, netns = parse_mountinfo(MOUNTINFO)
    assert (root.id, root.device, root.tags) == (22, os.makedev(254, 0), {"shared": 1})
    assert (fuse.root, fuse.point) == ("/a\\b c", "/mnt/new\nline")
    assert fuse.tags == {"master": 1, "propagate_from": 2, "unbindable": 1}
    assert (fuse.fstype, fuse.source, fuse.super_options) == ("fuse.sshfs", "user@host:/", "rw")
    assert (gone.root, gone.source, gone.super_options) == ("/gone//deleted", "", "rw,size=4k")
    assert (netns.root, netns.tags) == ("net:[4026531833]", {"shared": 7})


def test_our_own_mounts() -> None:
    with ProcDir(os.getpid()) as ours:
        (proc,) = (mount for mount in ours.mountinfo() if mount.point == "/proc")
        assert ours.fdinfo(ours.fd).mnt_id == proc.id
    assert (proc.fstype, proc.device) == ("proc", os.stat("/proc").st_dev)


def test_cgroup() -> None:
    assert parse_cgroup(CGROUP) == [
        Cgroup(12, ("cpu", "cpuacct"), "/user.slice"),
        Cgroup(1, ("name=systemd",), "/user.slice/a:b"),
        Cgroup(0, (), "/user.slice/session-1.scope (deleted)"),
    ]


def test_ranges() -> None:
    assert parse_ranges(b"0-3,8\n") == {0, 1, 2, 3, 8}
    assert parse_ranges(b"\n") == set()
