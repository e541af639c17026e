"""ProcDir: reading through one descriptor, and what happens when the process is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from errno import ENOENT, ESRCH

import pytest

from engine.errors import KernelError
from engine.kernel.proc import ProcDir


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process, ProcDir(process.pid) as child:
        # execve closes descriptors, which is what Popen waits for, before it lays out the arguments.
        while not child.arguments():
            os.sched_yield()
        yield process
        process.kill()


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_facts_of_a_child(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcDir(os.getpid()) as ours, ProcDir(sleeper.pid) as child:
        assert sleeper.pid in ours.children()
        assert child.arguments() == [b"sleep", b"1000"]
        assert child.comm() == "sleep"
        assert child.link("exe") == os.path.realpath(shutil.which("sleep") or "")
        assert child.namespaces()["net"] == ours.namespaces()["net"]
        assert child.personality() == ours.personality()
        assert child.number("oom_score_adj") == ours.number("oom_score_adj")


def test_threads() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with ProcDir(os.getpid()) as ours:
        assert thread.native_id in ours.tasks()
        assert thread.native_id
        with ours.task(thread.native_id) as task:
            assert task.status().pid == thread.native_id
            assert task.status().tgid == os.getpid()
    stop.set()
    thread.join()


def test_a_reaped_process_is_gone_whoever_has_its_pid(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcDir(sleeper.pid) as child:
        assert child.alive()
        end(sleeper)
        assert not child.alive()
        for reader in (child.stat, child.maps, child.descriptors, child.tasks, child.namespaces):
            with pytest.raises(KernelError) as caught:
                reader()
            assert caught.value.errno == ESRCH
            assert f"pid {sleeper.pid}" in str(caught.value)


def test_a_zombie_is_still_there(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcDir(sleeper.pid) as child:
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert child.stat().state == child.status().state == "Z"
        assert child.stat().exit_code == 9
        assert child.maps() == []


def test_a_pid_that_never_was() -> None:
    with pytest.raises(KernelError) as caught:
        ProcDir(2**31 - 1)
    assert caught.value.errno == ESRCH


def test_a_file_that_this_kernel_lacks() -> None:
    with ProcDir(os.getpid()) as ours, pytest.raises(KernelError) as caught:
        ours.read("no-such-file")
    assert caught.value.errno == ENOENT
    assert "no-such-file" in str(caught.value)


def test_close_twice() -> None:
    ours = ProcDir(os.getpid())
    ours.close()
    ours.close()
    assert ours.fd == -1
