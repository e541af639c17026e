"""What a command finds around it: the standard descriptors, the signals that it inherits, standard output."""

from __future__ import annotations

import os
import sys

from engine.abi.signal import SIGCHLD, SIGPIPE, SIGXFSZ
from engine.errors import KernelError
from engine.signals import signal

STANDARD = range(3)
# Python ignores these from its start on; a program that we start or become shall find the usual state.
IGNORED_BY_PYTHON = (SIGPIPE, SIGXFSZ)


def put_right() -> None:
    """Make up for a careless parent.

    A closed descriptor leads nowhere from now on: else an image would get its number, and our messages with it.
    With SIGCHLD ignored nobody, we ourselves included, would learn how a child of ours has ended (wait(2)).
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) in STANDARD:
        os.set_inheritable(fd, True)
    os.close(fd)
    # Python has no streams for what was closed when it started, whatever its annotations say.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
    signal.signal(SIGCHLD, signal.SIG_DFL)


def say(text: str | bytes) -> None:
    """Print `text`, or as much of it as the reader of standard output wants. KernelError when it cannot be."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is left in the buffer
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise KernelError("write", error.errno or 0, "standard output") from error


def use_default_signals() -> None:
    """Before we become another program."""
    for number in IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
