"""Probes: processes and threads, ptrace, signals, timers, process descriptors."""

from __future__ import annotations

import os
import signal
import struct

from engine.abi import kcmp as kcmp_abi
from engine.abi import membarrier, prctl, ptrace, seccomp
from engine.abi import signal as signal_abi
from engine.abi.sched import CLONE_ARGS
from engine.kernel.calls import kcmp, pidfd_getfd, pidfd_open
from engine.kernel.features.catalog import EXTRA, REQUIRED, Missing, feature
from engine.kernel.features.child import stopped, victim
from engine.kernel.features.raw import Memory, call
from engine.kernel.proc import ProcDir, parse_children, read_all
from engine.kernel.ptrace import request


@feature(EXTRA, "3.3; CAP_CHECKPOINT_RESTORE since 5.9")
def ns_last_pid() -> None:
    """/proc/sys/kernel/ns_last_pid can be written: the way to a chosen pid before clone3's set_tid."""
    last = read_all("/proc/sys/kernel/ns_last_pid")
    with open("/proc/sys/kernel/ns_last_pid", "wb") as file:
        file.write(last)


@feature(REQUIRED, "5.5, commit 49cb2fc42ce4", alone=True)
def clone3_set_tid() -> None:
    """clone3 with set_tid: a process or thread with the pid it had."""
    wanted = os.fork() or os._exit(0)
    os.waitpid(wanted, 0)
    tids = Memory(struct.pack("=i", wanted))
    args = CLONE_ARGS.pack(exit_signal=signal.SIGCHLD, set_tid=tids.address, set_tid_size=1)
    pid = call("clone3", Memory(args), CLONE_ARGS.size)
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    if pid != wanted:
        raise Missing(f"asked for pid {wanted}, got {pid}")


@feature(REQUIRED, "3.5, commit d97b46a64674")
def kcmp_file() -> None:
    """kcmp: whether two descriptors, or two processes' tables, are one and the same."""
    us = os.getpid()
    duplicate, other = os.dup(0), os.open("/", os.O_PATH)
    try:
        same = kcmp(us, us, kcmp_abi.KCMP_FILE, 0, duplicate)
        different = kcmp(us, us, kcmp_abi.KCMP_FILE, 0, other)
    finally:
        os.close(duplicate)
        os.close(other)
    if same != 0 or different == 0:
        raise Missing(f"kcmp answers {same} for a duplicate and {different} for another file")


@feature(REQUIRED, "3.5; CONFIG_CHECKPOINT_RESTORE")
def prctl_tid_address() -> None:
    """PR_GET_TID_ADDRESS: where the kernel clears a thread's tid when it ends."""
    answer = Memory(8)
    call("prctl", prctl.PR_GET_TID_ADDRESS, answer)


@feature(REQUIRED, "3.5; always there since 4.2 (CONFIG_PROC_CHILDREN)")
def proc_children() -> None:
    """/proc/PID/task/TID/children: the tree of processes without reading all of /proc."""
    with victim() as pid:
        path = "/proc/thread-self/children"
        if pid not in parse_children(read_all(path)):
            raise Missing("a child is not listed")


@feature(REQUIRED, "3.5; exit_code")
def proc_stat() -> None:
    """/proc/PID/stat: addresses of data, arguments and environment, and the exit code."""
    with ProcDir(os.getpid()) as ours:
        stat = ours.stat()
    if not (stat.start_data and stat.start_brk and stat.arg_start and stat.env_start):
        raise Missing("addresses are not shown")


@feature(REQUIRED, "4.1, commit e4bc33245124")
def ns_pid() -> None:
    """NSpid in /proc/PID/status: a process's pid in every namespace it is in."""
    with ProcDir(os.getpid()) as ours:
        if not ours.status().ns_pid:
            raise Missing("there is no NSpid line")


