"""The command, against an engine made for the test."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import cli, workplace
from engine.abi.signal import SIGPIPE, SIGXFSZ
from engine.commandline import usage
from engine.errors import ImageError, Obstacle, Refused
from engine.options import DumpOptions, DumpResult, RestoreResult
from engine.stats import DumpStats, RestoreStats
from engine.version import CRIU_VERSION

ROWS = ("G19",)
Engine = Callable[..., list[DumpOptions]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Put functions in the engine's place; the list collects the options they were called with."""

    def install(outcome: object = None) -> list[DumpOptions]:
        seen: list[DumpOptions] = []

        def work(options: DumpOptions) -> object:
            seen.append(options)
            options.log.info("worked")
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        for name in ("dump", "restore"):
            monkeypatch.setattr(f"engine.{name}", work)
        return seen

    return install


@pytest.fixture(autouse=True)
def stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(os.getcwd())  # commands change it; monkeypatch goes back
    monkeypatch.setenv("HOME", str(tmp_path))


DUMPED = DumpResult(7, DumpStats(frozen_time=42))
RESTORED = RestoreResult(7, RestoreStats())


@pytest.mark.parametrize(
    ("argv", "status", "error"),
    [
        ([], 1, "a command is expected"),
        (["dumb"], 1, "unknown command 'dumb'"),
        (["--nonsense"], 1, "unrecognized option '--nonsense'"),
        (["dump", "-t", "x"], 1, "--tree x: a number that is not negative is expected"),
        (["dump", "--close", "99999999999"], 1, "--close 99999999999: a number of at most 2147483647 is expected"),
        (["exec"], 255, "removed"),
        (["show"], 255, "removed"),
        (["swrk", "3"], 1, "the command swrk is not supported yet"),
        (["pre-dump", "-t", "1"], 1, "the command pre-dump is not supported yet"),
    ],
)
def test_misuse(capfd: pytest.CaptureFixture[str], argv: list[str], status: int, error: str) -> None:
    assert cli.main(argv) == status
    assert error in capfd.readouterr().err


def test_misuse_shows_the_short_usage(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([])
    assert capsys.readouterr().err.endswith(usage.SHORT)


@pytest.mark.parametrize("argv", [["-h"], ["--help"], ["dump", "--nonsense", "--help"]])
def test_help_comes_before_all_else(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == usage.full()


@pytest.mark.parametrize("argv", [["-V"], ["--version"], ["dump", "-V"]])
def test_the_version_is_that_of_the_criu_whose_words_amber_speaks(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out.startswith(f"Version: {CRIU_VERSION}\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m engine.cli --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dump_in_its_directories(tmp_path: Path, engine: Engine) -> None:
    images, work = tmp_path / "images", tmp_path / "work"
    images.mkdir()
    work.mkdir()
    seen = engine(DUMPED)
    assert cli.main(["dump", "-t", "7", "-D", str(images), "-W", str(work), "-o", "dump.log", "-v4"]) == 0
    assert isinstance(seen[0].images_dir, int)
    assert os.readlink(f"/proc/self/fd/{seen[0].images_dir}") == str(images)
    assert os.getcwd() == str(work)
    assert (work / "dump.log").read_text().endswith(") worked\n")
    assert str(work) not in [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]


def test_without_a_work_directory_the_images_directory_is_it(tmp_path: Path, engine: Engine) -> None:
    engine(DUMPED)
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path), "-o", "dump.log"]) == 0
    assert (tmp_path / "dump.log").exists()


def test_the_status_of_a_post_dump_script_is_the_command_s(tmp_path: Path, engine: Engine) -> None:
    engine(DUMPED._replace(script_status=7))
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path)]) == 7


def test_a_plan_goes_to_standard_output_and_no_file_is_written(
    tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(RESTORED._replace(listing="r0 = close(3)"))
    assert cli.main(["restore", "-D", str(tmp_path), "--display-stats", "--explain"]) == 0
    assert capsys.readouterr().out == "r0 = close(3)\n"
    assert list(tmp_path.iterdir()) == []


def test_statistics_are_shown_if_asked_for(tmp_path: Path, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine(DUMPED)
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path), "--display-stats"]) == 0
    out = capsys.readouterr().out
    assert "frozen_time" in out and "42 us" in out


def test_progress_is_shown_on_a_terminal_and_goes_away(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setattr(workplace, "_STDERR", theirs)
    engine(DUMPED)
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path)]) == 0
    expected = b"\r\x1b[Kdumping the tree of pid 7\r\x1b[K"
    seen = b""
    while len(seen) < len(expected):  # a terminal hands over what it has got so far
        seen += os.read(ours, 4096)
    assert seen == expected


def test_errors_are_in_the_log_and_on_standard_error(
    tmp_path: Path, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine(Refused([Obstacle("pid 7 fd 9", "no"), Obstacle("pid 8", "never", "end it")]))
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path), "-o", "log"]) == 1
    lines = "Error (amber): pid 7 fd 9: no\nError (amber): pid 8: never (end it)\n"
    assert capfd.readouterr().err == lines
    assert (tmp_path / "log").read_text() == lines


