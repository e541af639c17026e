"""fdinfo of several kernels and kinds, and of our own descriptors."""

from __future__ import annotations

import fcntl
import os
import select
from pathlib import Path

from engine.kernel.proc import (
    EpollTarget,
    FileLock,
    ProcDir,
    TimerFd,
    epoll_targets,
    inotify_marks,
    parse_fdinfo,
    parse_lock,
    parse_timerfd,
)

REGULAR_5_10 = b"pos:\t9223372036854775807\nflags:\t02100002\nmnt_id:\t25\n"
LOCKED_6_1 = b"""\
pos:\t0
flags:\t0100002
mnt_id:\t25
ino:\t131
lock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF
lock:\t2: POSIX  ADVISORY  READ  -1 fd:01:131 100 199
"""
EVENTFD_6_18 = b"""\
pos:\t0
flags:\t02004002
mnt_id:\t16
ino:\t2071
eventfd-count: ffffffffffff
eventfd-id: 3
eventfd-semaphore: 1
"""
EPOLL_6_1 = b"""\
pos:\t0
flags:\t02000002
mnt_id:\t16
ino:\t2071
tfd:        5 events: 80000019 data:   7fff1234abcd  pos:-1 ino:1f sdev:10000e
tfd: 10000000 events:        1 data: ffffffffffffffff  pos:0 ino:20 sdev:e
"""
EPOLL_OLD = b"pos:\t0\nflags:\t02\nmnt_id:\t9\ntfd:        5 events:       19 data: 5\n"
TIMERFD = b"""\
pos:\t0
flags:\t02
mnt_id:\t9
ino:\t11
clockid: 7
ticks: 2
settime flags: 03
it_value: (0, 49406829)
it_interval: (1, 0)
"""
INOTIFY = b"""\
pos:\t0
flags:\t04000
mnt_id:\t9
inotify wd:2 ino:7e9e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d
inotify wd:1 ino:a sdev:fd00000 mask:2 ignored_mask:0 fhandle-bytes:4 fhandle-type:81 f_handle:01020304
inotify wd:3 ino:b sdev:14 mask:2 ignored_mask:0
"""
PIDFD = b"pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t7\nPid:\t55\nNSpid:\t55\t3\n"


def test_the_shortest_form() -> None:
    info = parse_fdinfo(REGULAR_5_10)
    assert (info.pos, info.flags, info.mnt_id, info.ino) == ((1 << 63) - 1, 0o2100002, 25, None)
    assert (info.locks, info.lines) == ([], [])


def test_locks() -> None:
    info = parse_fdinfo(LOCKED_6_1)
    assert (info.ino, info.lines) == (131, [])
    flock, ofd = map(parse_lock, info.locks)
    assert flock == FileLock("FLOCK", "ADVISORY", "WRITE", 359, os.makedev(0, 0x13), 11691, 0, None)
    assert ofd == FileLock("POSIX", "ADVISORY", "READ", -1, os.makedev(0xFD, 1), 131, 100, 199)


def test_a_waiter_of_proc_locks() -> None:
    assert parse_lock("4: -> LEASE BREAKER READ 9 08:01:2 0 EOF").mode == "BREAKER"


def test_a_lock_whose_file_is_lost() -> None:
    lock = parse_lock("4: FLOCK  ADVISORY  WRITE 9 <none>:0 0 EOF")
    assert (lock.device, lock.inode, lock.end) == (0, 0, None)


def test_eventfd() -> None:
    info = parse_fdinfo(EVENTFD_6_18)
    assert (info.value("eventfd-count"), info.value("eventfd-semaphore")) == ("ffffffffffff", "1")
    assert info.value("eventfd-flags") is None


def test_epoll_with_full_columns() -> None:
    first, second = epoll_targets(parse_fdinfo(EPOLL_6_1))
    assert first == EpollTarget(5, 0x80000019, 0x7FFF1234ABCD, -1, 0x1F, os.makedev(1, 14))
    assert (second.fd, second.data, second.device) == (10000000, (1 << 64) - 1, os.makedev(0, 14))


def test_epoll_before_4_13() -> None:
    assert epoll_targets(parse_fdinfo(EPOLL_OLD)) == [EpollTarget(5, 0x19, 5, None, None, None)]


def test_timerfd() -> None:
    assert parse_timerfd(parse_fdinfo(TIMERFD)) == TimerFd(7, 2, 3, (0, 49406829), (1, 0))


def test_inotify() -> None:
    first, second, third = inotify_marks(parse_fdinfo(INOTIFY))
    assert (first.wd, first.inode, first.device) == (2, 0x7E9E, os.makedev(8, 0x13))
    assert (first.mask, first.handle_type, first.handle.hex()) == (0x800AFCE, 1, "7e9e0000640d1b6d")
    assert (second.device, second.handle_type) == (os.makedev(0xFD, 0), 0x81)
    assert (third.wd, third.handle_type, third.handle) == (3, None, b"")  # no file handles: FUSE, some overlays


def test_pidfd() -> None:
    info = parse_fdinfo(PIDFD)
    assert (info.value("Pid"), info.value("NSpid")) == ("55", "55\t3")


def test_our_own_descriptors(tmp_path: Path) -> None:
    with ProcDir(os.getpid()) as ours, (tmp_path / "file").open("w+b") as file:
        file.write(b"x" * 100)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        info = ours.fdinfo(file.fileno())
        assert info.pos == 100
        assert info.flags & os.O_ACCMODE == os.O_RDWR and info.flags & os.O_CLOEXEC
        inode = os.fstat(file.fileno()).st_ino
        assert info.ino in (inode, None)  # None: before 5.14
        (lock,) = map(parse_lock, info.locks)
        assert (lock.kind, lock.pid, lock.inode) == ("FLOCK", os.getpid(), inode)
        assert file.fileno() in ours.descriptors()


def test_our_own_epoll() -> None:
    read, write = os.pipe()
    with ProcDir(os.getpid()) as ours, select.epoll() as poll:
        poll.register(read, select.EPOLLIN | select.EPOLLET)
        (target,) = epoll_targets(ours.fdinfo(poll.fileno()))
        assert (target.fd, target.ino, target.device) == (
            read,
            os.fstat(read).st_ino,
            os.fstat(read).st_dev,
        )
        assert target.events == select.EPOLLIN | select.EPOLLET | select.EPOLLERR | select.EPOLLHUP
    os.close(read)
    os.close(write)
