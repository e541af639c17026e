"""Futexes and robust lists: linux/futex.h (futex(2), get_robust_list(2))."""

from engine.abi.layout import Layout

FUTEX_WAIT = 0x0
FUTEX_WAKE = 0x1
FUTEX_PRIVATE_FLAG = 0x80
FUTEX_CLOCK_REALTIME = 0x100
FUTEX_WAITERS = 0x80000000
FUTEX_OWNER_DIED = 0x40000000
FUTEX_TID_MASK = 0x3FFFFFFF

ROBUST_LIST_HEAD = Layout("struct robust_list_head", "list.next:Q futex_offset:q list_op_pending:Q")
