"""Terminals, as far as a job of a shell needs them: one, that belongs to somebody outside of the tree.

With --shell-job the terminal of the tree is the standard input of whoever restores it. Each description of it is opened
anew from there; settings and, if the group is in the tree, the foreground come back, the size of the window does not.
"""

from __future__ import annotations

import os
import stat as st
import struct
from errno import EIO, ENOTTY
from fcntl import ioctl

from engine.abi.fcntl import AT_FDCWD, O_CLOEXEC, O_NOCTTY
from engine.abi.ioctls import TCSETS, TIOCGEXCL, TIOCGLCKTRMIOS, TIOCGWINSZ, TIOCSPGRP, WINSIZE
from engine.errors import ImageError, KernelError, Obstacle
from engine.images import pb
from engine.images.text import set_text
from engine.resources import stages
from engine.resources.files.descriptor import no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from engine.frozen import FrozenTree
    from engine.images.directory import ImageDir
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask, NewTree
    from engine.resources.files.descriptor import Descriptor
    from engine.resources.files.opener import Opener

    Found = tuple[Descriptor, pb.file_entry]

ROWS = {"F46": "the terminal of a shell's job (--shell-job)"}
REFUSED = {"F40": "pseudo-terminals of the tree's own", "F44": "virtual terminals, consoles and serial lines"}

TYPE = 11  # fd_types.TTY
SLAVES = range(136, 144)  # major numbers of /dev/pts/N (Documentation/admin-guide/devices.txt)
TERMINALS = (4, 5, *SLAVES)
CURRENT = os.makedev(5, 0)  # /dev/tty
PTY, CTTY = 1, 4  # TtyType
TCGETS2 = 0x802C542A
TERMIOS2 = struct.Struct("<4IB19s2I")  # struct termios2 (asm/termbits.h)
CONTROL, CONTROL_WORDS = struct.Struct("<5I"), 19
"""CRIU copies the 19 control characters as bytes over 19 words: they fill the first five, what is behind is noise."""

JOB = "use --shell-job if it is the terminal of the shell that the tree was started from"


def claims(file: Descriptor) -> bool:
    """Everything that is a terminal, to be refused with the right words."""
    return st.S_ISCHR(file.mode) and os.major(file.rdev) in TERMINALS


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """The description, and its path as a regular file of its own, as CRIU has it."""
    if reason := _obstacle(file):
        file.refuse(*reason)
    registry = file.task.tree.registry
    path = pb.reg_file_entry(
        id=registry.new_id(), flags=file.flags, pos=0, fown=no_owner(), mode=file.mode, mnt_id=-1
    )
    set_text(path, "name", file.link)
    registry.files.append(pb.file_entry(type=1, id=path.id, reg=path))
    entry = pb.tty_file_entry(
        id=ident, tty_info_id=_info_id(file.rdev), flags=file.flags, fown=no_owner(), regf_id=path.id
    )
    return pb.file_entry(type=TYPE, id=ident, tty=entry)


def _obstacle(file: Descriptor) -> tuple[str, str] | None:
    """Why this terminal cannot be saved, and the remedy."""
    if file.rdev != CURRENT and os.major(file.rdev) not in SLAVES:
        return "terminals other than the slave side of a pseudo-terminal are not supported", "close it before the dump"
    if not file.task.tree.options.shell_job:
        return "terminals are not supported", JOB
    controlling = {task.stat.tty_nr for task in file.task.tree.tasks}
    if file.rdev != CURRENT and file.rdev not in controlling:
        return "it is no controlling terminal of the tree; such terminals are not supported", "close it before the dump"
    if len(controlling - {0}) > 1:
        return "the tree has several controlling terminals; that is not supported", ""
    return None


def _info_id(rdev: int) -> int:
    """One number for each terminal; the lowest bit is for masters."""
    major, minor = os.major(rdev), os.minor(rdev)
    return 256 * (major - SLAVES[0]) + minor << 1 if major in SLAVES else 0


def write(tree: FrozenTree, found: Sequence[Found]) -> None:
    """tty-info.img: each terminal once."""
    infos = {}
    for file, entry in found:
        if entry.tty.tty_info_id not in infos or file.rdev != CURRENT:
            infos[entry.tty.tty_info_id] = _info(file, entry.tty.tty_info_id)
    tree.images.post("TTY_INFO", None, list(infos.values()))


