"""Descriptor tables of a frozen tree: which number leads to which open file description, and who shares it.

Two numbers (of one task or of two) share a description, with its position and flags, exactly when kcmp(2) says so.
It is asked only about descriptors that look the same from outside, and since it also orders what differs, a
thousand of those cost ten questions each. A description gets one id in files.img.
"""

from __future__ import annotations

import os
import stat as st

from engine.abi.fcntl import FD_CLOEXEC, O_CLOEXEC, O_PATH
from engine.abi.kcmp import KCMP_FILE
from engine.images import pb
from engine.kernel import calls
from engine.resources.files import ghost, regular
from engine.resources.files.descriptor import Descriptor, by_link, descriptors, no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from types import ModuleType

    from engine.frozen import FrozenTask, FrozenTree
    from engine.resources.files.descriptor import Holder

ROWS = {
    "F01": "descriptor numbers and close-on-exec",
    "F02": "descriptors that share an open file description, also between processes",
}
REFUSED = {
    "F04": "descriptors that signal an owner (F_SETOWN, F_SETSIG)",
    "F25": "named pipes",
    "F28": "signalfds",
    "F29": "timerfds",
    "F32": "fanotify instances",
    "F33": "flock locks",
    "F34": "record locks",
    "F35": "locks of open file descriptions",
    "F36": "leases",
    "F38": "other devices",
    "F48": "tun and tap devices",
    "F49": "bpf maps",
    "F50": "pidfds",
    "F51": "pidfds of threads",
    "F52": "descriptors of namespaces",
    "F57": "other files without a name: io_uring, userfaultfd, perf, …",
    "M08": "memory files (memfd_create)",
    "M10": "memory files of huge pages",
    "M11": "shared memory of System V",
    "M19": "rings of io_setup",
    "M20": "rings of packet sockets",
    "U01": "unix sockets",
    "I01": "TCP sockets that listen",
    "I02": "TCP connections",
    "I11": "UDP sockets",
    "I12": "raw and ICMP sockets",
    "N01": "netlink sockets",
    "K01": "packet sockets",
    "V01": "sockets of all other families",
}

__all__ = ["Registry", "no_owner"]

LOCKED = "it holds file locks, which are not supported"
KINDS = {st.S_IFSOCK: "sockets", st.S_IFIFO: "named pipes"}
OWNED = "it signals a process when it is ready (F_SETOWN, F_SETSIG), which is not supported"


