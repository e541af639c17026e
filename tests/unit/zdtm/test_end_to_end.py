"""The harness catches an engine that does something wrong, names the step, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zdtm.description import load
from zdtm.engines import Engine
from zdtm.pytest_plugin import Silent
from zdtm.results import Outcome, Result
from zdtm.runner import Runner
from zdtm.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

# Holds a descriptor that a second start of the program would not get.
VICTIM = """
#include "zdtm.h"
#include <fcntl.h>
int main(int argc, char **argv)
{
    test_init(argc, argv);
    open("once", O_RDWR | O_CREAT | O_EXCL, 0600);
    test_ready();
    test_wait();
    return pass();
}
"""

# Its child survives it.
CARELESS = """
#include "zdtm.h"
#include <unistd.h>
static int child(void *unused) { (void)unused; for (;;) pause(); }
int main(int argc, char **argv)
{
    test_init(argc, argv);
    test_fork(child, 0);
    test_ready();
    test_wait();
    return pass();
}
"""


@pytest.fixture(autouse=True, scope="module")
def _own_build_directory(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["ZDTM_BUILD"] = str(tmp_path_factory.mktemp("build"))


def run(
    tmp_path: Path, fault: str, mode: str = "plain", source: str = VICTIM, extra: str = "", **settings: object
) -> Result:
    directory = tmp_path / "static"
    directory.mkdir(exist_ok=True)
    (directory / "victim.c").write_text(source)
    (directory / "victim.yaml").write_text(f"doc: a victim\nrows: [X1]\n{extra}")
    wrapper = tmp_path / "engine"
    fake = Path(__file__).with_name("fake_engine.py")
    words = shlex.join([sys.executable, str(fake), fault])
    wrapper.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    wrapper.chmod(0o755)
    all_settings = Settings(Engine(wrapper, "fake"), mode, runs=tmp_path / "runs")._replace(**settings)
    return Runner(all_settings, Silent()).run(load(directory / "victim.yaml"))


def test_an_engine_that_does_nothing_passes_without_restore(tmp_path: Path) -> None:
    result = run(tmp_path, "nothing", "norst")
    assert result.outcome is Outcome.PASSED, result
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("fault", "mode", "step", "words"),
    [
        ("dump fails", "plain", "dump", "exited with status N"),
        ("dump harms", "plain", "unharmed", "is gone"),
        ("dump crashes", "plain", "dump", "was killed by SIGSEGV"),
        ("nothing", "plain", "gone", "processes stayed after the dump: N (victim)"),
        ("dump ends the tree", "norst", "gone", "ended the tree that it was told to leave running"),
        ("dump stops the tree", "norst", "state", "pid N: state was 'alive', is 'stopped'"),
        ("nothing", "stop", "gone", "not stopped: [N]"),
        ("dump ends the tree", "stop", "gone", "the tree has ended that should be stopped"),
        ("dump leaves a process", "norst", "state", "is new"),
        ("dump fails and leaves a file", "plain", "leftovers", "link_remap.N stayed"),
        ("dump leaves a file", "norst", "leftovers", "link_remap.N stayed"),
        ("dump leaves a mount", "norst", "leftovers", "(tmpfs) stayed"),
        ("restore fails", "plain", "restore", "exited with status N"),
        ("restore writes no pid", "plain", "restore", "the pid file does not name N"),
        ("restore makes nothing", "plain", "state", "pid N: is gone"),
        ("restore starts another program", "plain", "state", "pid N: fd N is gone"),
    ],
)
def test_what_an_engine_does_wrong_is_caught(tmp_path: Path, fault: str, mode: str, step: str, words: str) -> None:
    result = run(tmp_path, fault, mode)
    assert (result.outcome, result.step) == (Outcome.FAILED, step), result
    assert words in re.sub(r"\b\d+\b", "N", result.message)
    assert any(f"Error (fake.c:1): {fault}" in line for each in result.excerpts for line in each.lines)


def test_a_hang_ends_with_the_timeout(tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path, "dump hangs", timeout=0.5)
    assert (result.step, result.hard) == ("dump", True)
    assert "not done after 0.5 s" in result.message
    assert time.monotonic() - began < 5


def test_a_program_that_leaves_a_child_fails(tmp_path: Path) -> None:
    result = run(tmp_path, "nothing", "norst", CARELESS)
    assert (result.outcome, result.step) == (Outcome.FAILED, "leftovers")
    assert "(victim)" in result.message


@pytest.mark.parametrize(
    ("body", "step", "words"),
    [
        ('test_ready(); test_wait(); return fail("wrong");', "verdict", "wrong"),
        ("test_ready(); test_wait(); return 0;", "verdict", "without a verdict"),
        ("test_ready(); test_wait(); pass(); return 4;", "verdict", "status 4"),
        ("test_ready(); for (;;) pause();", "verdict", "did not end within 0.5 s after SIGTERM"),
        ('err_die("no luck");', "start", "no luck"),
        ("return 0;", "start", "without a verdict"),
        ('skip("no moon"); return 4;', "start", "status 4"),
        ("pause();", "start", "not done after 0.5 s"),
        ("this is not C", "build", "error:"),
    ],
)
def test_what_a_program_does_wrong_is_caught(tmp_path: Path, body: str, step: str, words: str) -> None:
    head = '#include "zdtm.h"\n#include <unistd.h>\nint main(int c, char **v)'
    source = f"{head} {{ test_init(c, v); {body} }}\n"
    result = run(tmp_path, "nothing", "norst", source, timeout=0.5)
    assert (result.outcome, result.step) == (Outcome.FAILED, step), result
    assert words in result.message


def test_a_program_can_say_that_it_cannot_run(tmp_path: Path) -> None:
    source = '#include "zdtm.h"\nint main(int c, char **v) { test_init(c, v); return skip("no moon"); }\n'
    result = run(tmp_path, "nothing", source=source)
    assert (result.outcome, result.message) == (Outcome.SKIPPED, "no moon")


def test_a_needed_command_that_is_missing_skips(tmp_path: Path) -> None:
    result = run(tmp_path, "nothing", extra="needs: {commands: [no-such-command]}")
    assert (result.outcome, result.message) == (Outcome.SKIPPED, "there is no command no-such-command")


def test_an_expected_failure_is_one(tmp_path: Path) -> None:
    extra = "expect_fail: [{engine: any, step: dump, reason: known, until: 2999-01-01}]"
    assert run(tmp_path, "dump fails", extra=extra).outcome is Outcome.EXPECTED
    assert run(tmp_path, "dump harms", extra=extra).outcome is Outcome.FAILED
    assert run(tmp_path, "dump crashes", extra=extra).outcome is Outcome.FAILED
    assert run(tmp_path, "dump has a bug", extra=extra).outcome is Outcome.FAILED


def test_a_failed_run_is_kept_in_place_of_the_last(tmp_path: Path) -> None:
    first, second = (run(tmp_path, "dump fails").directory for _ in range(2))
    assert [str(path) for path in (tmp_path / "runs").iterdir()] == [second] != [first]
    assert (Path(second) / "images/1/dump.log").exists()


def zdtm_in_a_process(tmp_path: Path) -> subprocess.Popen[str]:
    """`zdtm run -a` of the victim, which run() has made, with an engine that sleeps."""
    script = f"""
