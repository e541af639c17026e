"""`--explain` shows the plan and changes nothing; with `--step` a dump and a restore do what they do without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.abi.syscalls import NR

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a dump needs the rights of root")


def amber(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "engine.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps in a session of its own, with nothing open but /dev/null."""
    null = subprocess.DEVNULL
    with subprocess.Popen(["sleep", "1000"], stdin=null, stdout=null, stderr=null, start_new_session=True) as process:
        while not Path(f"/proc/{process.pid}/syscall").read_text().startswith(f"{NR.clock_nanosleep} "):
            time.sleep(0.01)  # the loader is still at work
        yield process
        process.kill()


def looks(pid: int) -> list[str]:
    """What others see of a process."""
    seen = []
    for name in ("maps", "status"):
        with open(f"/proc/{pid}/{name}") as file:
            seen += [line for line in file if "ctxt_switches" not in line and not line.startswith("SigQ")]
    return seen


def test_a_dump_is_explained(victim: subprocess.Popen[bytes], tmp_path: Path) -> None:
    before = looks(victim.pid)
    done = amber("dump", "-t", str(victim.pid), "-D", tmp_path, "--explain")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"=== pid {victim.pid}"
    assert any("rt_sigaction(SIGHUP, 0, &" in line for line in lines)
    assert lines[-1] == "halt"
    assert looks(victim.pid) == before
    assert not list(tmp_path.iterdir())


def test_a_restore_is_explained(victim: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid = victim.pid
    done = amber("dump", "-t", str(pid), "-D", tmp_path)
    assert done.returncode == 0, done.stderr
    assert victim.wait() == -signal.SIGKILL
    images = sorted(path.name for path in tmp_path.iterdir())
    done = amber("restore", "-D", tmp_path, "--explain")
    assert done.returncode == 0, done.stderr
    assert f"# pid {pid}, leaving the skeleton behind" in done.stdout
    assert "PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED_NOREPLACE" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == images
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_dump_by_steps_saves_the_same(victim: subprocess.Popen[bytes], tmp_path: Path) -> None:
    saved = []
    for options in ([], ["--step"]):
        directory = tmp_path / f"dump{len(options)}"
        directory.mkdir()
        done = amber("dump", "-t", str(victim.pid), "-D", directory, "--leave-running", *options)
        assert done.returncode == 0, done.stderr
        assert ("getitimer(ITIMER_REAL, &" in done.stderr) == bool(options)
        saved.append(
            {p.name: p.read_bytes() for p in directory.iterdir() if p.name.startswith(("core", "mm", "fdinfo"))}
        )
    assert saved[0] == saved[1]
    assert victim.poll() is None


def test_a_restore_by_steps_shows_them(victim: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid = victim.pid
    done = amber("dump", "-t", str(pid), "-D", tmp_path)
    assert done.returncode == 0, done.stderr
    assert victim.wait() == -signal.SIGKILL
    done = amber("restore", "-D", tmp_path, "--step", "--restore-detached")
    assert done.returncode == 0, done.stderr
    os.kill(pid, signal.SIGKILL)
    shown = done.stderr.splitlines()
    assert any(f"pid {pid}: " in line and "setsid()" in line and line.endswith(f" -> {pid}") for line in shown)
    assert shown[-1] == f"pid {pid}: halt"


def test_a_restore_by_steps_fails_as_others_do(tmp_path: Path) -> None:
    """Its directory is gone."""
    (tmp_path / "gone").mkdir()
    null = subprocess.DEVNULL
    words = ["sleep", "1000"]
    with subprocess.Popen(words, 0, None, null, null, null, start_new_session=True, cwd=tmp_path / "gone") as victim:
        time.sleep(0.1)
        assert amber("dump", "-t", str(victim.pid), "-D", tmp_path).returncode == 0
    (tmp_path / "gone").rmdir()
    errors = []
    for options in ([], ["--step"]):
        done = amber("restore", "-D", tmp_path, *options)
        assert done.returncode == 1
        errors.append(done.stderr.splitlines()[-1])
    assert errors[0] == errors[1]
    assert "No such file or directory" in errors[0], errors
