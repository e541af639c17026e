"""Arenas in several processes at once: if one of them can have none, nothing stays in the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.errors import Refused

FAMILY = """
import ctypes, os, time
child = os.fork()
if not child and ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    os._exit(1)
if child:
    os.write(1, str(child).encode())
    os.close(1)
else:
    os.close(1)
    os.write(END, b"y")
os.close(END)
time.sleep(1000)
"""


def mappings(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="checkpoints need root")
def test_a_process_that_may_have_no_arena_is_refused_by_name(tmp_path: Path) -> None:
    ready, end = os.pipe()
    script = FAMILY.replace("END", str(end))
    victim = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[end])  # fmt: skip
    os.close(end)
    assert victim.stdout is not None
    child = int(victim.stdout.read())
    try:
        if os.read(ready, 1) != b"y" or os.read(ready, 1):
            pytest.skip("no PR_SET_MDWE here")
        before = [mappings(victim.pid), mappings(child)]
        with pytest.raises(Refused, match=rf"^pid {child}: .*PR_SET_MDWE"):
            engine.dump(engine.DumpOptions(pid=victim.pid, images_dir=str(tmp_path)))
        assert [mappings(victim.pid), mappings(child)] == before
        assert not list(tmp_path.iterdir())
    finally:
        os.kill(child, signal.SIGKILL)
        victim.kill()
        victim.wait()
        os.close(ready)
