"""Waiting for children: linux/wait.h (wait4(2), waitid(2)); __WALL and its like without underscores."""

WNOHANG = 0x1
WUNTRACED = 0x2
WSTOPPED = 0x2
WEXITED = 0x4
WCONTINUED = 0x8
WNOWAIT = 0x1000000
WNOTHREAD = 0x20000000
WALL = 0x40000000
WCLONE = 0x80000000
P_ALL = 0
P_PID = 1
P_PGID = 2
P_PIDFD = 3
