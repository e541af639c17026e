"""SIGKILL at random moments, to the engine in a forked child or to the command."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import AmberError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, FAILED, BROKEN = 0, 1, 2


class End(NamedTuple):
    """How a child ended: DONE, FAILED (an error of Amber's), BROKEN (any other exception), or a negative signal."""

    status: int
    text: str


def in_child(story: Callable[[], object]) -> tuple[int, int]:
    """Runs `story` in a forked child, where everything is imported already; (pid, descriptor of what it says)."""
    said, say = os.memfd_create("said"), -1
    pid = os.fork()
    if pid:
        return pid, said
    status = BROKEN
    try:
        say = said
        story()
        status = DONE
    except AmberError as error:
        os.write(say, str(error).encode(errors="replace"))
        status = FAILED
    except BaseException:
        os.write(say, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(status)


def end_of(pid: int, said: int) -> End:
    """Waits for such a child."""
    _, status = os.waitpid(pid, 0)
    text = os.pread(said, 1 << 20, 0).decode()
    os.close(said)
    return End(os.waitstatus_to_exitcode(status), text)


def run(story: Callable[[], object]) -> End:
    """Undisturbed."""
    return end_of(*in_child(story))


def duration(story: Callable[[], object], times: int = 5) -> float:
    """Median in seconds of a story that must succeed."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        end = run(story)
        took.append(time.perf_counter() - started)
        assert end.status == DONE, end.text
    return statistics.median(took)


def kill_story(story: Callable[[], object], within: float, chance: random.Random) -> End:
    """Starts it and kills it after a random part of `within` seconds."""
    pid, said = in_child(story)
    time.sleep(chance.random() * within)
    os.kill(pid, signal.SIGKILL)
    return end_of(pid, said)


def kill_command(argv: Sequence[str], within: float, chance: random.Random) -> End:
    """The same with the command `amber`."""
    program = os.path.join(os.path.dirname(sys.executable), "amber")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([program, *argv], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        time.sleep(chance.random() * within)
        process.kill()
        status = process.wait()
        said.seek(0)
        return End(status, said.read().decode())
