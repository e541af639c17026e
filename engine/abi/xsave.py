"""Extended state in the standard (non-compacted) format: asm/sigcontext.h and Intel SDM volume 1, chapter 13.

NT_X86_XSTATE and a signal frame use the same layout. The places of the components beyond AVX are what
Intel's processors report; AMD's without MPX or AVX-512 put PKRU elsewhere, so CPUID leaf 0xD decides.
"""

from engine.abi.layout import Layout

FP_XSTATE_MAGIC1 = 0x46505853
FP_XSTATE_MAGIC2 = 0x46505845
FP_XSTATE_MAGIC2_SIZE = 4

# The legacy area. `sw_reserved` (bytes 464..511) is the kernel's: in a signal frame `_fpx_sw_bytes`, in a
# regset the processor's XCR0 stands at offset 464 (XSTATE_XCR0_OFFSET).
FPSTATE = Layout(
    "struct _fpstate",
    "cwd:H swd:H twd:H fop:H rip:Q rdp:Q mxcsr:I mxcsr_mask:I st_space:128s xmm_space:256s _:48x "
    "sw_reserved.magic1:I sw_reserved.extended_size:I sw_reserved.xfeatures:Q "
    "sw_reserved.xstate_size:I _:28x",
)
XSTATE_XCR0_OFFSET = 464
XSAVE_HEADER = Layout("struct _header", "xfeatures:Q _:56x")
XSAVE_HEADER_OFFSET = 512
XSAVE_COMPONENTS_OFFSET = 576  # the first byte after legacy area and header

# Bit of each component in XCR0 and in the header's xfeatures (arch/x86/include/asm/fpu/types.h).
XFEATURE_FP = 0
XFEATURE_SSE = 1
XFEATURE_YMM = 2
XFEATURE_BNDREGS = 3
XFEATURE_BNDCSR = 4
XFEATURE_OPMASK = 5
XFEATURE_ZMM_HI256 = 6
XFEATURE_HI16_ZMM = 7
XFEATURE_PKRU = 9
XFEATURE_CET_USER = 11  # supervisor state: never in the standard format
XFEATURE_XTILE_CFG = 17
XFEATURE_XTILE_DATA = 18

# Component bit -> (offset, size) in bytes.
STANDARD_PLACES = {
    XFEATURE_YMM: (576, 256),
    XFEATURE_BNDREGS: (960, 64),
    XFEATURE_BNDCSR: (1024, 64),
    XFEATURE_OPMASK: (1088, 64),
    XFEATURE_ZMM_HI256: (1152, 512),
    XFEATURE_HI16_ZMM: (1664, 1024),
    XFEATURE_PKRU: (2688, 8),
    XFEATURE_XTILE_CFG: (2752, 64),
    XFEATURE_XTILE_DATA: (2816, 8192),
}
