"""Registers, extended state and signal mask: what a thread computes with.

Read from outside while the thread is stopped, and set from outside when its skeleton has halted.
"""

from __future__ import annotations

import functools
import struct

from engine.abi import xsave
from engine.errors import ImageError, Obstacle, Refused
from engine.images import pb
from engine.kernel._native import ffi, lib
from engine.kernel.home import Home, restarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask, FrozenThread
    from engine.kernel.ptrace import Registers, Tracee
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewThread

ROWS = {
    "P15": "general registers and segment bases",
    "P16": "interrupted system calls, which are made again",
    "P17": "x87, SSE, AVX and AVX-512 state, protection key register",
    "P21": "thread-local storage: segment bases and GDT entries",
    "P24": "the signal mask of each thread",
}
REFUSED = {"P22": "32-bit tasks", "P20": "tasks with shadow stacks"}

# user_x86_regs_entry's field -> name in struct user_regs_struct
_REGISTERS = {
    "r15": "r15", "r14": "r14", "r13": "r13", "r12": "r12", "bp": "rbp", "bx": "rbx", "r11": "r11",
    "r10": "r10", "r9": "r9", "r8": "r8", "ax": "rax", "cx": "rcx", "dx": "rdx", "si": "rsi", "di": "rdi",
    "orig_ax": "orig_rax", "ip": "rip", "cs": "cs", "flags": "eflags", "sp": "rsp", "ss": "ss",
    "fs_base": "fs_base", "gs_base": "gs_base", "ds": "ds", "es": "es", "fs": "fs", "gs": "gs",
}  # fmt: skip
USER_CS = 0x33
LDT_ENTRY = 8  # bytes of one of a process' own descriptors (asm/ldt.h, LDT_ENTRY_SIZE)
GDT_TLS = (12, 13, 14)  # GDT_ENTRY_TLS_MIN and the two behind it (asm/segment.h, 64-bit)
# struct user_desc (asm/ldt.h), as user_desc_t names its bits
_DESCRIPTOR_BITS = ("seg_32bit", "contents_l", "contents_h", "read_exec_only", "limit_in_pages",
                    "seg_not_present", "usable")  # fmt: skip

_FXSAVE = struct.Struct("<HHHHQQII32I64I")  # cwd swd twd fop rip rdp mxcsr mxcsr_mask st_space xmm_space
PADDING_WORDS = 24  # the rest of the 512-byte legacy area

# user_x86_xsave_entry's field -> (component of XCR0, struct code of its words)
_COMPONENTS = {
    "ymmh_space": (xsave.XFEATURE_YMM, "I"), "bndreg_state": (xsave.XFEATURE_BNDREGS, "Q"),
    "bndcsr_state": (xsave.XFEATURE_BNDCSR, "Q"), "opmask_reg": (xsave.XFEATURE_OPMASK, "Q"),
    "zmm_upper": (xsave.XFEATURE_ZMM_HI256, "Q"), "hi16_zmm": (xsave.XFEATURE_HI16_ZMM, "Q"),
    "pkru": (xsave.XFEATURE_PKRU, "I"),
}  # fmt: skip
_SAVED = sum(1 << bit for bit, _ in _COMPONENTS.values()) | 0b11


def collect_thread(thread: FrozenThread) -> None:
    """From the home that was saved when the thread stopped; an interrupted call is made to be made again."""
    home, core = thread.home, thread.core
    core.mtype = pb.core_entry.X86_64
    registers = restarted(home.registers)
    if registers["cs"] != USER_CS:
        thread.task.refuse(_which(thread), "it is a 32-bit task, which is not supported")
    info = core.thread_info
    info.clear_tid_addr = 0
    general = info.gpregs
    for field, name in _REGISTERS.items():
        setattr(general, field, registers[name])
    general.mode = pb.user_x86_regs_mode.NATIVE
    extended, unknown = _extended_entry(home.xstate)
    if unknown:
        thread.task.refuse(_which(thread), f"extended state components {unknown:#x} are not supported")
    info.fpregs.MergeFromString(extended)
    info.MergeFromString(_tls_entries(thread.facts.tls))
    if thread.tid == thread.task.pid:
        core.tc.blk_sigset = home.mask
    core.thread_core.blk_sigset = home.mask


def ask(ask: Emitter) -> Slot:
    """How many bytes of descriptors of its own segments there are (modify_ldt(2)); the kernel may be built without."""
    return ask.attempt("modify_ldt", 0, ask.buffer(LDT_ENTRY), LDT_ENTRY)


def hear(task: FrozenTask, table: Slot) -> None:
    """No image has a place for them."""
    if task.leader.answer(table) > 0:
        task.refuse("", "it has a local descriptor table (modify_ldt(2)), which is not supported")


def _which(thread: FrozenThread) -> str:
    return "" if thread.tid == thread.task.pid else f"thread {thread.tid}"


