"""The processes of one run: started, waited for, and ended by the one process that is their subreaper.

A restore needs the pids of the old tree, so whoever runs it must reap: everything below this process that
loses its parent becomes its child. So it is simple, too, to leave nothing behind: a run is over when there is
no child left, and only direct children are ever killed, whose pids stay theirs until they are reaped here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from . import proc, syscalls

# The C library's own: posix_spawn leaves them ignored in a child whose parent has handlers for them.
C_LIBRARY = (32, 33)
HANDLED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTOU}
_POLL = 0.005  # seconds


class Interrupted(Exception):
    """This process was asked to end."""


class Late(Exception):
    """Something did not happen in time; carries the seconds."""


class User(NamedTuple):
    uid: int
    gid: int
    groups: tuple[int, ...]


class Place(NamedTuple):
    """Where a process starts. `terminal` is a pty's slave: then it becomes the foreground job on it."""

    directory: Path
    environment: Mapping[str, str]
    output: Path  # standard output and error are appended to it
    own_session: bool = False
    user: User | None = None
    terminal: int | None = None


class Nursery:
    """All children of this process, born here or adopted. One per process."""

    def __init__(self) -> None:
        syscalls.become_subreaper()
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        self._ended: dict[int, int] = {}

    def spawn(self, words: Sequence[str | Path], place: Place) -> int:
        """Starts a program, which finds no more of us than `place` says and descriptors 0, 1, 2."""
        pid = os.fork()
        if pid == 0:
            _become(words, place)
        self._ended.pop(pid, None)
        return pid

    def wait(self, pid: int, seconds: float) -> int:
        """Wait status of a child. Raises Late."""
        self.until(lambda: pid in self._ended, seconds)
        return self._ended.pop(pid)

    def has_ended(self, pid: int) -> bool:
        self._reap()
        return pid in self._ended

    def forget(self, pid: int) -> None:
        """A process with this pid is about to live again."""
        self._reap()
        self._ended.pop(pid, None)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Reaps until the condition holds. Raises Late, and Interrupted on SIGTERM, SIGINT and SIGHUP."""
        deadline = time.monotonic() + seconds
        self._reap()
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late(f"{seconds:g} s")
            pause(min(_POLL, left))
            self._reap()

    def rest(self, seconds: float) -> None:
        """Reaps for a while."""
        with contextlib.suppress(Late):
            self.until(lambda: False, seconds)

    def tree(self) -> list[int]:
        """Pids of all living descendants and of zombies that are not ours to reap, parents first."""
        self._reap()
        return proc.descendants(os.getpid())

    def end_all(self, seconds: float) -> list[int]:
        """Kills and reaps every descendant; those that would not die are returned."""
        deadline = time.monotonic() + seconds
        while (children := self._children()) and time.monotonic() < deadline:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, _POLL)
        return self.tree()

    def _children(self) -> list[int]:
        self._reap()
        ours = os.getpid()
        return [pid for pid, parent in proc.parents().items() if parent == ours]

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._ended[ended[0]] = ended[1]


def pause(seconds: float) -> None:
    """Waits for a child to end, for so long at the most; the signals of HANDLED are blocked. Raises Interrupted."""
    info = signal.sigtimedwait(HANDLED, seconds)
    if info and info.si_signo not in (signal.SIGCHLD, signal.SIGTTOU):
        raise Interrupted(signal.Signals(info.si_signo).name)


def _become(words: Sequence[str | Path], place: Place) -> NoReturn:
    """The child's half of spawn()."""
    try:
        os.chdir(place.directory)
        _redirect(place)
        if place.own_session:
            os.setsid()
        elif place.terminal is not None:
            _take_terminal()
        _reset_signals()
        if place.user:
            os.setgroups(place.user.groups)
            os.setresgid(place.user.gid, place.user.gid, place.user.gid)
            os.setresuid(place.user.uid, place.user.uid, place.user.uid)
        os.execve(words[0], [str(word) for word in words], dict(place.environment))
    except BaseException as error:
        os.write(2, f"ERROR: {words[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _redirect(place: Place) -> None:
    log = os.open(place.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    stdin = os.open("/dev/null", os.O_RDONLY) if place.terminal is None else place.terminal
    for source, target in ((stdin, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _take_terminal() -> None:
    """SIGTTOU is blocked here, so a background group may do this (tcsetpgrp(3))."""
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())


def _reset_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ, and we block a few: a program shall find the usual state."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for own in C_LIBRARY:
        syscalls.default_action(own)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def open_terminal() -> tuple[int, int]:
    """A new pty, master and slave, whose slave becomes the controlling terminal of this session leader."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    return master, slave


def describe_status(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
