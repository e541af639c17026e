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
from engine.signals import signal

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

    def keep(self) -> None:
        """There is nothing to lose."""

    def path(self, name: str) -> str:
        """A file that vanishes with us."""
        self._memfds.append(os.memfd_create(name))
        return f"/proc/self/fd/{self._memfds[-1]}"

    def close(self) -> None:
        """The files go."""
        while self._memfds:
            os.close(self._memfds.pop())


def needed() -> bool:
    """True the first time: a process that has dumped once knows its part."""
    global _rehearsed
    first, _rehearsed = not _rehearsed, True
    return first


_rehearsed = False


class Understudy:
    """A context with a skeleton without descriptors, a child of ours that dies with us. Its pid is 0 when it cannot be
    had. Nothing is left of it, whatever became of the rehearsal."""

    def __enter__(self) -> int:
        image = os.open(blob.SKELETON, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._pid = max(0, lib.spawn_skeleton(image, 0, ffi.NULL, 0, 3, 0))
        finally:
            os.close(image)
        return self._pid

    def __exit__(self, *_: object) -> None:
        status = ffi.new("int *")
        # who has traced it to its end has reaped it already, and its pid may be anybody's
        if self._pid and lib.wait_task(self._pid, status, os.WNOHANG) == 0:
            os.kill(self._pid, signal.SIGKILL)
            lib.wait_task(self._pid, status, 0)
