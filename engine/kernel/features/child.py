"""Children in which probes may do what they like: change namespaces, filters, mappings, or die of it."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager

from engine.abi.prctl import PR_SET_PDEATHSIG
from engine.kernel.calls import syscall
from engine.kernel.ptrace import Tracee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 5  # nothing that a probe does takes longer than milliseconds


def run_alone(trial: Callable[[], str]) -> str:
    """What `trial` returns when it runs in a forked child. A child that dies or hangs gives a reason too."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        _be_child(trial, writer)
    os.close(writer)
    try:
        answer = _read_answer(reader)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if answer is None:
        return f"the probe did not end within {SECONDS} s"
    if not answer:
        return f"the probe died: wait status {status:#x}"
    return answer[1:].decode("utf-8", "replace")


def _be_child(trial: Callable[[], str], writer: int) -> None:
    try:
        syscall("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
        os.write(writer, b"=" + trial().encode()[:1000])
    except BaseException as error:
        os.write(writer, b"=" + repr(error).encode()[:1000])
    finally:
        os._exit(0)


def _read_answer(reader: int) -> bytes | None:
    """The first message; b"" when the child ended without one, None when it is still silent after a while."""
    ready, _, _ = select.select([reader], [], [], SECONDS)
    return os.read(reader, 2000) if ready else None


@contextmanager
def victim(prepare: Callable[[], object] = lambda: None) -> Iterator[int]:
    """The pid of a child that has run `prepare` and sleeps; it is killed at the end."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        try:
            syscall("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
            prepare()
            os.write(writer, b"!")
            time.sleep(SECONDS)
        finally:
            os._exit(1)
    os.close(writer)
    try:
        if os.read(reader, 1) != b"!":
            raise ChildProcessError("the probe's child could not be prepared")
        yield pid
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def stopped(prepare: Callable[[], object] = lambda: None, options: int = 0) -> Iterator[Tracee]:
    """A victim, seized with these PTRACE_O_* and stopped."""
    with victim(prepare) as pid:
        tracee = Tracee(pid, pid)
        tracee.seize(options)
        tracee.interrupt()
        tracee.wait_frozen()
        yield tracee
