"""What belongs to a task's registers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.dumper import dump
from engine.errors import Refused
from engine.options import DumpOptions

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT = """
import ctypes, signal, struct
call, table = ctypes.CDLL(None).syscall, ctypes.create_string_buffer(8)
print(call(154, 1, struct.pack("<4I", 3, 0x1000, 0xFFF, 1), 16), flush=True)
signal.pause()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="checkpoints need root")
def test_segments_of_a_process_own_are_refused(tmp_path: Path) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", SEGMENT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    assert victim.stdout is not None
    try:
        if victim.stdout.readline() != b"0\n":
            pytest.skip("modify_ldt(2) is not there")
        victim.stdout.close()
        with pytest.raises(Refused) as caught:
            dump(DumpOptions(pid=victim.pid, images_dir=str(tmp_path), leave_running=True))
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    reason = "it has a local descriptor table (modify_ldt(2)), which is not supported"
    assert [str(obstacle) for obstacle in caught.value.obstacles if obstacle.reason == reason]
