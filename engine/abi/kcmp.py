"""Comparing what two processes share: linux/kcmp.h (kcmp(2))."""

from engine.abi.layout import Layout

KCMP_FILE = 0
KCMP_VM = 1
KCMP_FILES = 2
KCMP_FS = 3
KCMP_SIGHAND = 4
KCMP_IO = 5
KCMP_SYSVSEM = 6
KCMP_EPOLL_TFD = 7

KCMP_EPOLL_SLOT = Layout("struct kcmp_epoll_slot", "efd:I tfd:I toff:I")
