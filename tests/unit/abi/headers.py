"""Which C header states what a module of engine/abi writes down."""

HEADERS = {
    "auxvec": ["linux/auxvec.h"],
    "capability": ["linux/capability.h"],
    "epoll": ["linux/eventpoll.h", "sys/eventfd.h", "linux/signalfd.h"],
    "fcntl": ["linux/fcntl.h", "linux/openat2.h"],
    "fs": ["linux/fs.h", "linux/magic.h"],
    "futex": ["linux/futex.h"],
    "ioctls": ["asm/ioctls.h", "asm/termbits.h", "asm/termios.h"],
    "kcmp": ["linux/kcmp.h"],
    "membarrier": ["linux/membarrier.h"],
    "mman": ["linux/mman.h", "linux/memfd.h", "linux/shm.h"],
    "mount": ["linux/fcntl.h", "linux/mount.h"],
    "netlink": [
        "linux/netlink.h",
        "linux/rtnetlink.h",
        "linux/if_link.h",
        "linux/veth.h",
        "linux/net_namespace.h",
        "linux/sock_diag.h",
        "linux/unix_diag.h",
        "linux/inet_diag.h",
    ],
    "pidfd": ["linux/pidfd.h", "linux/nsfs.h"],
    "prctl": ["linux/prctl.h", "asm/prctl.h", "linux/securebits.h"],
    "ptrace": ["linux/ptrace.h", "linux/elf.h", "sys/user.h", "linux/uio.h"],
    "resource": ["linux/resource.h"],
    "rseq": ["linux/rseq.h"],
    "sched": ["linux/sched.h", "linux/sched/types.h"],
    "seccomp": ["linux/seccomp.h", "linux/filter.h", "linux/audit.h"],
    "sigframe": ["linux/signal.h", "asm/sigcontext.h", "asm/ucontext.h"],
    "signal": ["linux/signal.h"],
    "socket": ["sys/socket.h", "asm/ioctls.h", "linux/un.h", "linux/sockios.h"],
    "stat": ["linux/stat.h", "asm/stat.h"],
    "syscalls": ["asm/unistd_64.h"],
    "time": ["linux/time.h", "linux/time_types.h", "linux/timerfd.h"],
    "uffd": ["linux/ioctl.h", "linux/userfaultfd.h"],
    "wait": ["linux/wait.h"],
    "xsave": ["asm/sigcontext.h"],
}

# The C name where ours differs: names of the C library, or names that Python would mangle in a class.
ALIASES = {"O_ASYNC": "FASYNC", "WALL": "__WALL", "WCLONE": "__WCLONE", "WNOTHREAD": "__WNOTHREAD"}
