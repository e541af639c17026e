# SPDX-License-Identifier: Apache-2.0
"""What a test program in Python needs to be checkpointed in the middle of what it does.

    import zdtm_lib as test

    test.init()
    ...                                  # set something up
    test.ready()
    test.wait()
    if bad:
        test.fail("the counter is not 5")
    test.passed()

The same contract as `zdtm.h`: the log on standard error is the only channel to the harness, SIGTERM the only
one back. Only modules that start fast are imported: the program shall be ready at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import zlib
from collections.abc import Callable
from typing import NoReturn

_stopped = False
_directory = ""


def init() -> None:
    """Call first: remembers the run directory and notes SIGTERM."""
    global _directory
    _directory = os.getcwd()
    signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(_number: int, _frame: object) -> None:
    global _stopped
    _stopped = True


def option(name: str, fallback: str = "") -> str:
    """The value of --name=value on the command line, or `fallback`."""
    head = f"--{name}="
    return next((word[len(head) :] for word in sys.argv[1:] if word.startswith(head)), fallback)


def ready() -> None:
    """Says that the state stands; checkpoints may begin. Once, from any one process."""
    _print("READY")


def running() -> bool:
    """False once SIGTERM has arrived (Python runs signal handlers in the main thread)."""
    return not _stopped


def wait() -> None:
    """Sleeps until SIGTERM arrives at this process; main thread only.

    It polls: signal.pause() can miss a signal that comes just before it, sigwait() would change the mask.
    """
    while not _stopped:
        time.sleep(0.05)


def note(text: str) -> None:
    """A line for the reader of the log."""
    _print(f"[{os.getpid()}] {text}")


def passed() -> NoReturn:
    """The verdict: everything is as it was."""
    _print("PASS")
    sys.exit(0)


def fail(text: str) -> NoReturn:
    """The verdict: something is not as it was."""
    _print(f"FAIL: {_caller()}: {text}")
    sys.exit(1)


def skip(text: str) -> NoReturn:
    """Before ready(): the program cannot run here."""
    _print(f"SKIP: {text}")
    sys.exit(0)


def check(good: object, text: str) -> None:
    """fail(text) unless `good`."""
    if not good:
        _print(f"FAIL: {_caller()}: {text}")
        sys.exit(1)


def fork(body: Callable[[], int]) -> int:
    """Forks; the child runs body() and exits with what it returns."""
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        status = body()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        _print(f"FAIL: child: {error!r}")
    os._exit(status)


def reap(pid: int) -> int:
    """Waits for `pid`: its exit status, or 128 + the signal that killed it."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - code if code < 0 else code


def finish(pid: int) -> None:
    """Sends SIGTERM to `pid` (its wait() returns) and reaps it; fails if it does not exit with 0."""
    os.kill(pid, signal.SIGTERM)
    status = reap(pid)
    if status:
        fail(f"child {pid} ended with status {status}")


def path(name: str) -> str:
    """Absolute path of `name` inside the run directory. Whatever is left there is removed."""
    return os.path.join(_directory, name)


def data(size: int, seed: int) -> bytes:
    """`size` incompressible bytes that depend on `seed`."""
    import random

    return random.Random(seed).randbytes(size)


def checksum(content: bytes | bytearray | memoryview) -> int:
    """A checksum of memory or of file contents."""
    return zlib.crc32(content)


def _caller() -> str:
    frame = sys._getframe(2)
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _print(line: str) -> None:
    os.write(2, line.encode() + b"\n")
