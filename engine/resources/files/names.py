"""Path names as the kernel makes them up, and as messages show them."""

from __future__ import annotations

DELETED = " (deleted)"  # what d_path() appends to the path of an unlinked file (fs/d_path.c)
NOT_A_PATH = ("/memfd:", "/SYSV", "/dev/zero (deleted)", "/anon_hugepage", "/[")  # names that the kernel makes up


def shown(name: str) -> str:
    """For messages: control characters and stray bytes escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]