@feature(REQUIRED, "3.4; PTRACE_O_EXITKILL 3.8")
def ptrace_seize() -> None:
    """PTRACE_SEIZE and PTRACE_INTERRUPT: stopping a process without a signal."""
    with stopped(options=ptrace.PTRACE_O_EXITKILL) as tracee:
        tracee.registers()


@feature(REQUIRED, "3.10, commit 84c751bd4aeb")
def ptrace_peeksiginfo() -> None:
    """PTRACE_PEEKSIGINFO: pending signals with all that came with them."""

    def wait_for_signal() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.kill(os.getpid(), signal.SIGUSR1)

    with stopped(wait_for_signal) as tracee:
        numbers = [signal_abi.SIGINFO.get(info, "si_signo") for info in tracee.pending_signals(shared=True)]
    if numbers != [signal.SIGUSR1]:
        raise Missing(f"signals {numbers} are shown instead of the pending one")


@feature(EXTRA, "5.13, commit 90f093fa8ea4")
def get_rseq_conf() -> None:
    """PTRACE_GET_RSEQ_CONFIGURATION: where a thread's area for restartable sequences is."""
    with stopped() as tracee:
        tracee.rseq()


@feature(EXTRA, "4.3, commit 13c4a90119d2")
def seccomp_suspend() -> None:
    """PTRACE_O_SUSPEND_SECCOMP: system calls in a process whose filters would forbid them."""
    with stopped(options=ptrace.PTRACE_O_SUSPEND_SECCOMP):
        pass


def _allow_all() -> None:
    allow = seccomp.SOCK_FILTER.pack(code=seccomp.BPF_RET | seccomp.BPF_K, k=seccomp.SECCOMP_RET_ALLOW)
    program = Memory(allow)
    whole = Memory(seccomp.SOCK_FPROG.pack(len=1, filter=program.address))
    call("prctl", prctl.PR_SET_NO_NEW_PRIVS, 1)
    call("seccomp", seccomp.SECCOMP_SET_MODE_FILTER, 0, whole)


@feature(EXTRA, "4.4, commit f8e529ed941b")
def seccomp_filters() -> None:
    """PTRACE_SECCOMP_GET_FILTER: reads the filters of a process."""
    with stopped(_allow_all) as tracee:
        length = request(ptrace.PTRACE_SECCOMP_GET_FILTER, tracee.tid, 0, 0)
    if length != 1:
        raise Missing(f"a filter of 1 instruction has {length}")


@feature(EXTRA, "2.6.33 and a processor that has them")
def breakpoints() -> None:
    """Debug registers by PTRACE_POKEUSR: stopping at an address without changing code."""
    register = ptrace.USER.offsets["u_debugreg"]
    with stopped() as tracee:
        address = tracee.registers()["rip"]
        request(ptrace.PTRACE_POKEUSR, tracee.tid, register, address)
        request(ptrace.PTRACE_POKEUSR, tracee.tid, register + 7 * 8, 1)  # DR7: the first one is enabled


