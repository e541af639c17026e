"""What users get wrong: each is told once and clearly, with exit status 1, and harms nobody."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.images.directory import ImageDir

from .journey import amber, become_subreaper, children, reap_orphans
from .victims import KINDS, Victim, build

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
PTRACE_SEIZE = 0x4206
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
CLONE_NEWNS = 0x20000


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """Three threads that go on, and did so all the time."""
    become_subreaper()
    with Victim(build(tmp_path), tmp_path, KINDS["threads"]) as victim:
        yield victim
        victim.check()
        assert set(children()) == {victim.pid}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A directory that nothing is left in when a dump fails."""
    path = tmp_path / "images"
    path.mkdir()
    return path


def refused(*argv: str, says: str) -> str:
    """One line, on standard error, with what was expected in it. Returns it."""
    result = amber(*argv)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 1, (result.returncode, lines)
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error (amber): "), lines
    assert says in lines[0], lines
    return lines[0]


def dump_refused(pid: int, images: Path, says: str) -> None:
    """A dump that fails and leaves no file."""
    refused("dump", "-t", str(pid), "-D", str(images), says=says)
    assert list(images.iterdir()) == []


def test_pid_is_gone(images: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    dump_refused(process.pid, images, f"pid {process.pid}: there is no such process")


def test_pid_is_dead(images: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    dump_refused(process.pid, images, f"pid {process.pid}: it is dead and waits for its parent")
    process.wait()


def test_kernel_thread(images: Path) -> None:
    if not Path("/proc/2/comm").read_text().startswith("kthreadd"):
        pytest.skip("pid 2 is no kernel thread here")
    dump_refused(2, images, "pid 2: it is a kernel thread")


def test_oneself(images: Path) -> None:
    dump_refused(os.getpid(), images, f"pid {os.getpid()}: Amber itself is in its tree")


def test_traced_by_somebody_else(victim: Victim, images: Path) -> None:
    says = f"pid {victim.pid}: it is traced by pid "
    tracer = os.fork()
    if tracer == 0:
        status = ctypes.CDLL(None).ptrace(PTRACE_SEIZE, victim.pid, 0, 0)
        signal.pause()
        os._exit(status)
    try:
        until = time.monotonic() + 10
        while f"TracerPid:\t{tracer}\n" not in Path(f"/proc/{victim.pid}/status").read_text():
            assert time.monotonic() < until
            time.sleep(0.001)
        dump_refused(victim.pid, images, f"{says}{tracer}")
    finally:
        os.kill(tracer, signal.SIGKILL)
        os.waitpid(tracer, 0)


def test_exits_during_the_dump(images: Path) -> None:
    """At random moments; whatever the dump then says, it says it clearly."""
    become_subreaper()
    chance = random.Random(3)
    for _ in range(20):
        code = f"import time; time.sleep({0.05 + 0.12 * chance.random()})"
        process = subprocess.Popen(
            [sys.executable, "-IS", "-c", code], start_new_session=True, stdin=subprocess.DEVNULL
        )
        result = amber("dump", "-t", str(process.pid), "-D", str(images))
        lines = result.stderr.strip().splitlines()
        assert result.returncode == 0 or (result.returncode == 1 and len(lines) == 1), result
        assert result.returncode == 0 or f"{process.pid}" in lines[0], lines
        assert result.returncode == 0 or list(images.iterdir()) == []
        assert process.wait(timeout=10) in (0, -signal.SIGKILL)
        _clear(images)
    reap_orphans()
    assert children() == []


def test_disk_is_full(victim: Victim, images: Path) -> None:
    """Wherever the space ends: in the room for the pages, in the pages or in the last of the small files."""
    outcomes = set()
    for pages in (1, 8, 16, 24, 32, 40, 64, 80, 160):
        with _tmpfs(images, pages * 4096):
            result = amber("dump", "-t", str(victim.pid), "-D", str(images), "-R")
            outcomes.add(result.returncode)
            if result.returncode:
                assert "No space left on device" in result.stderr and "free some space" in result.stderr, result
                assert len(result.stderr.strip().splitlines()) == 1, result
                assert list(images.iterdir()) == []
        victim.check()
    assert outcomes == {0, 1}


def test_directory_cannot_be_written(victim: Victim, images: Path) -> None:
    """Root may write everywhere but on a file system that is read-only."""
    command = f"mount -t tmpfs -o ro none {images} && exec {_command()} dump -t {victim.pid} -D {images}"
    result = _apart(command)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "Read-only file system" in result.stderr and str(images) in result.stderr, result.stderr


def test_directory_is_missing(victim: Victim, images: Path) -> None:
    nowhere = images / "nowhere"
    refused("dump", "-t", str(victim.pid), "-D", str(nowhere), says=f"{nowhere}: open failed: ENOENT")
    refused("restore", "-D", str(nowhere), says=f"{nowhere}: open failed: ENOENT")


def test_directory_is_a_file(victim: Victim, images: Path) -> None:
    path = images / "file"
    path.write_text("")
    refused("dump", "-t", str(victim.pid), "-D", str(path), says=f"{path}: open failed: ENOTDIR")
    assert path.read_text() == ""


def test_directory_holds_no_dump(images: Path) -> None:
    refused("restore", "-D", str(images), says="inventory.img: the file is missing")


def test_second_dump_into_the_same_directory(victim: Victim, images: Path) -> None:
    argv = ["dump", "-t", str(victim.pid), "-D", str(images), "-R"]
    assert amber(*argv).returncode == 0
    before = _contents(images)
    refused(*argv, says="there is a dump in this directory; choose another one")
    assert _contents(images) == before


def test_pid_is_taken(victim: Victim, images: Path) -> None:
    assert amber("dump", "-t", str(victim.pid), "-D", str(images), "-R").returncode == 0
    before = _contents(images)
    says = f"pid {victim.pid}: clone3 failed: EEXIST (File exists); the pid is taken; end that process first"
    refused("restore", "-d", "-D", str(images), says=says)
    assert set(_contents(images)) == set(before)


def test_pid_of_a_thread_is_taken(tmp_path: Path, images: Path) -> None:
    """Not the root's: somebody further down the tree."""
    become_subreaper()
    with Victim(build(tmp_path), tmp_path, KINDS["threads"]) as victim:
        tids = sorted(int(name) for name in os.listdir(f"/proc/{victim.pid}/task"))
        assert amber("dump", "-t", str(victim.pid), "-D", str(images)).returncode == 0
        victim.end()
        squatter = _squat(tids[-1])
        try:
            says = f"pid {victim.pid}, thread {tids[-1]}"
            said = refused("restore", "-d", "-D", str(images), says="EEXIST")
            assert says in said or str(tids[-1]) in said, said
        finally:
            os.kill(squatter, signal.SIGKILL)
            os.waitpid(squatter, 0)
        assert children() == []


@pytest.fixture
def dumped(tmp_path: Path, images: Path) -> Iterator[Path]:
    """Images of a victim that is gone; nothing of a restore that was refused is left."""
    become_subreaper()
    with Victim(build(tmp_path), tmp_path, KINDS["threads"]) as victim:
        assert amber("dump", "-t", str(victim.pid), "-D", str(images)).returncode == 0
        victim.end()
        yield images
        assert children() == []


def test_pages_are_truncated(dumped: Path) -> None:
    pages = dumped / "pages-1.img"
    os.truncate(pages, pages.stat().st_size - 1)
    refused("restore", "-d", "-D", str(dumped), says=f"{pages}: is truncated")


def test_pages_are_a_named_pipe(dumped: Path) -> None:
    """Opening it would wait for somebody who writes."""
    pages = dumped / "pages-1.img"
    pages.unlink()
    os.mkfifo(pages)
    refused("restore", "-d", "-D", str(dumped), says=f"{pages}: not a regular file")


def test_pages_are_missing(dumped: Path) -> None:
    (dumped / "pages-1.img").unlink()
    refused("restore", "-d", "-D", str(dumped), says="pages-1.img: is missing; pagemap-")


def test_statistics_go_into_a_named_pipe(victim: Victim, images: Path) -> None:
    """Nobody waits for a reader while a tree is frozen, or was just restored: the statistics are lost, and no more."""
    os.mkfifo(images / "stats-dump")
    result = amber("dump", "-t", str(victim.pid), "-D", str(images), "-R")
    assert result.returncode == 0, result.stderr
    (images / "inventory.img").unlink()
    core = next(images.glob("core-*.img"))
    core.unlink()
    os.mkfifo(core)
    refused("dump", "-t", str(victim.pid), "-D", str(images), "-R", says=f"{core}: write failed: ENXIO")


def test_a_processor_that_cannot_be(dumped: Path) -> None:
    path = next(dumped.glob("core-*.img"))
    directory = ImageDir(str(dumped))
    core = directory.read_one("CORE", int(path.stem[5:]))
    core.thread_info.fpregs.fop = 1 << 16  # the last opcode has 11 bits
    directory.write("CORE", int(path.stem[5:]), [core])
    refused("restore", "-d", "-D", str(dumped), says=f"{path.name}: no floating-point registers are like this")


def test_a_file_is_foreign(dumped: Path) -> None:
    path = next(dumped.glob("mm-*.img"))
    path.write_bytes(b"#!/bin/sh\necho this is no image\n")
    refused("restore", "-d", "-D", str(dumped), says=f"{path}: ")


def _clear(images: Path) -> None:
    for path in images.iterdir():
        path.unlink()


def _contents(images: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in images.iterdir()}


def _command() -> str:
    return os.path.join(os.path.dirname(sys.executable), "amber")


def _apart(script: str) -> subprocess.CompletedProcess[str]:
    """A shell in a mount namespace of its own, whose mounts nobody else sees."""
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    return subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@contextmanager
def _tmpfs(directory: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def _squat(pid: int) -> int:
    """A process with this pid: /proc/sys/kernel/ns_last_pid says which is given next."""
    for _ in range(100):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        if child == pid:
            return child
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    pytest.skip(f"pid {pid} cannot be had")