import os, sys
from pathlib import Path
import zdtm.suite, zdtm.cli
zdtm.suite.collect.__defaults__ = ((), "", (), (Path({str(tmp_path)!r}) / "static",))
(Path({str(tmp_path)!r}) / "engine").write_text("#!/bin/sh\\nexec sleep 60\\n")
words = ["run", "-a", "--engine", {str(tmp_path / "engine")!r}, "--runs", {str(tmp_path / "runs")!r}]
sys.exit(zdtm.cli.main(words))
"""
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)


def test_ctrl_c_ends_and_cleans_up_all(tmp_path: Path) -> None:
    run(tmp_path, "nothing", "norst")
    zdtm, runs = zdtm_in_a_process(tmp_path), tmp_path / "runs"
    assert wait_for(lambda: list(runs.glob("*/images")))
    zdtm.send_signal(2)
    _, errors = zdtm.communicate(timeout=10)
    assert zdtm.returncode == 130, errors
    assert "interrupted" in errors
    assert not list(runs.iterdir())


def test_ctrl_c_ends_a_run_that_waits_for_another_one(tmp_path: Path) -> None:
    with (Path(os.environ["ZDTM_BUILD"]) / "alone.lock").open("w") as lock:
        run(tmp_path, "nothing", "norst")
        fcntl.flock(lock, fcntl.LOCK_EX)
        zdtm = zdtm_in_a_process(tmp_path)
        time.sleep(2)  # the worker has come to the lock
        began = time.monotonic()
        zdtm.send_signal(2)
        _, errors = zdtm.communicate(timeout=30)
    assert zdtm.returncode == 130, errors
    assert time.monotonic() - began < 5


def test_sigkill_leaves_no_process(tmp_path: Path) -> None:
    source = VICTIM.replace("test_ready();", 'note("marker"); test_ready();')
    run(tmp_path, "nothing", "norst", source)
    (tmp_path / "engine").write_text("#!/bin/sh\nexec sleep 61.25\n")
    script = f"""
from pathlib import Path
from zdtm.description import load
from zdtm.engines import Engine
from zdtm.pytest_plugin import Silent
from zdtm.settings import Settings
from zdtm.runner import Runner
here = Path({str(tmp_path)!r})
settings = Settings(Engine(here / "engine", "fake"), runs=here / "runs")
Runner(settings, Silent()).run(load(here / "static/victim.yaml"))
"""
    zdtm = subprocess.Popen([sys.executable, "-c", script])
    assert wait_for(lambda: running("61.25"))
    zdtm.kill()
    zdtm.wait()
    assert wait_for(lambda: not running("61.25"))


def running(word: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_text().split("\0"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def wait_for(condition: object) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False
