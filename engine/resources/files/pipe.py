"""Pipes: both ends, however many descriptions lead to them, and what is in them.

The contents are read with tee(2), which leaves them where they are, through a description of our own. An end that
nobody in the tree has must have been closed: one that somebody outside holds cannot be restored, and poll(2) on the
other end tells.
"""

from __future__ import annotations

import os
import select
import stat as st
from array import array
from fcntl import fcntl, ioctl

from engine.abi.fcntl import (
    AT_FDCWD,
    F_GETPIPE_SZ,
    F_SETFL,
    F_SETPIPE_SZ,
    O_ACCMODE,
    O_CLOEXEC,
    O_DIRECT,
    O_NONBLOCK,
    O_RDONLY,
    O_WRONLY,
)
from engine.errors import ImageError, KernelError, Obstacle, Refused
from engine.images import pb
from engine.kernel import calls
from engine.resources.files.descriptor import no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.frozen import FrozenTree
    from engine.images.directory import ImageDir
    from engine.plan.builder import Emitter
    from engine.plan.ops import Value
    from engine.rebuild import NewTree
    from engine.resources.files.descriptor import Descriptor

    Found = tuple[Descriptor, pb.file_entry]

ROWS = {"F23": "pipes: ends, contents, capacity"}
REFUSED = {"F24": "pipes in packet mode"}

TYPE = 2  # fd_types.PIPE
FIONREAD = 0x541B
SPLICE_F_NONBLOCK = 2
EMPTY = "have them read before the dump"
DEFAULT_SIZE = 65536  # bytes, of a new pipe (pipe(7))
NEW_MODE = 0o600  # permissions of a new one (fs/pipe.c, get_pipe_inode)


def claims(file: Descriptor) -> bool:
    """A fifo without a name."""
    return file.link.startswith("pipe:[")


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """One description of an end. Both ends, and every description, have the inode in common."""
    if file.flags & O_DIRECT:
        file.refuse("pipes in packet mode (O_DIRECT) are not supported")
    entry = pb.pipe_entry(id=ident, pipe_id=file.ino, flags=file.flags, fown=no_owner())
    return pb.file_entry(type=TYPE, id=ident, pipe=entry)


def finish(tree: FrozenTree, found: Sequence[Found]) -> None:
    """An end that is not in the tree must be closed."""
    for descriptors in _by_pipe(found).values():
        modes = {file.flags & O_ACCMODE for file in descriptors}
        file = descriptors[0]
        if len(modes) == 1 and os.O_RDWR not in modes and _is_open_elsewhere(file):
            reason = "its other end is held by a process outside of the tree"
            file.refuse(reason, "dump that process too, from a common parent, or close the pipe")


def _by_pipe(found: Sequence[Found]) -> dict[int, list[Descriptor]]:
    pipes: dict[int, list[Descriptor]] = {}
    for file, _ in found:
        pipes.setdefault(file.ino, []).append(file)
    return pipes


