"""What rt_sigreturn(2) reads from a stack of x86-64: asm/sigcontext.h, asm/ucontext.h.

The frame of a signal handler is the handler's return address (8 bytes), then UCONTEXT, then a siginfo_t;
`uc_mcontext.fpstate` points to an extended state area (engine/abi/xsave.py), 64-byte aligned, whose
software bytes carry FP_XSTATE_MAGIC1 and which FP_XSTATE_MAGIC2 follows.
"""

from engine.abi.layout import Layout

UC_FP_XSTATE = 0x1
UC_SIGCONTEXT_SS = 0x2
UC_STRICT_RESTORE_SS = 0x4

UCONTEXT = Layout(
    "struct ucontext",
    "uc_flags:Q uc_link:Q uc_stack.ss_sp:Q uc_stack.ss_flags:i _:4x uc_stack.ss_size:Q "
    "uc_mcontext.r8:Q uc_mcontext.r9:Q uc_mcontext.r10:Q uc_mcontext.r11:Q uc_mcontext.r12:Q "
    "uc_mcontext.r13:Q uc_mcontext.r14:Q uc_mcontext.r15:Q uc_mcontext.rdi:Q uc_mcontext.rsi:Q "
    "uc_mcontext.rbp:Q uc_mcontext.rbx:Q uc_mcontext.rdx:Q uc_mcontext.rax:Q uc_mcontext.rcx:Q "
    "uc_mcontext.rsp:Q uc_mcontext.rip:Q uc_mcontext.eflags:Q uc_mcontext.cs:H uc_mcontext.gs:H "
    "uc_mcontext.fs:H uc_mcontext.ss:H uc_mcontext.err:Q uc_mcontext.trapno:Q uc_mcontext.oldmask:Q "
    "uc_mcontext.cr2:Q uc_mcontext.fpstate:Q _:64x uc_sigmask:Q",
)
