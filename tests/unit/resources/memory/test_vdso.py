"""Dumps of programs that are in the vdso, or have changed it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.abi.ptrace import PTRACE_CONT
from engine.dumper import dump
from engine.errors import Refused
from engine.images.directory import ImageDir
from engine.kernel.ptrace import Stop, Tracee, request
from engine.options import DumpOptions
from engine.resources.memory import vdso

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]

# Signal 10 comes when it is asked for; nothing else than the clock is called.
BUSY = """
#include <signal.h>
#include <time.h>
#include <unistd.h>
static volatile long ticks;
static void tick(int number) { (void)number; ticks++; }
int main(void)
{
    struct timespec now;
    signal(SIGUSR1, tick);
    write(1, "+", 1);
    close(1);
    for (;;)
        clock_gettime(CLOCK_MONOTONIC, &now);
}
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in clock_gettime nearly all the time."""
    (tmp_path / "busy.c").write_text(BUSY)
    subprocess.run(["gcc", "-O1", "-w", "-o", tmp_path / "busy", tmp_path / "busy.c"], check=True)
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen([tmp_path / "busy"], stdin=null, stdout=pipe, stderr=null, start_new_session=True) as process:
        assert process.stdout and process.stdout.read() == b"+"
        yield process
        process.kill()


def area(pid: int) -> tuple[int, int]:
    """Where a process has its vdso."""
    line = next(line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "[vdso]" in line)
    start, _, end = line.split()[0].partition("-")
    return int(start, 16), int(end, 16)


@pytest.mark.parametrize("disturbed", [False, True])
def test_no_thread_is_saved_inside_of_it(disturbed: bool, busy: subprocess.Popen[bytes], tmp_path: Path) -> None:
    start, end = area(busy.pid)
    over = threading.Event()
    sender = threading.Thread(target=send, args=(busy.pid, over))
    if disturbed:
        sender.start()
    try:
        check(busy, tmp_path, start, end)
    finally:
        over.set()
    if disturbed:
        sender.join()


def send(pid: int, over: threading.Event) -> None:
    """A signal every now and then: a handler takes some ten steps of up to 0.1 ms, and between two of them there must
    be time to get on."""
    while not over.wait(0.005):
        os.kill(pid, signal.SIGUSR1)


def check(busy: subprocess.Popen[bytes], tmp_path: Path, start: int, end: int) -> None:
    """Saves it again and again."""
    for number in range(20):
        images = tmp_path / str(number)
        images.mkdir()
        dump(DumpOptions(pid=busy.pid, images_dir=str(images), leave_running=True))
        core = ImageDir.open(str(images)).read_one("CORE", busy.pid)
        assert not start <= core.thread_info.gpregs.ip < end
        time.sleep(0.001)
    assert busy.poll() is None


def test_code_that_was_changed_is_refused(busy: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A debugger's breakpoint that is gone again changes nothing."""
    start, end = area(busy.pid)
    for byte, images in ((1, tmp_path / "changed"), (0, tmp_path / "whole")):
        with open(f"/proc/{busy.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(end - 1)  # padding
            memory.write(bytes([byte]))
        images.mkdir()
        options = DumpOptions(pid=busy.pid, images_dir=str(images), leave_running=True)
        if byte:
            with pytest.raises(Refused, match=f"mapping {start:x}-{end:x}: code of its vdso was changed"):
                dump(options)
        else:
            dump(options)


def test_one_instruction_at_a_time(busy: subprocess.Popen[bytes]) -> None:
    """A signal that somebody sent is told from the end of a step, SIGTRAP too."""
    tracee = Tracee(busy.pid, busy.pid)
    tracee.seize()
    tracee.interrupt()
    tracee.wait_frozen()
    before = tracee.registers()["rip"]
    assert tracee.step() == Stop(0, 0)
    assert tracee.registers()["rip"] != before
    os.kill(busy.pid, signal.SIGUSR1)
    assert tracee.step() == Stop(signal.SIGUSR1, 0)
    assert tracee.step(signal.SIGUSR1) == Stop(0, 0)  # the first instruction of its handler
    os.kill(busy.pid, signal.SIGTRAP)
    stops = [tracee.step() for _ in range(2)]
    assert Stop(signal.SIGTRAP, 0) in stops
    request(PTRACE_CONT, busy.pid)


def test_this_kernels_own_is_found() -> None:
    own = vdso.own()
    assert own.code.startswith(vdso.HEADER) and own.data % 4096 == 0