def test_an_error_is_said_once_when_the_log_is_standard_error(
    tmp_path: Path, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine(ImageError("core-7.img: truncated"))
    assert cli.main(["restore", "-D", str(tmp_path)]) == 1
    assert capfd.readouterr().err == "Error (amber): core-7.img: truncated\n"


def test_the_traceback_of_a_bug_is_in_the_log_file(
    tmp_path: Path, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine(ZeroDivisionError("oops"))
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path), "-o", "log"]) == 1
    assert capfd.readouterr().err == "Error (amber): bug in Amber: ZeroDivisionError: oops\n"
    assert "Traceback" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("level", "shown"), [("2", False), ("4", True)])
def test_without_a_log_file_the_traceback_needs_v4(
    tmp_path: Path,
    engine: Engine,
    capfd: pytest.CaptureFixture[str],
    level: str,
    shown: bool,
) -> None:
    engine(ZeroDivisionError("oops"))
    assert cli.main(["dump", "-t", "7", "-D", str(tmp_path), "-v" + level]) == 1
    assert ("Traceback" in capfd.readouterr().err) == shown


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["dump", "-t", "7", "-D", "/does/not/exist"], "--images-dir /does/not/exist: open failed: ENOENT"),
        (["dump", "-t", "7", "-W", "/does/not/exist"], "--work-dir /does/not/exist: open failed: ENOENT"),
        (["dump", "-t", "7", "-o", "/does/not/exist"], "--log-file /does/not/exist: open failed: ENOENT"),
        (["dump"], "dump needs the pid"),
        (["dump", "-t", "7", "--lazy-pages"], "--lazy-pages: not supported yet: memory is complete"),
        (["dump", "-t", "7", "more"], "dump takes no further words, but was given 'more'"),
        (["restore", "more"], "restore takes no further words, but was given 'more'"),
        (["dump", "-t", "7", "--close", "999"], "close failed: EBADF"),
    ],
)
def test_what_fails_before_the_engine_is_asked(
    engine: Engine, capfd: pytest.CaptureFixture[str], argv: list[str], error: str
) -> None:
    seen = engine(DUMPED)
    assert cli.main(argv) == 1
    captured = capfd.readouterr().err
    assert captured.startswith("Error (amber): ") and captured.count("\n") == 1
    assert error in captured
    assert not seen


def test_a_user_without_capabilities_is_told_so(tmp_path: Path) -> None:
    command = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        sys.executable,
        "-m",
        "engine.cli",
        "dump",
        "-t1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "dump needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE" in done.stderr


def test_a_restore_waits_for_the_tree_unless_detached(tmp_path: Path, engine: Engine) -> None:
    child = os.fork()
    if child == 0:
        os._exit(3)
    engine(RESTORED._replace(root_pid=child))
    assert cli.main(["restore", "-D", str(tmp_path), "-d"]) == 0
    assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT) is not None
    assert cli.main(["restore", "-D", str(tmp_path)]) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)


def test_a_restore_may_become_a_program(tmp_path: Path) -> None:
    code = (
        "import engine; from engine import cli; from engine.options import *\n"
        "engine.restore = lambda options: RestoreResult(7, RestoreStats())\n"
        f"cli.main(['restore', '-D', {str(tmp_path)!r}, '--exec-cmd', '--', 'echo', '-d', 'done'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "-d done\n")


def test_a_program_that_it_becomes_finds_the_usual_signals(tmp_path: Path) -> None:
    code = "from engine import cli; cli._become(('grep', 'SigIgn', '/proc/self/status'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    ignored = int(done.stdout.split()[1], 16)
    assert not ignored & (1 << SIGPIPE - 1 | 1 << SIGXFSZ - 1)  # whoever started us may have ignored others


def test_what_cannot_be_printed_is_an_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m engine.cli --help >/dev/full"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Error (amber): standard output: write failed: ENOSPC")


def test_a_directory_that_may_not_be_entered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(fd: int) -> None:
        raise PermissionError(errno.EACCES, "")

    monkeypatch.setattr(workplace.os, "chdir", refuse)
    assert cli.main(["dump", "-t", "7", "-D", "/", "-W", "/tmp"]) == 1
    assert capfd.readouterr().err.startswith("Error (amber): /tmp: chdir failed: EACCES")
    assert not engine(DUMPED)


def test_the_engine_is_not_imported_for_nothing() -> None:
    code = "import sys, engine.cli; engine.cli.main(['-V']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    modules = set(done.stdout.split())
    assert "engine.cli" in modules
    assert not modules & {
        "argparse",
        "logging",
        "subprocess",
        "inspect",
        "json",
        "pathlib",
        "google.protobuf",
    }
    assert not any(name.startswith(("engine.images", "engine.kernel", "engine.plan")) for name in modules)
