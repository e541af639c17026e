"""Files that are opened again by name: regular files, directories, devices such as /dev/null."""

from __future__ import annotations

import os
import stat as st
from typing import TYPE_CHECKING

from engine.errors import EngineBug
from engine.images import pb
from engine.resources.files.table import no_owner

if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTree
    from engine.resources.files.table import Descriptor

TYPE = 1  # fd_types.REG
CREATION_FLAGS = os.O_CREAT | os.O_EXCL | os.O_TRUNC
AT_FDCWD = -100


def claims(file: Descriptor) -> bool:
    """Whatever has a name in a file system and is a regular file, a directory or a memory device."""
    mode = file.stat["st_mode"]
    memory = st.S_ISCHR(mode) and os.major(file.stat["st_rdev"]) == 1
    return file.link.startswith("/") and (st.S_ISREG(mode) or st.S_ISDIR(mode) or memory)


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """Name, position and flags; the size is checked again at restore."""
    stat = file.stat
    if file.link.endswith(" (deleted)"):
        file.refuse("unlinked files are not supported")
    entry = pb.reg_file_entry(
        id=ident, flags=file.flags & ~CREATION_FLAGS, pos=file.info.pos, fown=no_owner(), name=file.link,
        mode=stat["st_mode"], mnt_id=-1,
    )  # fmt: skip
    if st.S_ISREG(stat["st_mode"]):
        entry.size = stat["st_size"]
    return pb.file_entry(type=TYPE, id=ident, reg=entry)


def collect_path(
    task: FrozenTask, link: str, name: str, facts: os.stat_result, flags: int, ident: int, what: str
) -> pb.file_entry:
    """A file known by a link of /proc/PID, not by a descriptor."""
    if name.endswith(" (deleted)"):
        task.refuse(what, f"{name}: unlinked files are not supported")
    entry = pb.reg_file_entry(id=ident, flags=flags, pos=0, fown=no_owner(), name=name, mode=facts.st_mode, mnt_id=-1)
    if st.S_ISREG(facts.st_mode):
        entry.size = facts.st_size
    return pb.file_entry(type=TYPE, id=ident, reg=entry)


def open_named(tree: NewTree, file: pb.file_entry, flags: int, step: Emitter) -> Slot:
    """Opens the name with flags of the caller's choice."""
    if file.type != TYPE:
        raise EngineBug(f"file id {file.id} is opened by name, but is of type {file.type}")
    return step.call("openat", AT_FDCWD, step.text(file.reg.name), flags | os.O_CLOEXEC, 0)


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """Opens it with its own flags, at its position."""
    slot = open_named(tree, file, file.reg.flags, step)
    if file.reg.pos and not file.reg.flags & os.O_PATH:
        step.call("lseek", slot, file.reg.pos, os.SEEK_SET, expect=file.reg.pos)
    return slot