@functools.lru_cache(1024)  # most threads wait with the same state as others of their program
def _extended_entry(state: bytes) -> tuple[bytes, int]:
    """The serialised user_x86_fpregs_entry, and a mask of the components that it has no place for."""
    fpregs = pb.user_x86_fpregs_entry()
    numbers = _FXSAVE.unpack_from(state)
    for field, value in zip(("cwd", "swd", "twd", "fop", "rip", "rdp", "mxcsr", "mxcsr_mask"), numbers, strict=False):
        setattr(fpregs, field, value)
    fpregs.st_space.extend(numbers[8:40])
    fpregs.xmm_space.extend(numbers[40:])
    fpregs.padding.extend([0] * PADDING_WORDS)
    if len(state) <= xsave.XSAVE_COMPONENTS_OFFSET:
        return fpregs.SerializePartialToString(), 0
    (features,) = struct.unpack_from("<Q", state, xsave.XSAVE_HEADER_OFFSET)
    fpregs.xsave.xstate_bv = features
    enabled = int.from_bytes(state[xsave.XSTATE_XCR0_OFFSET : xsave.XSTATE_XCR0_OFFSET + 8], "little")
    for field, (bit, code) in _COMPONENTS.items():
        if enabled >> bit & 1:
            offset, size = _place(bit)
            words = struct.unpack_from(f"<{size // struct.calcsize(code)}{code}", state, offset)
            getattr(fpregs.xsave, field).extend(words)
    return fpregs.SerializePartialToString(), features & ~_SAVED


@functools.cache
def _tls_entries(areas: bytes) -> bytes:
    """The thread-local entries of the GDT, as part of a serialised thread_info; 64-bit programs leave them empty."""
    info = pb.thread_info_x86()
    for number, (_, base, limit, flags) in zip(GDT_TLS, struct.iter_unpack("<4I", areas), strict=True):
        values = {name: bool(flags >> bit & 1) for bit, name in enumerate(_DESCRIPTOR_BITS)}
        entry = pb.user_desc_t(entry_number=number, base_addr=base, limit=limit, **values)
        info.tls.append(entry)
    return info.SerializePartialToString()


def set_tls(thread: NewThread, tracee: Tracee) -> None:
    """Sets the entries that are in use."""
    for entry in thread.core.thread_info.tls:
        if entry.base_addr or entry.limit:
            flags = sum(getattr(entry, name) << bit for bit, name in enumerate(_DESCRIPTOR_BITS))
            area = struct.pack("<4I", entry.entry_number, entry.base_addr, entry.limit, flags)
            tracee.set_thread_area(entry.entry_number, area)


def home_of(thread: NewThread, template: bytes) -> Home:
    """What a restored thread is given at last. `template` is the extended state of a fresh task here: it knows the
    sizes and features of this machine."""
    core = thread.core
    registers: Registers = {name: getattr(core.thread_info.gpregs, field) for field, name in _REGISTERS.items()}
    mask = core.tc.blk_sigset if thread.is_leader else core.thread_core.blk_sigset
    return Home(registers, _extended(thread, template), mask)


def _extended(thread: NewThread, template: bytes) -> bytes:
    fpregs, state = thread.core.thread_info.fpregs, bytearray(template)
    head = (fpregs.cwd, fpregs.swd, fpregs.twd, fpregs.fop, fpregs.rip, fpregs.rdp, fpregs.mxcsr, fpregs.mxcsr_mask)
    try:
        _FXSAVE.pack_into(state, 0, *head, *fpregs.st_space, *fpregs.xmm_space)
    except struct.error as error:
        raise ImageError(f"core-{thread.tid}.img: no floating-point registers are like this: {error}") from None
    features = 0b11
    if fpregs.HasField("xsave"):
        features = fpregs.xsave.xstate_bv | features
        _fill_components(thread, fpregs.xsave, state)
    struct.pack_into("<Q", state, xsave.XSAVE_HEADER_OFFSET, features)
    return bytes(state)


def _fill_components(thread: NewThread, image: pb.user_x86_xsave_entry, state: bytearray) -> None:
    enabled = int.from_bytes(state[xsave.XSTATE_XCR0_OFFSET : xsave.XSTATE_XCR0_OFFSET + 8], "little")
    if missing := image.xstate_bv & ~enabled & ~0b11:
        reason = f"it uses extended state components {missing:#x}, which this processor lacks"
        raise Refused([Obstacle(str(thread), reason)])
    for field, (bit, code) in _COMPONENTS.items():
        words = getattr(image, field)
        if words and enabled >> bit & 1:
            offset, size = _place(bit)
            if len(words) * struct.calcsize(code) > size:
                raise ImageError(f"core-{thread.tid}.img: {field} is larger than its {size} bytes in the processor")
            struct.pack_into(f"<{len(words)}{code}", state, offset, *words)


def _place(bit: int) -> tuple[int, int]:
    """(offset, size) of a component in the uncompacted layout; processors differ (CPUID leaf 0xd)."""
    if bit not in _places:
        out = ffi.new("unsigned[4]")
        lib.cpuid(0xD, bit, out)
        _places[bit] = (out[1], out[0])
    return _places[bit]


_places: dict[int, tuple[int, int]] = {}
