"""Probes: descriptors and what /proc shows of them, terminals, IPC, paths."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import struct
import termios

from engine.abi import fcntl as abi
from engine.abi import ioctls, mount, time
from engine.abi.sched import CLONE_NEWNS
from engine.kernel.features.catalog import EXPERIMENTAL, EXTRA, REQUIRED, Missing, feature
from engine.kernel.features.raw import Memory, call
from engine.kernel.proc import FdInfo, ProcDir, epoll_targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def _fdinfo(fd: int) -> FdInfo:
    with ProcDir(os.getpid()) as ours:
        return ours.fdinfo(fd)


@feature(REQUIRED, "3.15, commit 49d063cb3532")
def mnt_id() -> None:
    """mnt_id in /proc/PID/fdinfo: the mount through which a file was opened."""
    fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    try:
        number = _fdinfo(fd).mnt_id
    finally:
        os.close(fd)
    with ProcDir(os.getpid()) as ours:
        if number not in {found.id for found in ours.mountinfo()}:
            raise Missing(f"mount {number} is not in mountinfo")


@feature(REQUIRED, "4.1, commit 6c8c90319c0b")
def fdinfo_lock() -> None:
    """lock: lines in /proc/PID/fdinfo: which descriptor holds which lock."""
    fd = os.memfd_create("probe")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if len(_fdinfo(fd).locks) != 1:
            raise Missing("a lock is not shown")
    finally:
        os.close(fd)


@feature(REQUIRED, "3.8; CONFIG_CHECKPOINT_RESTORE where needed")
def fdinfo_ext() -> None:
    """/proc/PID/fdinfo tells the state of eventfds and epolls."""
    event = os.eventfd(5, os.EFD_CLOEXEC)
    with select.epoll() as poll:
        poll.register(event)
        try:
            count = _fdinfo(event).value("eventfd-count")
            watched = [target.fd for target in epoll_targets(_fdinfo(poll.fileno()))]
        finally:
            os.close(event)
    if (count, watched) != ("5", [event]):
        raise Missing(f"an eventfd of 5 shows {count}, an epoll shows {watched}")


@feature(EXTRA, "3.17, commit 5442e9fbd7c2")
def timerfd() -> None:
    """TFD_IOC_SET_TICKS: expirations of a timerfd that were not read yet."""
    fd = call("timerfd_create", time.CLOCK_MONOTONIC, time.TFD_CLOEXEC)
    try:
        call("ioctl", fd, time.TFD_IOC_SET_TICKS, Memory(struct.pack("=Q", 42)))
        if struct.unpack("=Q", os.read(fd, 8)) != (42,):
            raise Missing("other ticks came back")
    finally:
        os.close(fd)


@feature(REQUIRED, "3.7; CONFIG_CHECKPOINT_RESTORE")
def fcntl_owner_uids() -> None:
    """F_GETOWNER_UIDS: with whose rights a descriptor sends its signals."""
    uids = Memory(8)
    fd = os.memfd_create("probe")
    try:
        call("fcntl", fd, abi.F_GETOWNER_UIDS, uids)
    finally:
        os.close(fd)


@feature(REQUIRED, "3.8")
def tty_ioctls() -> None:
    """TIOCGPKT, TIOCGPTLCK and TIOCGEXCL: the state of a pseudo terminal can be read."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        for request in (ioctls.TIOCGPKT, ioctls.TIOCGPTLCK, ioctls.TIOCGEXCL):
            fcntl.ioctl(master, request, b"\0" * 4)
        termios.tcgetattr(master)
    finally:
        os.close(master)


@feature(EXTRA, "3.8; CONFIG_CHECKPOINT_RESTORE")
def ipc_next_id() -> None:
    """/proc/sys/kernel/*_next_id: SysV IPC objects with the identifiers they had."""
    for kind in ("sem", "msg", "shm"):
        os.close(os.open(f"/proc/sys/kernel/{kind}_next_id", os.O_RDWR | os.O_CLOEXEC))


