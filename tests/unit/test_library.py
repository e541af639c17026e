"""`import engine`: what library users see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import engine


def test_every_name_is_there() -> None:
    for name in engine.__all__:
        assert getattr(engine, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        engine.nothing  # noqa: B018


def test_importing_it_imports_nothing_else() -> None:
    code = "import engine, sys; print([name for name in sys.modules if name.startswith('engine.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_modules_of_the_same_package_do_not_hide_the_functions() -> None:
    code = "import engine, engine.dumper, engine.restorer; print(engine.dump.__name__, engine.restore.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "dump restore\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="checkpoints need root")
def test_a_process_is_saved_and_brought_back(tmp_path: Path) -> None:
    victim = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        done = engine.dump(engine.DumpOptions(pid=victim.pid, images_dir=str(tmp_path)))
        victim.wait()  # the engine, which traced it, has reaped it
        with engine.images.open(str(tmp_path)) as images:
            assert images.read_one("CORE", victim.pid).tc.comm == "sleep"
        back = engine.restore(engine.RestoreOptions(images_dir=str(tmp_path)))
        assert (done.root_pid, back.root_pid) == (victim.pid, victim.pid)
        assert Path(f"/proc/{victim.pid}/comm").read_text() == "sleep\n"
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        os.waitpid(victim.pid, 0)
