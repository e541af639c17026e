"""Resource limits and priorities: asm/resource.h, linux/resource.h (prlimit(2), getpriority(2))."""

from engine.abi.layout import Layout

RLIMIT_CPU = 0
RLIMIT_FSIZE = 1
RLIMIT_DATA = 2
RLIMIT_STACK = 3
RLIMIT_CORE = 4
RLIMIT_RSS = 5
RLIMIT_NPROC = 6
RLIMIT_NOFILE = 7
RLIMIT_MEMLOCK = 8
RLIMIT_AS = 9
RLIMIT_LOCKS = 10
RLIMIT_SIGPENDING = 11
RLIMIT_MSGQUEUE = 12
RLIMIT_NICE = 13
RLIMIT_RTPRIO = 14
RLIMIT_RTTIME = 15
RLIM_NLIMITS = 16

PRIO_PROCESS = 0
PRIO_PGRP = 1
PRIO_USER = 2

RLIM_INFINITY = (1 << 64) - 1

RLIMIT64 = Layout("struct rlimit64", "rlim_cur:Q rlim_max:Q")
