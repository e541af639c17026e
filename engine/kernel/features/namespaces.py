"""Probes: namespaces."""

from __future__ import annotations

import os

from engine.abi import prctl, sched
from engine.kernel.features.catalog import EXTRA, Missing, feature
from engine.kernel.features.raw import Memory, call
from engine.kernel.proc import read_all


@feature(EXTRA, "3.19, for PR_SET_MM_MAP inside", alone=True)
def userns() -> None:
    """User namespaces, with what a restore needs inside of one."""
    call("unshare", sched.CLONE_NEWUSER)
    read_all("/proc/self/setgroups")
    size = Memory(4)
    call("prctl", prctl.PR_SET_MM, prctl.PR_SET_MM_MAP_SIZE, size)


@feature(EXTRA, "4.6, commit a79a908fd2b0", alone=True)
def cgroupns() -> None:
    """Cgroup namespaces."""
    call("unshare", sched.CLONE_NEWCGROUP)


@feature(EXTRA, "5.6, commit 769071ac9f20", alone=True)
def timens() -> None:
    """Time namespaces: the monotonic clock goes on where it was saved."""
    call("unshare", sched.CLONE_NEWTIME)
    with open("/proc/self/timens_offsets", "w") as offsets:
        offsets.write("monotonic 1000 0\n")
    if read_all("/proc/self/timens_offsets").split()[:2] != [b"monotonic", b"1000"]:
        raise Missing("the offset that was set is not shown")


@feature(EXTRA, "3.8", alone=True)
def external_net_ns() -> None:
    """Entering a network namespace that somebody else made and goes on using."""
    fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    before = os.fstat(fd).st_ino
    call("unshare", sched.CLONE_NEWNET)
    call("setns", fd, sched.CLONE_NEWNET)
    if os.stat("/proc/self/ns/net").st_ino != before:
        raise Missing("setns left us in another namespace")