class Registry:
    """Every open file description of a tree, and every file that is referred to by name."""

    def __init__(self, tree: FrozenTree, kinds: Sequence[ModuleType]) -> None:
        self.tree, self.kinds = tree, kinds
        self.files: list[pb.file_entry] = []
        self.tables: dict[int, dict[int, Descriptor]] = {}  # by pid, by number
        self.ids: dict[tuple[int, int], int] = {}  # (pid, number) -> file id
        self.found: dict[int, list[tuple[Descriptor, pb.file_entry]]] = {}  # by kind, one for each description
        self.ghosts = ghost.Ghosts()
        self._last_id = 0
        self._entries: dict[int, list[pb.fdinfo_entry]] = {}
        self._same: dict[Hashable, list[tuple[Descriptor, pb.file_entry]]] = {}
        self._named: dict[tuple[str, int, int, int], int] = {}
        self._described: list[tuple[str, tuple[int, ...]]] = []  # names of files, and what they were then
        self._expected: dict[tuple[object, ...], pb.file_entry] = {}  # by the facts of a descriptor, without its task

    def new_id(self) -> int:
        """An id that nobody has."""
        self._last_id += 1
        return self._last_id

    def expect(self, task: Holder) -> None:
        """Before the freeze: what a process has open is described already, and need not be again if it still is just
        so then. Only plain files, of which some processes have thousands."""
        for file in descriptors(task):
            if regular.is_plain(file):
                self._expected[file[1:]] = regular.collect(file, 0)

    def collect(self, tasks: Sequence[FrozenTask]) -> None:
        """All descriptor tables; each description met for the first time is collected by its kind."""
        for task in tasks:
            self._entries[task.pid] = self._table(task)
        for kind in self.kinds:
            if hasattr(kind, "finish") and kind.TYPE in self.found:
                kind.finish(self.tree, self.found[kind.TYPE])

    def entries(self, task: FrozenTask) -> list[pb.fdinfo_entry]:
        """The table of a task as its image has it."""
        return self._entries[task.pid]

    def write(self) -> None:
        """files.img, and what the kinds write beside it."""
        for kind in self.kinds:
            if hasattr(kind, "write"):
                kind.write(self.tree, self.found.get(kind.TYPE, []))
        ghost.write(self.tree, self.ghosts)
        self.tree.images.post("FILES", None, self.files)

    def path_id(self, task: Holder, link: str, flags: int, what: str) -> int:
        """The id of what a link of /proc/PID leads to (`exe`, `cwd`, `map_files/…`), as if opened with `flags`."""
        name, facts = task.proc.link(link), os.stat(link, dir_fd=task.proc.fd)
        key = (name, facts.st_dev, facts.st_ino, flags)
        if key not in self._named:
            self._described.append((name, _identity(facts)))
            self._named[key] = self._collect_named(by_link(task, link, what, flags, name, facts))
        return self._named[key]

    def is_still_true(self) -> bool:
        """At the beginning of the freeze: whether every file that was described by its name before is what it was. If
        one is not, all of them are forgotten."""
        for name, identity in self._described:
            try:
                if _identity(os.stat(name)) == identity:
                    continue
            except OSError:
                pass
            self._named.clear()
            return False
        return True

    def _collect_named(self, file: Descriptor) -> int:
        if not regular.claims(file):
            file.refuse(f"{_kind(file)} are not supported here")
        entry = regular.collect(file, self.new_id())
        self.files.append(entry)
        return entry.id

    def _table(self, task: FrozenTask) -> list[pb.fdinfo_entry]:
        entries = []
        table = self.tables[task.pid] = {}
        for descriptor in descriptors(task):
            number = descriptor.number
            table[number] = descriptor
            file = self._file(descriptor)
            if file is not None:
                self.ids[task.pid, number] = file.id
                flags = FD_CLOEXEC if descriptor.raw_flags & O_CLOEXEC else 0
                entries.append(pb.fdinfo_entry(id=file.id, flags=flags, type=file.type, fd=number))
        return entries

    def _file(self, new: Descriptor) -> pb.file_entry | None:
        """What a number leads to: a description that is known already, or one to collect."""
        key = (new.dev, new.ino, new.pos, new.raw_flags | O_CLOEXEC, new.mnt_id, new.link, new.text)
        known = self._same.setdefault(key, [])
        low, high = 0, len(known)
        while low < high:  # `known` is in the order of kcmp
            middle = (low + high) // 2
            old, file = known[middle]
            order = calls.kcmp(old.task.pid, new.task.pid, KCMP_FILE, old.number, new.number)
            if order == 0:
                return file
            low, high = (middle + 1, high) if order == 1 else (low, middle)
        collected = self._collect(new)
        if collected is not None:
            known.insert(low, (new, collected))
        return collected

    def _collect(self, new: Descriptor) -> pb.file_entry | None:
        expected = self._expected.pop(new[1:], None)
        if expected is not None:
            expected.id = expected.reg.id = self.new_id()
            self.files.append(expected)
            return expected
        if "lock:\t" in new.text:
            new.refuse(LOCKED, "unlock it before the dump")
        if new.owner or new.signal:
            new.refuse(OWNED, "take the owner back with fcntl(F_SETOWN, 0) before the dump")
        if new.raw_flags & O_PATH and new.link[:1] != "/":
            new.refuse("O_PATH descriptors of files without a name are not supported", "close it before the dump")
        kind = next((k for k in self.kinds if k.claims(new)), None)
        if kind is None:
            new.refuse(f"{_kind(new)} are not supported", "close it before the dump")
            return None
        file: pb.file_entry = kind.collect(new, self.new_id())
        self.files.append(file)
        self.found.setdefault(kind.TYPE, []).append((new, file))
        return file


def _identity(facts: os.stat_result) -> tuple[int, ...]:
    return facts.st_dev, facts.st_ino, facts.st_mode, facts.st_size, facts.st_mtime_ns


def _kind(file: Descriptor) -> str:
    """What the file is, for people."""
    kind = st.S_IFMT(file.mode)
    if file.link.startswith("/memfd:"):
        return "memory files (memfd_create)"
    if kind in KINDS:
        return KINDS[kind]
    if kind in (st.S_IFCHR, st.S_IFBLK):
        word = "character" if kind == st.S_IFCHR else "block"
        return f"{word} devices {os.major(file.rdev)}:{os.minor(file.rdev)}"
    return "files of this kind"
