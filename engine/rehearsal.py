"""A rehearsal: the first dump of a process is slow, so it is made of a task that nobody misses.

Python imports, compiles and looks things up when code runs for the first time. All of that must have happened before a
tree is frozen. Instead of a list of what to warm up, which would never be complete, the whole story is told once: a
skeleton is started, frozen, collected, written to nowhere and killed. It takes a few milliseconds.
"""

from __future__ import annotations

import os

from engine.images.catalog import CATALOG
from engine.images.contents import write_all
from engine.images.format import image_bytes
from engine.kernel._native import ffi, lib
from engine.plan import blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Nowhere:
    """An image directory that keeps nothing: messages are encoded and dropped, pages go to a memfd."""

    fd = -1

    def __init__(self) -> None:
        self._memfds: list[int] = []

    def write(self, kind: str, ident: int | str | None, messages: Iterable[Any]) -> None:
        """All the work of writing but the file."""
        messages = list(messages)
        if messages:
            image_bytes(CATALOG[kind], messages, kind)

    post = write

    def discard(self) -> None:
        """There is nothing to remove."""

    def flush(self) -> None:
        """There is nothing to write, by the code that would write it."""
        write_all(-1, [])

    def path(self, name: str) -> str:
        """A file that vanishes with us."""
        self._memfds.append(os.memfd_create(name))
        return f"/proc/self/fd/{self._memfds[-1]}"

    def close(self) -> None:
        """The files go."""
        for fd in self._memfds:
            os.close(fd)


def needed() -> bool:
    """True the first time: a process that has dumped once knows its part."""
    global _rehearsed
    first, _rehearsed = not _rehearsed, True
    return first


_rehearsed = False


def start_understudy() -> int:
    """A skeleton without descriptors, a child of ours that dies with us; its pid, or 0 when it cannot be had."""
    image = os.open(blob.SKELETON, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return max(0, lib.spawn_skeleton(image, 0, ffi.NULL, 0, 3, 0))
    finally:
        os.close(image)
