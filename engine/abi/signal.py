"""Signals as the kernel counts and stores them: asm/signal.h, asm/siginfo.h (sigaction(2), sigaltstack(2)).

The structures are the kernel's, not the C library's: a signal set is 8 bytes, and `sa_mask` comes last.
"""

from engine.abi.layout import Layout

SIGHUP = 1
SIGINT = 2
SIGQUIT = 3
SIGILL = 4
SIGTRAP = 5
SIGABRT = 6
SIGBUS = 7
SIGFPE = 8
SIGKILL = 9
SIGUSR1 = 10
SIGSEGV = 11
SIGUSR2 = 12
SIGPIPE = 13
SIGALRM = 14
SIGTERM = 15
SIGSTKFLT = 16
SIGCHLD = 17
SIGCONT = 18
SIGSTOP = 19
SIGTSTP = 20
SIGTTIN = 21
SIGTTOU = 22
SIGURG = 23
SIGXCPU = 24
SIGXFSZ = 25
SIGVTALRM = 26
SIGPROF = 27
SIGWINCH = 28
SIGIO = 29
SIGPWR = 30
SIGSYS = 31
SIGRTMIN = 32  # the C library keeps 32 and 33 for itself

SIG_BLOCK = 0
SIG_UNBLOCK = 1
SIG_SETMASK = 2

SA_NOCLDSTOP = 0x1
SA_NOCLDWAIT = 0x2
SA_SIGINFO = 0x4
SA_UNSUPPORTED = 0x400
SA_EXPOSE_TAGBITS = 0x800
SA_RESTORER = 0x4000000
SA_ONSTACK = 0x8000000
SA_RESTART = 0x10000000
SA_NODEFER = 0x40000000
SA_RESETHAND = 0x80000000

SS_ONSTACK = 0x1
SS_DISABLE = 0x2
SS_AUTODISARM = 0x80000000

SI_USER = 0
SI_KERNEL = 128
SI_QUEUE = -1
SI_TIMER = -2
SI_MESGQ = -3
SI_ASYNCIO = -4
SI_SIGIO = -5
SI_TKILL = -6
TRAP_BRKPT = 1
TRAP_TRACE = 2
CLD_EXITED = 1
CLD_KILLED = 2
CLD_DUMPED = 3
CLD_TRAPPED = 4
CLD_STOPPED = 5
CLD_CONTINUED = 6

SIGEV_SIGNAL = 0
SIGEV_NONE = 1
SIGEV_THREAD = 2
SIGEV_THREAD_ID = 4
SI_MAX_SIZE = 128  # bytes of a siginfo_t

SIG_DFL, SIG_IGN = 0, 1  # handlers, not numbers
NSIG = 64  # signals 1..64; bit n-1 of a set stands for signal n
SIGSET_SIZE = 8

SIGACTION = Layout("struct sigaction", "sa_handler:Q sa_flags:Q sa_restorer:Q sa_mask:Q")
SIGALTSTACK = Layout("stack_t", "ss_sp:Q ss_flags:i _:4x ss_size:Q")
SIGINFO = Layout("siginfo_t", "si_signo:i si_errno:i si_code:i _:4x _:112x")
SIGINFO_KILL = Layout("siginfo_t", "si_signo:i si_errno:i si_code:i _:4x si_pid:i si_uid:I _:104x")
SIGINFO_CHLD = Layout(
    "siginfo_t",
    "si_signo:i si_errno:i si_code:i _:4x si_pid:i si_uid:I si_status:i _:4x si_utime:q si_stime:q _:80x",
)
SIGEVENT = Layout("struct sigevent", "sigev_value:Q sigev_signo:i sigev_notify:i sigev_notify_thread_id:i _:44x")
