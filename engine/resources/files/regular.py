"""Files that are opened again by name: regular files, directories, devices such as /dev/null, symbolic links.

What has lost its name is made anew from a ghost image (ghost.py). At restore the file behind the name must be what it
was: same kind and permissions, same size unless it is only appended to, same build id if it is an ELF file.
"""

from __future__ import annotations

import os
import stat as st
from errno import EINVAL, ESPIPE

from engine.abi.fcntl import (
    AT_FDCWD,
    F_DUPFD_CLOEXEC,
    F_SETFL,
    O_ACCMODE,
    O_APPEND,
    O_ASYNC,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOFOLLOW,
    O_PATH,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
)
from engine.errors import ImageError, Obstacle
from engine.images import pb
from engine.images.text import get_text, set_text
from engine.resources.files import elf, ghost, names
from engine.resources.files.descriptor import no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from engine.options import RestoreOptions
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree
    from engine.resources.files.descriptor import Descriptor
    from engine.resources.files.opener import Opener

ROWS = {
    "F03": "position and status flags",
    "F05": "regular files, by path",
    "F06": "a check at restore that the file is the same",
    "F07": "directories",
    "F08": "O_PATH descriptors",
    "F09": "symbolic links that are open themselves",
    "F37": "null, zero, full, random and the like",
}
REFUSED = {
    "F14": "files that lost one name and have others",
    "F18": "files of /proc about a process",
    "F19": "files of /proc about a dead process",
    "F22": "files that another file or mount hides",
}

TYPE = 1  # fd_types.REG
LANDS = True
CREATION = O_CREAT | O_EXCL | O_TRUNC
UNNAMED = O_TMPFILE & ~O_DIRECTORY  # the bit of O_TMPFILE that is no other flag
MEMORY = 1  # major number of /dev/null, zero, full, random, kmsg (Documentation/admin-guide/devices.txt)
EXECUTABLE = 0o111


def claims(file: Descriptor) -> bool:
    """Whatever has, or had, a name and is a regular file, a directory, a memory device, a symbolic link (open
    itself, by O_PATH with O_NOFOLLOW), or anything else by O_PATH."""
    if file.link[:1] != "/" or (file.named and file.link.startswith(names.NOT_A_PATH)):
        return False
    kind = st.S_IFMT(file.mode)
    memory = kind == st.S_IFCHR and os.major(file.rdev) == MEMORY
    return kind in (st.S_IFREG, st.S_IFDIR, st.S_IFLNK) or memory or bool(file.raw_flags & O_PATH)


def is_plain(file: Descriptor) -> bool:
    """Whether the facts of a descriptor say all there is to be said: a regular file that has its name, nothing to be
    compared by its build id, and nobody to be signalled or locked out."""
    plain = st.S_ISREG(file.mode) and not file.mode & EXECUTABLE and file.named == 0
    return plain and not (file.owner or file.signal or "lock:" in file.text) and not file.link.startswith("/proc/")


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """Name, position and flags, and what is compared at restore."""
    flags, mode = file.flags & ~CREATION, file.mode
    name = file.link if file.named == 0 else _lost_name(file, ident)
    entry = pb.reg_file_entry(id=ident, flags=flags, pos=file.pos, fown=no_owner(), mode=mode, mnt_id=-1)
    set_text(entry, "name", name)
    if st.S_ISREG(mode):
        entry.size = file.size
        if mode & EXECUTABLE or file.place:
            _fingerprint(file, entry)
    if name[:6] == "/proc/" and _is_about_process(name):
        file.refuse("files of /proc about a process are not supported", "close it before the dump")
    return pb.file_entry(type=TYPE, id=ident, reg=entry)


def _lost_name(file: Descriptor, ident: int) -> str:
    """The name that the file had."""
    name = file.link.removesuffix(names.DELETED)
    if file.nlink == 0:
        ghost.collect(file, ident)
    elif name != file.link:
        reason = f"its name was removed, but it has {file.nlink} others, which cannot be found"
        file.refuse(reason, "--link-remap is not supported yet; give it its name back, or close it")
    elif file.named == 1:
        file.refuse("its name leads to another file now", "unmount what covers it, give it its name back, or close it")
    else:
        file.refuse(f"its name cannot be reached from here: {os.strerror(-file.named)}")
    return name


def _fingerprint(file: Descriptor, entry: pb.reg_file_entry) -> None:
    """What is mapped, executed or may be is compared by build id. To look for one in all files would cost too much."""
    if file.task.tree.options.file_validation == "buildid" and file.size:
        fd = file.open(os.O_RDONLY | os.O_NOATIME)
        try:
            entry.build_id.extend(elf.build_id(fd))
        finally:
            os.close(fd)


def _is_about_process(name: str) -> bool:
    return name.split("/", 3)[2].isdigit()


