"""Path names, which to the kernel are bytes: most are UTF-8, all are possible."""

from __future__ import annotations

from engine.images import pb
from engine.images.text import get_text, set_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DELETED = " (deleted)"  # what d_path() appends to the path of an unlinked file (fs/d_path.c)
NOT_A_PATH = ("/memfd:", "/SYSV", "/dev/zero (deleted)", "/anon_hugepage", "/[")  # names that the kernel makes up


def named_entry(name: str, **fields: Any) -> pb.reg_file_entry:
    """An entry with this name. Bytes that are no UTF-8 are surrogates in it, as os.fsdecode makes them."""
    try:
        return pb.reg_file_entry(name=name, **fields)
    except (UnicodeEncodeError, ValueError):
        entry = pb.reg_file_entry(**fields)
        set_text(entry, "name", name)
        return entry


def get(entry: pb.reg_file_entry) -> str:
    """The name, with surrogates for bytes that are no UTF-8."""
    return get_text(entry, "name")


def shown(name: str) -> str:
    """For messages: control characters and stray bytes escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]