def _is_open_elsewhere(file: Descriptor) -> bool:
    """Whether the other end is open. A reader sees POLLHUP when it is not, a writer POLLERR (pipe(7), fs/pipe.c)."""
    fd = file.open(file.flags & O_ACCMODE | O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(fd, 0)
        return not any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
    finally:
        os.close(fd)


def write(tree: FrozenTree, found: Sequence[Found]) -> None:
    """pipes-data.img: size and contents of each pipe."""
    tree.images.post("PIPES_DATA", None, [_contents(files[0]) for files in _by_pipe(found).values()])


def _contents(file: Descriptor) -> tuple[pb.pipe_data_entry, bytes]:
    fd = file.open(O_RDONLY | O_NONBLOCK)
    try:
        size, bytes_left = fcntl(fd, F_GETPIPE_SZ), array("i", [0])
        ioctl(fd, FIONREAD, bytes_left)
        data = _tee(fd, size, bytes_left[0], file) if bytes_left[0] else b""
    finally:
        os.close(fd)
    owner = {"uid": file.uid, "gid": file.gid, "mode": file.mode}
    return pb.pipe_data_entry(pipe_id=file.ino, bytes=len(data), size=size, **owner), data


def _tee(fd: int, size: int, length: int, file: Descriptor) -> bytes:
    """The contents of a pipe, by way of another one that has as many slots."""
    subject = f"pid {file.task.pid} {file.name}"
    reader, writer = os.pipe2(O_NONBLOCK)
    try:
        fcntl(writer, F_SETPIPE_SZ, size)
        copied = calls.syscall("tee", fd, writer, length, SPLICE_F_NONBLOCK, subject=subject)
        if copied < length:
            raise KernelError("tee", 0, f"{subject}: {length - copied} of {length} bytes were not copied")
        # Of a packet, what a read leaves is gone, and no read takes two (pipe(7)). One of a single byte, alone or
        # before just one other, is taken for plain contents.
        data = _read(reader, 1) + _read(reader, length - 1)
        if len(data) < length:
            raise Refused([Obstacle(subject, "packets are in it that were written in packet mode (O_DIRECT)", EMPTY)])
        return data
    except OSError as error:
        raise KernelError("copying a pipe", error.errno or 0, subject) from None
    finally:
        os.close(reader)
        os.close(writer)


def _read(fd: int, size: int) -> bytes:
    """What is there of so many bytes."""
    try:
        return os.read(fd, size) if size else b""
    except BlockingIOError:
        return b""


def group(file: pb.file_entry) -> int:
    """All descriptions of one pipe are made together."""
    return int(file.pipe.pipe_id)


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Value:
    """A single end, whose other one was closed."""
    return open_group(tree, [file], step)[0]


def open_group(tree: NewTree, files: Sequence[pb.file_entry], step: Emitter) -> list[Value]:
    """The pipe, filled, and a descriptor for each of its descriptions; ends that nobody has are closed."""
    saved, data = tree.opener.once(_load).get(files[0].pipe.pipe_id, (pb.pipe_data_entry(), b""))
    size = saved.size or DEFAULT_SIZE
    place, busy = step.buffer(8), O_NONBLOCK if data else 0  # so that a pipe that is too small is an error, no sleep
    step.call("pipe2", place, busy)
    ends: dict[int, Value] = {O_RDONLY: step.load(place, 4), O_WRONLY: step.load(place + 4, 4)}
    if size != DEFAULT_SIZE:
        remedy = f"the kernel allows at most /proc/sys/fs/pipe-max-size bytes, and the pipe had {size}"
        step.call("fcntl", ends[O_WRONLY], F_SETPIPE_SZ, size, expect=size, remedy=remedy)
    _give(step, ends[O_RDONLY], saved)
    if data:
        step.full_io("write", ends[O_WRONLY], step.data(data), len(data))
    values = _descriptions(tree, files, step, ends, busy)
    for end in ends.values():
        step.call("close", end)
    return values


def _give(step: Emitter, end: Value, saved: pb.pipe_data_entry) -> None:
    """The pipe's owner and permissions: they decide who may open it anew (/dev/stdout), and images of other engines do
    not know them. A new pipe is its maker's."""
    if saved.HasField("uid") and (saved.uid, saved.gid) != (os.geteuid(), os.getegid()):
        step.call("fchown", end, saved.uid, saved.gid)
    if saved.HasField("mode") and st.S_IMODE(saved.mode) != NEW_MODE:
        step.call("fchmod", end, st.S_IMODE(saved.mode))


def _descriptions(
    tree: NewTree, files: Sequence[pb.file_entry], step: Emitter, ends: dict[int, Value], busy: int
) -> list[Value]:
    """Takes each end for the first file with its access mode; all others are opened anew (/proc/PID/fd, proc(5))."""
    values: list[Value] = []
    door = 0
    if len({file.pipe.flags & O_ACCMODE for file in files} & set(ends)) < len(files):
        access, end = next(iter(ends.items()))
        door = ends[access] = tree.opener.stage(step, end)
    for file in files:
        flags = file.pipe.flags
        if flags & O_ACCMODE in ends:
            value = ends.pop(flags & O_ACCMODE)
            if flags & ~O_ACCMODE or busy:
                step.call("fcntl", value, F_SETFL, flags & ~O_ACCMODE)
        else:
            value = step.call("openat", AT_FDCWD, step.text(f"/proc/self/fd/{door}"), flags | O_CLOEXEC, 0)
        values.append(value)
    return values


def _load(images: ImageDir) -> dict[int, tuple[pb.pipe_data_entry, bytes]]:
    """What is known of each pipe and its contents, by its id."""
    found = {}
    for entry in images.read_with_payload("PIPES_DATA"):
        size = entry.message.size if entry.message.HasField("size") else DEFAULT_SIZE
        if len(entry.payload) > size:
            raise ImageError(f"pipes-data.img: pipe {entry.message.pipe_id} holds more than its {size} bytes")
        found[entry.message.pipe_id] = (entry.message, entry.payload)
    return found
