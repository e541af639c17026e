"""Eventfds: a counter, and whether reading takes all of it or one."""

from __future__ import annotations

from engine.abi.fcntl import F_SETFL, O_ACCMODE, O_CLOEXEC
from engine.images import pb
from engine.resources.files.descriptor import no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree
    from engine.resources.files.descriptor import Descriptor

ROWS = {"F26": "eventfds: counter and flags"}

TYPE = 6  # fd_types.EVENTFD
LANDS = True
EFD_SEMAPHORE = 1  # kept in the flags: bits of the access mode mean nothing to F_SETFL, with which CRIU sets them
NEW = (1 << 32) - 1  # the largest counter that eventfd2(2) takes


def claims(file: Descriptor) -> bool:
    """The kernel's name for it."""
    return file.link == "anon_inode:[eventfd]"


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """fdinfo has the counter in hexadecimal, and eventfd-semaphore since Linux 6.5."""
    info = file.info
    semaphore = EFD_SEMAPHORE if info.value("eventfd-semaphore") == "1" else 0
    flags = file.flags & ~EFD_SEMAPHORE | semaphore
    counter = int(info.value("eventfd-count") or "0", 16)
    entry = pb.eventfd_file_entry(id=ident, flags=flags, fown=no_owner(), counter=counter)
    return pb.file_entry(type=TYPE, id=ident, efd=entry)


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """A counter that is too large for the call is written."""
    entry = file.efd
    small = entry.counter <= NEW
    slot = step.call("eventfd2", entry.counter if small else 0, entry.flags & EFD_SEMAPHORE | O_CLOEXEC)
    if not small:
        step.full_io("write", slot, step.pack("Q", entry.counter), 8)
    if status := entry.flags & ~O_ACCMODE:
        step.call("fcntl", slot, F_SETFL, status)
    return slot
