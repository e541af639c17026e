"""The way home: what a thread needs to go on as if nothing had been, and the signal frame that leads it there.

Before anything else is changed in a thread, a signal frame with its own context is written, and every piece of code
that is made to run in it ends in `rt_sigreturn` on that frame. So a thread whose tracer is killed at any instruction
runs home by itself (docs/injection.md).
"""

from __future__ import annotations

import struct
from operator import itemgetter

from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.kernel.ptrace import Registers, Tracee

ROWS = {"M32": "nothing below the stack pointer of a frozen task is disturbed"}

# Internal restart codes of a system call that was interrupted (include/linux/errno.h).
RESTART_AGAIN = (512, 513, 514)  # ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND
RESTART_BLOCK = 516  # ERESTART_RESTARTBLOCK: the rest of the call is known to the kernel alone
EINTR = 4

# arch/x86/include/uapi/asm/ucontext.h: xstate present, ss saved, ss to be restored as it is.
UC_FLAGS = 1 | 2 | 4
# An impossible ss_flags: do_sigaltstack() refuses it and rt_sigreturn goes on, so the thread's alternate
# stack stays as it is (kernel/signal.c, restore_altstack).
KEEP_ALTSTACK = 4
FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2 = 0x46505853, 0x46505845
XCR0_OFFSET, SW_RESERVED_OFFSET = 464, 464  # in NT_X86_XSTATE and in the frame's legacy area

_GREGS = [
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
    "rdi",
    "rsi",
    "rbp",
    "rbx",
    "rdx",
    "rax",
    "rcx",
    "rsp",
    "rip",
    "eflags",
]
_in_order = itemgetter(*_GREGS)
_GENERAL = struct.Struct("<18Q")
_HEAD = struct.Struct("<QQQQIIQ")  # pretcode, uc_flags, uc_link, uc_stack: sp, flags, pad, size
_REST = struct.Struct("<4H4QQ64s")  # segments; err, trapno, oldmask, cr2; fpstate; reserved
_FRAME_SIZE = 0x200
U64 = (1 << 64) - 1


class Home(NamedTuple):
    """A thread's registers, extended state and signal mask at the moment it was stopped."""

    registers: Registers
    xstate: bytes
    mask: int

    @classmethod
    def of(cls, tracee: Tracee) -> Home:
        """What a stopped thread has now."""
        return cls(tracee.registers(), tracee.xstate(), tracee.signal_mask())

    @property
    def frame_size(self) -> int:
        """Bytes that `frame` needs, alignment included."""
        return _FRAME_SIZE + 64 + (len(self.xstate) + 4 + 63 & -64)

    def frame(self, address: int, restorer: int) -> tuple[int, bytes]:
        """(Where the frame begins, its bytes from `address` on); its return address is `restorer`, an existing
        rt_sigreturn sequence of the task. `address` is 16-byte aligned."""
        fpstate = address + _FRAME_SIZE + 63 & -64
        registers = restarted(self.registers)
        packed = _HEAD.pack(restorer, UC_FLAGS, 0, 0, KEEP_ALTSTACK, 0, 0)
        packed += _GENERAL.pack(*_in_order(registers))
        packed += _REST.pack(registers["cs"], 0, 0, registers["ss"], 0, 0, 0, 0, fpstate, b"")
        packed += self.mask.to_bytes(8, "little")
        return address, packed.ljust(fpstate - address, b"\0") + self._fpstate()

    def _fpstate(self) -> bytes:
        state, size = bytearray(self.xstate), len(self.xstate)
        features = int.from_bytes(state[XCR0_OFFSET : XCR0_OFFSET + 8], "little")
        struct.pack_into("<IIQI", state, SW_RESERVED_OFFSET, FP_XSTATE_MAGIC1, size + 4, features, size)
        return bytes(state) + FP_XSTATE_MAGIC2.to_bytes(4, "little")


def restarted(registers: Registers) -> Registers:
    """Registers that can be loaded from outside a system call: an interrupted call is turned back into itself; one
    whose rest only the kernel knows (a restart block) returns EINTR, as it may after any signal."""
    fixed = dict(registers)
    if registers["orig_rax"] >> 63 == 0:
        error = -registers["rax"] & U64
        if error in RESTART_AGAIN:
            fixed["rax"] = registers["orig_rax"]
            fixed["rip"] = registers["rip"] - 2
        elif error == RESTART_BLOCK:
            fixed["rax"] = -EINTR & U64
    fixed["orig_rax"] = U64
    return fixed
