"""What a command finds around it, and what it makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.surroundings import say


def run(setting: str, code: str) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own, which a shell has started with this in force."""
    head = "import os, signal, sys; from engine.surroundings import put_right, say; put_right(); "
    words = ["bash", "-c", f'{setting} exec "$@"', "bash", sys.executable, "-c", head + code]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_standard_descriptor(tmp_path: Path, closed: str) -> None:
    code = (
        f"fd = os.open({str(tmp_path / 'image')!r}, os.O_WRONLY | os.O_CREAT); say('said'); "
        "sys.stderr.write('warned'); sys.stderr.flush(); os.write(fd, str(fd).encode())"
    )
    done = run(f"exec {closed};", code)
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "image").read_text()) > 2
    assert done.stdout == ("" if ">&-" in closed.split() else "said")


def test_children_are_heard_of_where_sigchld_was_ignored() -> None:
    code = "pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 3'], {}); say(str(os.waitpid(pid, 0)[1] >> 8))"
    assert run("trap '' CHLD;", code).stdout == "3"


def test_names_that_are_no_text_are_printed_as_they_are() -> None:
    code = "say(os.fsdecode(bytes([0xff])) + chr(228))"
    done = subprocess.run(
        [sys.executable, "-c", f"import os; from engine.surroundings import say; {code}"],
        capture_output=True, timeout=30, check=True, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.stdout == b"\xff" + "ä".encode()


def test_what_was_printed_before_comes_before(capfd: pytest.CaptureFixture[str]) -> None:
    print("first ", end="")
    say("second")
    assert capfd.readouterr().out.endswith("first second")