def check(opener: Opener, file: pb.file_entry) -> Obstacle | None:
    """Whether the file behind the name is the one that was open."""
    entry = file.reg
    name, mode = get_text(entry, "name"), entry.mode
    if name[:1] != "/" or "\0" in name:
        return Obstacle(f"file {names.shown(name)}", "its name is no absolute path: the image is damaged")
    if file.id in opener.ghosts:
        return None
    if entry.ext:
        return Obstacle(f"file {names.shown(name)}", "it is external; that is not supported yet")
    try:
        facts = os.stat(name, follow_symlinks=not st.S_ISLNK(mode))
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        return Obstacle(f"file {names.shown(name)}", reason, "bring it back as it was")
    if facts.st_mode == mode and facts.st_size == entry.size and not entry.build_id:
        return None  # as nearly all are
    difference = _difference(opener.tree.options, entry, name, facts)
    return Obstacle(f"file {names.shown(name)}", *difference) if difference else None


def _difference(
    options: RestoreOptions, entry: pb.reg_file_entry, name: str, facts: os.stat_result
) -> tuple[str, str] | None:
    """What is wrong with it, and the remedy."""
    mode = entry.mode
    if mode and st.S_IFMT(mode) != st.S_IFMT(facts.st_mode):
        kinds = f"{st.filemode(mode)}, now it is {st.filemode(facts.st_mode)}"
        return f"it is of another kind: it was {kinds}", "bring it back as it was"
    if mode and mode != facts.st_mode and not options.skip_file_rwx_check:
        modes = f"it was {mode & 0o7777:04o}, now it is {facts.st_mode & 0o7777:04o}"
        return f"its mode changed: {modes}", "change it back, or use --skip-file-rwx-check"
    appended = entry.flags & (O_ACCMODE | O_APPEND) == O_WRONLY | O_APPEND
    if st.S_ISREG(facts.st_mode) and entry.HasField("size") and entry.size != facts.st_size and not appended:
        return f"its size changed: it was {entry.size}, now it is {facts.st_size} bytes", "bring it back as it was"
    if entry.build_id and options.file_validation == "buildid":
        return _other_build(entry, name)
    return None


def _other_build(entry: pb.reg_file_entry, name: str) -> tuple[str, str] | None:
    fd = os.open(name, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)
    try:
        found = elf.build_id(fd)
    finally:
        os.close(fd)
    if found == list(entry.build_id):
        return None
    ids = f"it was {_hex(entry.build_id)}, now it is {_hex(found) or 'none'}"
    return f"its build id changed: {ids}", "bring back the program or library as it was"


def _hex(words: Iterable[int]) -> str:
    return b"".join(word.to_bytes(4, "little") for word in words).hex()


def given(opener: Opener, file: pb.file_entry) -> tuple[Hashable, Callable[[], int]] | None:
    """A file that has no name is made by the engine, which then hands it down."""
    found = opener.ghosts.get(file.id)
    if found is None:
        return None
    if file.reg.flags & UNNAMED:
        found.unnamed = file.reg.flags & ~CREATION
    return ("ghost", found.ident), lambda: found.make(get_text(file.reg, "name"))


def open_named(tree: NewTree, file: pb.file_entry, flags: int, step: Emitter) -> Slot:
    """Opens the file with flags of the caller's choice, and close-on-exec."""
    if file.type != TYPE:
        raise ImageError(f"files.img: file id {file.id} has no name, but something refers to it by name")
    flags = flags & ~(CREATION | (O_TMPFILE if flags & UNNAMED else 0)) | O_CLOEXEC
    number = tree.opener.given(file.id)
    if number is None:
        return step.call("openat", AT_FDCWD, step.text(get_text(file.reg, "name")), flags, 0)
    if st.S_ISLNK(file.reg.mode):
        return step.call("fcntl", number, F_DUPFD_CLOEXEC, 0)
    return step.call("openat", AT_FDCWD, step.text(f"/proc/self/fd/{number}"), flags & ~O_NOFOLLOW, 0)


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """Opens it with its own flags, at its position."""
    entry = file.reg
    number = tree.opener.given(file.id) if entry.flags & UNNAMED else None
    if number is None:
        slot = open_named(tree, file, entry.flags, step)
    else:  # it is the description itself
        slot = step.call("fcntl", number, F_DUPFD_CLOEXEC, 0)
    if entry.pos and not entry.flags & O_PATH:
        if st.S_ISCHR(entry.mode):  # a device may keep no position
            step.call("lseek", slot, entry.pos, os.SEEK_SET, may=(ESPIPE, EINVAL))
        else:
            step.call("lseek", slot, entry.pos, os.SEEK_SET, expect=entry.pos)
    if entry.flags & O_ASYNC and not entry.flags & O_PATH:  # open(2) ignores it
        step.call("fcntl", slot, F_SETFL, entry.flags)
    return slot
