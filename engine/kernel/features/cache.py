"""What works, on disk: for one boot of one kernel, one version of Amber and one set of privileges.

A text file: a line with the key, the names of the features that work, a line each, and `end`. Whatever does not
look like that is ignored and written anew. Failing to write is no error: probing is cheap.
"""

from __future__ import annotations

import os
import stat

from engine.kernel.proc import read_all
from engine.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROWS = {"G17": "what the kernel can do is tried once per boot"}

_END = "end"


def key() -> str:
    """What the verdicts depend on: kernel, boot, our version, our privileges, our user namespace."""
    system = os.uname()
    boot = read_all("/proc/sys/kernel/random/boot_id").decode().strip()
    status = read_all("/proc/self/status").decode()
    capabilities = status[status.index("\nCapEff:") + 8 :].split(None, 1)[0]
    user_namespace = os.stat("/proc/self/ns/user").st_ino
    return f"{VERSION}\t{system.release}\t{system.version}\t{boot}\t{capabilities}\t{user_namespace}"


def directories() -> Iterator[str]:
    """Where the file may lie, the best place first. Not /run: it is not always emptied by a boot."""
    uid = os.geteuid()
    chosen, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if chosen.startswith("/"):
        yield f"{chosen}/amber"
    if uid == 0:
        yield "/var/cache/amber"
    elif home.startswith("/"):
        yield f"{home}/.cache/amber"
    yield f"/tmp/amber-{uid}"


def usable(path: str) -> bool:
    """Whether the directory is ours alone to write to: nobody else may plant verdicts, or links, in it."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def load() -> list[str]:
    """The features that work; none when there is no file for this boot, or it is damaged."""
    for directory in directories():
        if usable(directory):
            try:
                return parse(read_all(f"{directory}/{_name()}").decode(), key())
            except (OSError, UnicodeDecodeError):
                continue
    return []


def parse(text: str, wanted: str) -> list[str]:
    """The names in `text`; none when they were found under another key, or a line is damaged."""
    first, *rows = text.split("\n")
    if first != wanted or rows[-2:] != [_END, ""] or any(row.split() != [row] for row in rows[:-2]):
        return []
    return rows[:-2]


def store(names: Iterable[str]) -> None:
    """Writes the file in the first directory that takes it, in one step for whoever reads meanwhile."""
    text = "\n".join([key(), *sorted(names), _END, ""])
    for directory in directories():
        try:
            os.makedirs(directory, 0o700, exist_ok=True)
            if usable(directory):
                _replace(f"{directory}/{_name()}", text.encode())
                return
        except OSError:
            continue


def _name() -> str:
    return f"features-{os.geteuid()}"


def _replace(path: str, content: bytes) -> None:
    new = f"{path}.{os.getpid()}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(content)
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise
