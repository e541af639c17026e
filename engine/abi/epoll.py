"""Event descriptors: linux/eventpoll.h, sys/eventfd.h, linux/signalfd.h (epoll_ctl(2), eventfd(2))."""

from engine.abi.layout import Layout

EPOLL_CLOEXEC = 0o2000000
EFD_SEMAPHORE = 0o1
EFD_CLOEXEC = 0o2000000
EFD_NONBLOCK = 0o4000
SFD_CLOEXEC = 0o2000000
SFD_NONBLOCK = 0o4000
EPOLL_CTL_ADD = 1
EPOLL_CTL_DEL = 2
EPOLL_CTL_MOD = 3
EPOLLIN = 0x1
EPOLLPRI = 0x2
EPOLLOUT = 0x4
EPOLLERR = 0x8
EPOLLHUP = 0x10
EPOLLRDHUP = 0x2000
EPOLLEXCLUSIVE = 0x10000000
EPOLLWAKEUP = 0x20000000
EPOLLONESHOT = 0x40000000
EPOLLET = 0x80000000

EPOLL_EVENT = Layout("struct epoll_event", "events:I data:Q")  # packed on x86-64