@feature(EXTRA, "5.6, commit fddb5d430ad9")
def openat2() -> None:
    """openat2: paths that may not leave a directory."""
    how = Memory(abi.OPEN_HOW.pack(flags=os.O_PATH | os.O_CLOEXEC, resolve=abi.RESOLVE_IN_ROOT))
    path = Memory(b"/../..\0")
    os.close(call("openat2", abi.AT_FDCWD, path, how, abi.OPEN_HOW.size))


@feature(EXTRA, "5.9, commit 278a5fbaed89")
def close_range() -> None:
    """close_range: many descriptors closed at once."""
    fd = os.memfd_create("probe")
    call("close_range", fd, fd, 0)


def bind_private() -> None:
    """A mount namespace of our own, from which nothing gets out."""
    call("unshare", CLONE_NEWNS)
    mount_at("/", "", flags=mount.MS_REC | mount.MS_PRIVATE)


def mount_at(point: str, kind: str, data: str = "", flags: int = 0, source: str = "probe") -> None:
    """mount(2)."""
    words = [Memory(word.encode() + b"\0") for word in (source, point, kind, data)]
    call("mount", words[0], words[1], words[2], flags, words[3])


def _make(paths: Iterable[str]) -> None:
    for path in paths:
        os.mkdir(path)


@feature(EXTRA, "between 6.1 and 6.12", alone=True)
def overlayfs_maps() -> None:
    """A file of an overlay appears in /proc/PID/maps as the overlay's, not as the lower file system's."""
    bind_private()
    mount_at("/tmp", "tmpfs")
    _make(f"/tmp/{name}" for name in ("lower", "upper", "work", "merged"))
    with open("/tmp/lower/file", "wb") as lower:
        lower.truncate(mmap.PAGESIZE)
    mount_at("/tmp/merged", "overlay", "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work")
    with open("/tmp/merged/file", "rb") as file:
        status = os.fstat(file.fileno())
        with mmap.mmap(file.fileno(), mmap.PAGESIZE, prot=mmap.PROT_READ), ProcDir(os.getpid()) as ours:
            places = {(found.device, found.inode) for found in ours.maps() if found.name.endswith("/merged/file")}
    if places != {(status.st_dev, status.st_ino)}:
        raise Missing("maps shows another device and inode than fstat")


@feature(EXTRA, "5.15, commit 9ffb14ef61ba", alone=True)
def move_mount_set_group() -> None:
    """MOVE_MOUNT_SET_GROUP: a mount joins the propagation group of another one."""
    bind_private()
    mount_at("/tmp", "tmpfs")
    _make(["/tmp/one", "/tmp/two"])
    mount_at("/tmp/one", "", flags=mount.MS_BIND, source="/tmp/one")
    mount_at("/tmp/one", "", flags=mount.MS_SHARED)
    mount_at("/tmp/two", "", flags=mount.MS_BIND, source="/tmp/one")
    mount_at("/tmp/two", "", flags=mount.MS_PRIVATE)
    paths = [Memory(path) for path in (b"/tmp/one\0", b"/tmp/two\0")]
    here = abi.AT_FDCWD
    call("move_mount", here, paths[0], here, paths[1], mount.MOVE_MOUNT_SET_GROUP)
    with ProcDir(os.getpid()) as ours:
        groups = {found.point: found.tags.get("shared") for found in ours.mountinfo()}
    if groups["/tmp/one"] != groups["/tmp/two"]:
        raise Missing("the mounts are not in one group")


@feature(EXPERIMENTAL, "4.10 for pipe_ino", alone=True)
def autofs() -> None:
    """autofs shows the inode of the pipe to its daemon among its mount options."""
    bind_private()
    os.setpgid(0, 0)  # the daemon's group, which must have a number here
    reader, writer = os.pipe()
    pipe = os.fstat(writer).st_ino
    options = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
    mount_at("/tmp", "autofs", options)
    with ProcDir(os.getpid()) as ours:
        (found,) = (found for found in ours.mountinfo() if found.fstype == "autofs" and found.point == "/tmp")
    call("umount2", Memory(b"/tmp\0"), 2)  # MNT_DETACH
    os.close(reader)
    if f"pipe_ino={pipe}" not in found.super_options.split(","):
        raise Missing("pipe_ino is not shown")