@feature(REQUIRED, "2.6.31; of our own signals always", alone=True)
def sigqueueinfo() -> None:
    """rt_sigqueueinfo to ourselves with any contents: queued signals come back as they were."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    info = signal_abi.SIGINFO_KILL.pack(si_signo=signal.SIGUSR1, si_code=signal_abi.SI_USER, si_pid=7)
    call("rt_sigqueueinfo", os.getpid(), signal.SIGUSR1, Memory(info))
    got = signal.sigwaitinfo([signal.SIGUSR1])
    if (got.si_code, got.si_pid) != (signal_abi.SI_USER, 7):
        raise Missing(f"the signal came with code {got.si_code} and pid {got.si_pid}")


@feature(EXTRA, "5.6, commit 8649c322f75c")
def pidfd_store() -> None:
    """pidfd_open and pidfd_getfd: sure names for processes, and duplicates of their descriptors."""
    with victim() as pid:
        pidfd = pidfd_open(pid)
        try:
            os.close(pidfd_getfd(pidfd, 0, "a child's standard input"))
        finally:
            os.close(pidfd)


@feature(EXTRA, "4.13, commit 0791e3644e5e")
def kcmp_epoll() -> None:
    """KCMP_EPOLL_TFD: what an epoll descriptor watches, when its number was given to another file."""
    import select

    reader, writer = os.pipe2(os.O_CLOEXEC)
    with select.epoll() as poll:
        poll.register(reader)
        slot = Memory(kcmp_abi.KCMP_EPOLL_SLOT.pack(efd=poll.fileno(), tfd=reader))
        try:
            answer = kcmp(os.getpid(), os.getpid(), kcmp_abi.KCMP_EPOLL_TFD, reader, slot.address)
        finally:
            os.close(reader)
            os.close(writer)
    if answer:
        raise Missing(f"kcmp answers {answer} for a watched file")


@feature(EXTRA, "6.15, commit ec2d0c04624b", alone=True)
def timer_cr_ids() -> None:
    """PR_TIMER_CREATE_RESTORE_IDS: timer_create with a chosen identifier."""
    call("prctl", prctl.PR_TIMER_CREATE_RESTORE_IDS, prctl.PR_TIMER_CREATE_RESTORE_IDS_ON)
    number = Memory(struct.pack("=i", 4711))
    event = Memory(signal_abi.SIGEVENT.pack(sigev_notify=signal_abi.SIGEV_NONE))
    call("timer_create", 0, event, number)
    if struct.unpack("=i", number.view) != (4711,):
        raise Missing("the timer got another identifier")


@feature(REQUIRED, "3.10, commit 48f6a7a511ef", alone=True)
def proc_timers() -> None:
    """/proc/PID/timers: the POSIX timers of a process."""
    number = Memory(4)
    event = Memory(signal_abi.SIGEVENT.pack(sigev_notify=signal_abi.SIGEV_NONE))
    call("timer_create", 0, event, number)
    with ProcDir(os.getpid()) as ours:
        if len(ours.timers()) != 1:
            raise Missing("a timer is not listed")


@feature(EXTRA, "6.3, commit 544a4f2ecd45")
def membarrier_get() -> None:
    """MEMBARRIER_CMD_GET_REGISTRATIONS: what a process has registered for."""
    call("membarrier", membarrier.MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0)


@feature(EXTRA, "2.6.39; writable as CONFIG_AUDIT_LOGINUID_IMMUTABLE allows", alone=True)
def loginuid() -> None:
    """/proc/PID/loginuid can be set back."""
    now = read_all("/proc/self/loginuid")
    with open("/proc/self/loginuid", "wb") as file:
        file.write(now)


@feature(EXTRA, "4.15 with AppArmor")
def apparmor_stacking() -> None:
    """Stacked AppArmor profiles."""
    if read_all("/sys/kernel/security/apparmor/features/domain/stack").strip() != b"yes":
        raise Missing("AppArmor says that it cannot")


_FREEZERS = {"cgroup": ("freezer", "freezer.state"), "cgroup2": ("", "cgroup.freeze")}


@feature(EXTRA, "2.6.28 (version 1), 5.2 (version 2)")
def cgroup_freezer() -> None:
    """A freezer: a whole cgroup stopped at once."""
    with ProcDir(os.getpid()) as ours:
        mounts = [found for found in ours.mountinfo() if found.fstype in _FREEZERS]
    reason = "no cgroup hierarchy with a freezer is mounted"
    for found in mounts:
        controller, file = _FREEZERS[found.fstype]
        if not controller or controller in found.super_options.split(","):
            try:
                if _group_has(found.point, file):
                    return
            except OSError as error:  # read-only perhaps: another hierarchy may do
                reason = f"{found.point}: {error.strerror}"
    raise Missing(reason)


def _group_has(mount: str, file: str) -> bool:
    group = f"{mount}/amber-probe-{os.getpid()}"
    os.mkdir(group)
    try:
        return os.path.exists(f"{group}/{file}")
    finally:
        os.rmdir(group)
