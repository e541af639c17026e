"""I/O priorities: linux/ioprio.h (ioprio_set(2))."""

IOPRIO_WHO_PROCESS = 1
