"""Tracing: linux/ptrace.h, linux/elf.h, sys/user.h (ptrace(2)); registers of x86-64."""

from engine.abi.layout import Layout

PTRACE_TRACEME = 0x0
PTRACE_PEEKDATA = 0x2
PTRACE_PEEKUSR = 0x3
PTRACE_POKEDATA = 0x5
PTRACE_POKEUSR = 0x6
PTRACE_CONT = 0x7
PTRACE_KILL = 0x8
PTRACE_SINGLESTEP = 0x9
PTRACE_ATTACH = 0x10
PTRACE_DETACH = 0x11
PTRACE_SYSCALL = 0x18
PTRACE_SETOPTIONS = 0x4200
PTRACE_GETEVENTMSG = 0x4201
PTRACE_GETSIGINFO = 0x4202
PTRACE_SETSIGINFO = 0x4203
PTRACE_GETREGSET = 0x4204
PTRACE_SETREGSET = 0x4205
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_PEEKSIGINFO = 0x4209
PTRACE_GETSIGMASK = 0x420A
PTRACE_SETSIGMASK = 0x420B
PTRACE_SECCOMP_GET_FILTER = 0x420C
PTRACE_SECCOMP_GET_METADATA = 0x420D
PTRACE_GET_SYSCALL_INFO = 0x420E
PTRACE_GET_RSEQ_CONFIGURATION = 0x420F  # 5.13
PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210  # 6.4
PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211  # 6.4
PTRACE_SET_SYSCALL_INFO = 0x4212  # 6.16

PTRACE_O_TRACESYSGOOD = 0x1
PTRACE_O_TRACEFORK = 0x2
PTRACE_O_TRACEVFORK = 0x4
PTRACE_O_TRACECLONE = 0x8
PTRACE_O_TRACEEXEC = 0x10
PTRACE_O_TRACEVFORKDONE = 0x20
PTRACE_O_TRACEEXIT = 0x40
PTRACE_O_TRACESECCOMP = 0x80
PTRACE_O_EXITKILL = 0x100000
PTRACE_O_SUSPEND_SECCOMP = 0x200000

PTRACE_EVENT_FORK = 1
PTRACE_EVENT_VFORK = 2
PTRACE_EVENT_CLONE = 3
PTRACE_EVENT_EXEC = 4
PTRACE_EVENT_VFORK_DONE = 5
PTRACE_EVENT_EXIT = 6
PTRACE_EVENT_SECCOMP = 7
PTRACE_EVENT_STOP = 128

PTRACE_PEEKSIGINFO_SHARED = 1
PTRACE_SYSCALL_INFO_NONE = 0
PTRACE_SYSCALL_INFO_ENTRY = 1
PTRACE_SYSCALL_INFO_EXIT = 2
PTRACE_SYSCALL_INFO_SECCOMP = 3

NT_PRSTATUS = 0x1
NT_PRFPREG = 0x2
NT_386_TLS = 0x200
NT_X86_XSTATE = 0x202
NT_X86_SHSTK = 0x204  # 6.6

# The general registers of NT_PRSTATUS, in the order in which the kernel hands them out.
USER_REGS = Layout(
    "struct user_regs_struct",
    "r15:Q r14:Q r13:Q r12:Q rbp:Q rbx:Q r11:Q r10:Q r9:Q r8:Q rax:Q rcx:Q rdx:Q rsi:Q rdi:Q "
    "orig_rax:Q rip:Q cs:Q eflags:Q rsp:Q ss:Q fs_base:Q gs_base:Q ds:Q es:Q fs:Q gs:Q",
)
PEEKSIGINFO_ARGS = Layout("struct ptrace_peeksiginfo_args", "off:Q flags:I nr:i")
SECCOMP_METADATA = Layout("struct seccomp_metadata", "filter_off:Q flags:Q")
RSEQ_CONFIGURATION = Layout(
    "struct ptrace_rseq_configuration", "rseq_abi_pointer:Q rseq_abi_size:I signature:I flags:I pad:I"
)
SYSCALL_INFO = Layout(
    "struct ptrace_syscall_info",
    "op:B _:3x arch:I instruction_pointer:Q stack_pointer:Q entry.nr:Q entry.args:6Q _:8x",
)
IOVEC = Layout("struct iovec", "iov_base:Q iov_len:Q")
# What PTRACE_PEEKUSR and POKEUSR address, as far as it is used: the debug registers behind all else.
USER = Layout("struct user", "regs:216s u_fpvalid:i _:4x i387:512s _:112x u_debugreg:64s")
