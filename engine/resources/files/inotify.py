"""Inotify instances: what they watch, under which numbers (inotify(7)).

The kernel tells the inode and a file handle of each mark (fs/notify/fdinfo.c); the handle leads to a name. At restore
every watch gets its old number (INOTIFY_IOC_SETNEXTWD, Linux 4.19). Events that wait in the queue at a dump are lost,
and the log says so: nobody can put an event into a queue. Those that the restore itself makes, by opening files, are
read away before the tree runs.
"""

from __future__ import annotations

import os
import struct
from errno import EAGAIN

from engine.abi.fcntl import F_SETFL, O_ACCMODE, O_CLOEXEC, O_NONBLOCK
from engine.abi.inotify import IN_ALL_EVENTS, IN_EXCL_UNLINK, IN_ONESHOT
from engine.abi.ioctls import FIONREAD, INOTIFY_IOC_SETNEXTWD
from engine.errors import Obstacle
from engine.images import pb
from engine.images.text import get_text, set_text
from engine.kernel import calls
from engine.kernel._native import ffi
from engine.kernel.proc import ProcDir, inotify_marks
from engine.resources import stages
from engine.resources.files.descriptor import no_owner
from engine.resources.files.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.kernel.proc import InotifyMark, Mount
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask, NewTree
    from engine.resources.files.descriptor import Descriptor
    from engine.resources.files.opener import Opener

ROWS = {"F30": "inotify instances: watches with their numbers, masks and names"}
REFUSED = {"F30": "a watch on what has no name any more"}

TYPE = 8  # fd_types.INOTIFY
LANDS = True
GIVEN = IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT  # what inotify_add_watch(2) keeps; fdinfo shows more
HANDLE_WORDS = 16  # that a handle has in images, padding included
HANDLE = struct.Struct("<Ii")  # struct file_handle: length, type; the bytes follow
QUEUE = 4096  # bytes of events to be read at a time
MOST_EVENTS = 1 << 16
UNKNOWN = -EAGAIN & (1 << 64) - 1


def claims(file: Descriptor) -> bool:
    """The kernel's name for it."""
    return file.link == "anon_inode:inotify"


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """The marks, each with the name of what it is on."""
    entry = pb.inotify_file_entry(id=ident, flags=file.flags, fown=no_owner())
    mounts = file.task.proc.mountinfo()
    for mark in inotify_marks(file.info):
        name = None
        if mark.handle_type is not None:
            name = name_of(mounts, mark.device, mark.handle_type, mark.handle, mark.inode)
        if name is None:
            where = f"inode {mark.inode} of device {os.major(mark.device)}:{os.minor(mark.device)}"
            file.refuse(f"it watches {where}, whose name cannot be found", "remove the watch before the dump")
        else:
            entry.wd.append(_watch(ident, mark, name))
    if size := _waiting(file):
        text = f"pid {file.task.pid} {file.name}: {size} bytes of events that nobody has read yet are lost"
        file.task.tree.options.log.warning(text)
    return pb.file_entry(type=TYPE, id=ident, ify=entry)


def _watch(ident: int, mark: InotifyMark, name: str) -> pb.inotify_wd_entry:
    entry = pb.inotify_wd_entry(
        id=ident, i_ino=mark.inode, mask=mark.mask & GIVEN, ignored_mask=0, wd=mark.wd,
        s_dev=os.major(mark.device) << 20 | os.minor(mark.device),
    )  # fmt: skip
    padded = mark.handle.ljust(8 * HANDLE_WORDS, b"\0")
    entry.f_handle.bytes, entry.f_handle.type = len(mark.handle), mark.handle_type or 0
    entry.f_handle.handle.extend(struct.unpack(f"<{len(padded) // 8}Q", padded))
    set_text(entry.f_handle, "path", name)
    return entry


def _waiting(file: Descriptor) -> int:
    """Bytes of events in the queue."""
    fd, size = file.duplicate(), ffi.new("int *")
    try:
        calls.syscall("ioctl", fd, FIONREAD, int(ffi.cast("uint64_t", size)), subject=file.name)
    finally:
        os.close(fd)
    return int(size[0])


def name_of(mounts: Iterable[Mount], device: int, kind: int, handle: bytes, inode: int) -> str | None:
    """A name under which the mounts show the inode; None if it has none (open_by_handle_at(2), which needs
    CAP_DAC_READ_SEARCH)."""
    for mount in mounts:
        if mount.device != device:
            continue
        name = _name_on(mount.point, kind, handle)
        if name is not None and _is(name, device, inode):
            return name
    return None


def _name_on(mount: str, kind: int, handle: bytes) -> str | None:
    try:
        fd = os.open(mount, os.O_RDONLY | os.O_NONBLOCK | O_CLOEXEC)
    except OSError:
        return None
    raw = ffi.new("char[]", HANDLE.pack(len(handle), kind) + handle)
    found = calls.attempt("open_by_handle_at", fd, int(ffi.cast("uint64_t", raw)), os.O_PATH | O_CLOEXEC)
    os.close(fd)
    if found < 0:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def _is(name: str, device: int, inode: int) -> bool:
    try:
        facts = os.lstat(name)
    except OSError:  # its name was removed
        return False
    return (facts.st_dev, facts.st_ino) == (device, inode)


def _find(watch: pb.inotify_wd_entry) -> str | None:
    """Other engines write a name only where the handle would not do."""
    if name := get_text(watch.f_handle, "path"):
        return name
    handle = struct.pack(f"<{len(watch.f_handle.handle)}Q", *watch.f_handle.handle)[: watch.f_handle.bytes]
    device = os.makedev(watch.s_dev >> 20, watch.s_dev & 0xFFFFF)
    with ProcDir(os.getpid()) as proc:
        return name_of(proc.mountinfo(), device, watch.f_handle.type, handle, watch.i_ino)


def check(opener: Opener, file: pb.file_entry) -> Obstacle | None:
    """Whether everything that is watched is there."""
    for watch in file.ify.wd:
        name = _find(watch)
        if name is None or not os.path.lexists(name):
            what = f"inode {watch.i_ino}" if name is None else shown(name)
            return Obstacle(f"inotify {file.id}", f"{what}, which it watches, is not there", "bring it back")
    return None


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """An instance whose watches have their old numbers."""
    slot = step.call("inotify_init1", O_NONBLOCK | O_CLOEXEC)
    for watch in sorted(file.ify.wd, key=lambda watch: watch.wd):
        step.call("ioctl", slot, INOTIFY_IOC_SETNEXTWD, watch.wd)
        name = step.text(_find(watch) or "")
        step.call("inotify_add_watch", slot, name, watch.mask & GIVEN, expect=watch.wd)
    return slot


def settle(task: NewTask, file: pb.file_entry, number: int) -> None:
    """When nobody opens files any more, the events of the restore are read away, and the flags become its own; in the
    first of the processes that have the instance."""
    first = min(t.pid for t in task.tree.opener.users(file.id))
    if task.pid != first or number != min(d.fd for d in task.descriptors if d.id == file.id):
        return
    with task.step(stages.ARM, f"fd {number} (inotify)", [task.tree.everyone]) as step:
        events = step.buffer(QUEUE)
        again = len(step.ops)
        got = step.call("read", number, events, QUEUE, may=(EAGAIN,))
        step.repeat(again, got, UNKNOWN, MOST_EVENTS)
        step.call("fcntl", number, F_SETFL, file.ify.flags & ~O_ACCMODE)
