"""The pid file of a restored tree: created exclusively, so that two restores never fight over one."""

from __future__ import annotations

import errno
import os

from engine.errors import KernelError

ROWS = {"G21": "pid files"}


def write(path: str, pid: int) -> None:
    """Write `pid` in decimal to the new file `path`. KernelError when it exists or cannot be."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        remedy = "remove it or name another --pidfile" if error.errno == errno.EEXIST else ""
        raise KernelError("open", error.errno or 0, f"pid file {path}", remedy) from error
    try:
        os.write(fd, str(pid).encode())
    except OSError as error:
        os.unlink(path)
        raise KernelError("write", error.errno or 0, f"pid file {path}") from error
    finally:
        os.close(fd)
