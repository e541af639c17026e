"""Restartable sequences: linux/rseq.h (rseq(2) in the kernel's Documentation)."""

from engine.abi.layout import Layout

RSEQ_CPU_ID_UNINITIALIZED = -1
RSEQ_CPU_ID_REGISTRATION_FAILED = -2
RSEQ_FLAG_UNREGISTER = 1
RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT = 1
RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL = 2
RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE = 4

RSEQ_CS = Layout("struct rseq_cs", "version:I flags:I start_ip:Q post_commit_offset:Q abort_ip:Q")
# The first 32 bytes, which every kernel knows; newer ones append (AT_RSEQ_FEATURE_SIZE, 6.3).
RSEQ = Layout(  # 6.3
    "struct rseq", "cpu_id_start:I cpu_id:I rseq_cs:Q flags:I node_id:I mm_cid:I _:4x"
)
