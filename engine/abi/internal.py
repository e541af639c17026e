"""Facts that the kernel shows but that no exported header states; each with the kernel source that does.

They cannot be asserted by compiling, so the tests observe the running kernel where that is possible.
"""

# include/linux/errno.h: what a system call's register holds while the call waits to be restarted.
ERESTARTSYS = 512
ERESTARTNOINTR = 513
ERESTARTNOHAND = 514
ERESTART_RESTARTBLOCK = 516

TASK_COMM_LEN = 16  # include/linux/sched.h; with the final NUL
MAX_PID_NS_LEVEL = 32  # include/linux/pid_namespace.h
RLIM_COUNT = 16  # include/uapi/asm-generic/resource.h: RLIM_NLIMITS

# arch/x86/include/asm/ptrace.h and segment.h: selectors of user mode and the vsyscall page.
USER_CS = 0x33
USER32_CS = 0x23
USER_DS = 0x2B
VSYSCALL_ADDR = 0xFFFFFFFFFF600000

# arch/x86/include/asm/page_64_types.h: the first address no task can map, four and five page table levels.
TASK_SIZE_47 = (1 << 47) - 4096
TASK_SIZE_56 = (1 << 56) - 4096

# arch/x86/include/asm/processor-flags.h
X86_EFLAGS_TF = 0x100

# fs/proc/task_mmu.c, show_smap_vma_flags(): the mnemonics of the VmFlags line.
VM_FLAGS = {
    "rd": "readable",
    "wr": "writable",
    "ex": "executable",
    "sh": "shared",
    "mr": "may be made readable",
    "mw": "may be made writable",
    "me": "may be made executable",
    "ms": "may be shared",
    "gd": "grows down",
    "pf": "pure page frames",
    "dw": "writing to the file is denied",
    "lo": "locked",
    "io": "device memory",
    "sr": "read in sequence",
    "rr": "read at random",
    "dc": "not copied by fork",
    "de": "cannot be expanded by mremap",
    "lf": "locked when faulted in",
    "ac": "counted as committed memory",
    "nr": "no swap space reserved",
    "ht": "huge page file system",
    "sf": "synchronous page faults",
    "ar": "architecture's own",
    "wf": "wiped by fork",
    "dd": "not in core dumps",
    "sd": "soft-dirty",
    "mm": "mixed page frames and pages",
    "hg": "huge pages wanted",
    "nh": "huge pages refused",
    "mg": "mergeable",
    "bt": "guarded branch targets",
    "mt": "memory tagging",
    "um": "userfaultfd: missing pages",
    "uw": "userfaultfd: write protection",
    "ui": "userfaultfd: minor faults",
    "ss": "shadow stack",
    "sl": "sealed",
    "dp": "may be dropped",
    "gu": "has guard pages",
}
