"""Bytes of image files: read with a bound, written whole."""

from __future__ import annotations

import os
import stat

from engine.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The most that is read into memory, in bytes. An address space of a million mappings has an image of 60 MB.
LARGEST = 256 << 20
LARGEST_WITH_PAYLOAD = 4 << 30
PIECE = 1 << 16


def read_contents(name: str, shown: str, with_payload: bool, directory: int | None = None) -> bytes | None:
    """All bytes of a regular file, None when it is missing. `shown` is its name in errors, always ImageError."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImageError(f"{shown}: {error.strerror}") from None
    try:
        return _read(fd, shown, LARGEST_WITH_PAYLOAD if with_payload else LARGEST)
    except OSError as error:
        raise ImageError(f"{shown}: {error.strerror}") from None
    finally:
        os.close(fd)


def write_contents(name: str, data: bytes, directory: int | None = None) -> None:
    """Make or replace a file with exactly these bytes. OSError when it fails."""
    # not blocking: a named pipe that somebody put there is an error, not something to wait for
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, 0o644, dir_fd=directory)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def write_all(directory: int, files: Sequence[tuple[str, bytes]]) -> list[tuple[str, int]]:
    """The same with many files, all in one crossing into C; (name, errno) of those that failed."""
    from engine.kernel._native import ffi, lib

    names = [os.fsencode(name) + b"\0" for name, _ in files]
    rows = ffi.new("struct file[]", len(files))
    for row, name, (_, data) in zip(rows, names, files, strict=True):
        row.name = int(ffi.cast("uint64_t", ffi.from_buffer(name)))
        row.data = int(ffi.cast("uint64_t", ffi.from_buffer(data)))
        row.size = len(data)
    lib.write_many(directory, rows, len(files))
    return [(name, -row.result) for row, (name, _) in zip(rows, files, strict=True) if row.result]


def _read(fd: int, shown: str, limit: int) -> bytes:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{shown}: not a regular file")
    size = status.st_size
    parts: list[bytes] = []
    while size <= limit and (part := os.read(fd, max(status.st_size + 1, PIECE))):
        parts.append(part)
        size = max(size, sum(map(len, parts)))  # it may grow meanwhile, or, as those of /proc, not tell its size
    if size > limit:
        raise ImageError(f"{shown}: {size} bytes are more than an image of this type has ({limit})")
    return b"".join(parts)
