"""Clone flags and scheduling policies: linux/sched.h, linux/sched/types.h (clone(2), sched_setattr(2))."""

from engine.abi.layout import Layout

CSIGNAL = 0xFF
CLONE_VM = 0x100
CLONE_FS = 0x200
CLONE_FILES = 0x400
CLONE_SIGHAND = 0x800
CLONE_PIDFD = 0x1000
CLONE_PTRACE = 0x2000
CLONE_VFORK = 0x4000
CLONE_PARENT = 0x8000
CLONE_THREAD = 0x10000
CLONE_NEWNS = 0x20000
CLONE_SYSVSEM = 0x40000
CLONE_SETTLS = 0x80000
CLONE_PARENT_SETTID = 0x100000
CLONE_CHILD_CLEARTID = 0x200000
CLONE_DETACHED = 0x400000
CLONE_UNTRACED = 0x800000
CLONE_CHILD_SETTID = 0x1000000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_IO = 0x80000000
CLONE_NEWTIME = 0x80
CLONE_CLEAR_SIGHAND = 0x100000000  # clone3 only
CLONE_INTO_CGROUP = 0x200000000  # clone3 only

SCHED_NORMAL = 0
SCHED_FIFO = 1
SCHED_RR = 2
SCHED_BATCH = 3
SCHED_IDLE = 5
SCHED_DEADLINE = 6
SCHED_EXT = 7  # 6.12
SCHED_RESET_ON_FORK = 1073741824  # or-ed to the policy

SCHED_FLAG_RESET_ON_FORK = 0x1
SCHED_FLAG_RECLAIM = 0x2
SCHED_FLAG_DL_OVERRUN = 0x4
SCHED_FLAG_KEEP_POLICY = 0x8
SCHED_FLAG_KEEP_PARAMS = 0x10
SCHED_FLAG_UTIL_CLAMP_MIN = 0x20
SCHED_FLAG_UTIL_CLAMP_MAX = 0x40

CLONE_ARGS_SIZE_VER0 = 64
CLONE_ARGS_SIZE_VER1 = 80  # with set_tid, 5.5
CLONE_ARGS_SIZE_VER2 = 88  # with cgroup, 5.7

CLONE_ARGS = Layout(
    "struct clone_args",
    "flags:Q pidfd:Q child_tid:Q parent_tid:Q exit_signal:Q stack:Q stack_size:Q tls:Q "
    "set_tid:Q set_tid_size:Q cgroup:Q",
)
SCHED_ATTR = Layout(
    "struct sched_attr",
    "size:I sched_policy:I sched_flags:Q sched_nice:i sched_priority:I sched_runtime:Q "
    "sched_deadline:Q sched_period:Q sched_util_min:I sched_util_max:I",
)
