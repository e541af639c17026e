"""A directory of images: whole files are written and read by type and id.

    images = ImageDir.create("/var/tmp/images")
    images.write("CORE", 812, [core])
    images.write("PIPES_DATA", None, [(pb.pipe_data_entry(pipe_id=5, bytes=2), b"ab")])

    images = ImageDir.open("/var/tmp/images")
    core = images.read_one("CORE", 812)

Types are named as in catalog.py.
"""

from __future__ import annotations

import errno
import os

from engine.errors import ImageError, KernelError
from engine.images.catalog import CATALOG, SERVICES
from engine.images.contents import read_contents, write_all, write_contents
from engine.images.format import V1, V1_1, image_bytes, read_image
from engine.images.payload import RULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from engine.images import pb
    from engine.images.format import Entry


class ImageDir:
    """An open image directory. Every failure names the file."""

    __slots__ = ("_fd", "_made", "_posted", "_version", "place")

    def __init__(self, path_or_fd: str | int) -> None:
        """Open the directory, which must exist. A descriptor stays the caller's."""
        self._fd = -1
        self._version: int | None = None  # img_version of the inventory, once it was read
        self._made: set[str] = set()  # what `discard` removes
        self._posted: list[tuple[str, bytes]] = []
        given = f"/proc/self/fd/{path_or_fd}" if isinstance(path_or_fd, int) else path_or_fd
        try:
            self._fd = os.open(given, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            remedy = "make the directory first" if error.errno == errno.ENOENT else ""
            raise KernelError("open", error.errno or 0, f"image directory {path_or_fd}", remedy) from None
        self.place = os.readlink(f"/proc/self/fd/{self._fd}")  # for messages, and for `path`

    @classmethod
    def create(cls, path_or_fd: str | int) -> Self:
        """A directory to write a dump into."""
        return cls(path_or_fd)

    @classmethod
    def open(cls, path_or_fd: str | int) -> Self:
        """A directory with a dump, whose inventory is checked when the first file is read."""
        return cls(path_or_fd)

    def close(self) -> None:
        """Give the descriptor back; does nothing the second time."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def fd(self) -> int:
        """The directory's descriptor, which stays ours."""
        return self._fd

    # Writing

    def write(self, kind: str, ident: int | str | None, messages: Iterable[Any]) -> None:
        """Write a whole file. Messages that have a payload come as pairs (message, payload).

        No messages, no file: what an earlier dump left under this name is removed. ImageError when a message is of
        another type, lacks required fields or has a payload of the wrong size; KernelError when writing fails.
        """
        type_ = CATALOG[kind]
        name = type_.name(ident)
        messages = list(messages)
        if messages:
            self._write(name, image_bytes(type_, messages, self._named(name)))
        else:
            self._remove(name)

    def post(self, kind: str, ident: int | str | None, messages: Iterable[Any]) -> None:
        """The same, but the file is written when `flush` is called, with all others that wait then."""
        type_ = CATALOG[kind]
        name = type_.name(ident)
        messages = list(messages)
        if messages:
            self._posted.append((name, image_bytes(type_, messages, self._named(name))))
        else:
            self._remove(name)

    def flush(self) -> None:
        """Writes what was posted: many files in one crossing into C, by both cores."""
        posted, self._posted = self._posted, []
        self._made.update(name for name, _ in posted)
        for name, error in write_all(self._fd, posted):
            raise self._failure(name, error)

    def keep(self) -> None:
        """What was made stays, whatever goes wrong now: it may be all that is left of a tree."""
        self._made.clear()

    def discard(self) -> None:
        """Remove every file that was made through this object, as far as possible: a dump has failed."""
        for name in self._made:
            try:
                os.unlink(name, dir_fd=self._fd)
            except OSError:  # never made, or the reason of the failure: that is what the user should hear of
                continue
        self._made.clear()

    # Reading

    def read(self, kind: str, ident: int | str | None = None, required: bool = False) -> list[Any]:
        """All messages of a file, payloads left out. A missing file has none, unless it is required."""
        return [entry.message for entry in self.read_with_payload(kind, ident, required)]

    def read_one(self, kind: str, ident: int | str | None = None) -> Any:
        """The message of a file that must exist and has exactly one."""
        messages = self.read(kind, ident, required=True)
        if len(messages) != 1:
            raise ImageError(f"{self._named(CATALOG[kind].name(ident))}: {len(messages)} entries instead of one")
        return messages[0]

    def read_with_payload(self, kind: str, ident: int | str | None = None, required: bool = False) -> list[Entry]:
        """All entries of a file as pairs of message and payload (b"" if it has none)."""
        type_ = CATALOG[kind]
        name = type_.name(ident)
        version = self._version_for(kind)
        data = read_contents(name, self._named(name), kind in RULES, self._fd)
        if data is None:
            if required:
                raise ImageError(f"{self._named(name)}: the file is missing; the set of images is not complete")
            return []
        entries = read_image(type_, data, self._named(name), version)
        if kind == "INVENTORY":
            self._check_inventory(entries[0].message)
        return entries

    def exists(self, kind: str, ident: int | str | None = None) -> bool:
        """Whether there is a file of this type and id."""
        return self._has(CATALOG[kind].name(ident))

    # Raw files

    def raw_path(self, kind: str, ident: int | str | None = None) -> str:
        """The path of a file that has no messages, such as pages-1.img."""
        return self.path(CATALOG[kind].name(ident))

    def path(self, name: str) -> str:
        """The path of a file for those who read or write it themselves. If it is new, `discard` removes it."""
        if not self._has(name):
            self._made.add(name)
        return self._named(name)

    def _named(self, name: str) -> str:
        return f"{self.place}/{name}"

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._fd)
        except OSError:
            return False
        return True

    def _write(self, name: str, data: bytes) -> None:
        self._made.add(name)
        try:
            write_contents(name, data, self._fd)
        except OSError as error:
            raise self._failure(name, error.errno or 0) from None

    def _failure(self, name: str, error: int) -> KernelError:
        remedy = "free some space" if error in (errno.ENOSPC, errno.EDQUOT) else ""
        return KernelError("write", error, self._named(name), remedy)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise KernelError("unlink", error.errno or 0, self._named(name)) from None

    def _version_for(self, kind: str) -> int | None:
        """The version of the container that a file must have; None where it does not depend on the inventory."""
        if kind == "INVENTORY" or kind in SERVICES:
            return None
        if self._version is None:
            self.read_one("INVENTORY")
        return self._version

    def _check_inventory(self, inventory: pb.inventory_entry) -> None:
        name = self._named("inventory.img")
        if inventory.img_version not in (V1, V1_1):
            known = f"{V1} and {V1_1}"
            raise ImageError(f"{name}: version {inventory.img_version} of the images is not known (only {known})")
        if not inventory.fdinfo_per_id:
            raise ImageError(f"{name}: images without fdinfo_per_id are too old to be read")
        self._version = inventory.img_version