def _info(file: Descriptor, ident: int) -> pb.tty_info_entry:
    controls = file.task.stat.tty_nr == file.rdev
    info = pb.tty_info_entry(
        id=ident, type=CTTY if file.rdev == CURRENT else PTY, locked=False, exclusive=False, packet_mode=False,
        sid=file.task.stat.session if controls else 0, pgrp=max(file.task.stat.tpgid, 0) if controls else 0,
        rdev=file.rdev, dev=file.dev, uid=file.uid, gid=file.gid,
    )  # fmt: skip
    if file.rdev == CURRENT:
        return info
    info.pty.index = ident >> 1
    fd = file.duplicate()
    try:
        info.exclusive = bool(struct.unpack("i", ioctl(fd, TIOCGEXCL, bytes(4)))[0])
        info.termios.CopyFrom(_settings(ioctl(fd, TCGETS2, bytes(TERMIOS2.size))))
        locked = ioctl(fd, TIOCGLCKTRMIOS, bytes(TERMIOS2.size))  # CRIU demands it; there are no speeds in it
        info.termios_locked.CopyFrom(_settings(locked))
        row, col, x, y = struct.unpack("<4H", ioctl(fd, TIOCGWINSZ, bytes(WINSIZE.size)))
        info.winsize.CopyFrom(pb.winsize_entry(ws_row=row, ws_col=col, ws_xpixel=x, ws_ypixel=y))
    except OSError as error:
        if error.errno not in (EIO, ENOTTY):  # nobody is at the other end any more
            raise KernelError("ioctl", error.errno or 0, f"pid {file.task.pid} {file.name}") from None
    finally:
        os.close(fd)
    return info


def _settings(raw: bytes) -> pb.termios_entry:
    iflag, oflag, cflag, lflag, line, cc, ispeed, ospeed = TERMIOS2.unpack(raw)
    return pb.termios_entry(
        c_iflag=iflag, c_oflag=oflag, c_cflag=cflag, c_lflag=lflag, c_line=line, c_ispeed=ispeed, c_ospeed=ospeed,
        c_cc=[*CONTROL.unpack(cc + b"\0"), *bytes(CONTROL_WORDS - 5)],
    )  # fmt: skip


def check(opener: Opener, file: pb.file_entry) -> Obstacle | None:
    """The terminal of the tree is ours, if we have one."""
    info = _info_of(opener, file)
    subject = f"terminal {info.pty.index}" if info.type == PTY else "terminal"
    if info.type not in (PTY, CTTY):
        return Obstacle(subject, f"terminals of the type {pb.TtyType.Name(info.type)} are not supported")
    if not opener.tree.options.shell_job:
        return Obstacle(subject, "it belonged to somebody outside of the tree", "use --shell-job to give it yours")
    if not os.isatty(0):
        return Obstacle(subject, "standard input is no terminal to take its place", "restore it from a terminal")
    return None


def given(opener: Opener, file: pb.file_entry) -> tuple[Hashable, Callable[[], int]]:
    """Our standard input."""
    return "terminal", lambda: os.dup(0)


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """A description of its own, with the settings of the terminal."""
    info, flags = _info_of(tree.opener, file), file.tty.flags | O_NOCTTY | O_CLOEXEC
    if info.type == CTTY:
        return step.call("openat", AT_FDCWD, step.text("/dev/tty"), flags, 0)
    path = step.text(f"/proc/self/fd/{tree.opener.given(file.id)}")
    slot = step.call("openat", AT_FDCWD, path, flags, 0)
    if info.HasField("termios"):
        saved = info.termios
        if len(saved.c_cc) < 5:
            raise ImageError(f"tty-info.img: the control characters of terminal {info.id} are missing")
        words = (saved.c_iflag, saved.c_oflag, saved.c_cflag, saved.c_lflag, saved.c_line & 0xFF)
        step.call("ioctl", slot, TCSETS, step.pack("4IB19s", *words, CONTROL.pack(*saved.c_cc[:5])[:19]))
    return slot


def settle(task: NewTask, file: pb.file_entry, number: int) -> None:
    """The group that was in the foreground is there again, when it exists."""
    info = _info_of(task.tree.opener, file)
    if info.pgrp == task.pid == task.pgid and info.sid not in task.tree.by_pid:
        with task.step(stages.THREADS, f"fd {number} (terminal)") as step:
            step.call("ioctl", number, TIOCSPGRP, step.pack("I", info.pgrp))


def _info_of(opener: Opener, file: pb.file_entry) -> pb.tty_info_entry:
    try:
        return opener.once(_load)[file.tty.tty_info_id]
    except KeyError:
        raise ImageError(f"tty-info.img: terminal {file.tty.tty_info_id} is missing; files.img refers to it") from None


def _load(images: ImageDir) -> dict[int, pb.tty_info_entry]:
    return {info.id: info for info in images.read("TTY_INFO")}
