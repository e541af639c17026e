"""Action scripts and notify: what they are told, and what their statuses do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.abi.signal import SIGPIPE, SIGXFSZ
from engine.errors import AmberError
from engine.log import SILENT
from engine.scripts import ABORTING, Hooks

ROWS = ("G07",)


@pytest.fixture
def images(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def script(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_what_a_script_learns(tmp_path: Path, images: int) -> None:
    tell = script(
        tmp_path,
        "tell",
        'echo "$# $CRTOOLS_SCRIPT_ACTION ${CRTOOLS_INIT_PID-none}" > "$CRTOOLS_IMAGE_DIR/told"',
    )
    hooks = Hooks((tell,), None, images, SILENT)
    assert hooks.reached("pre-dump") == 0
    assert (tmp_path / "told").read_text() == "0 pre-dump none\n"
    hooks.reached("post-dump", 812)
    assert (tmp_path / "told").read_text() == "0 post-dump 812\n"


def test_a_script_finds_the_usual_signals(tmp_path: Path, images: int) -> None:
    """Python ignores two signals, which a shell could not even trap then."""
    tell = script(tmp_path, "tell", f"grep SigIgn /proc/$$/status > {tmp_path}/told")
    assert Hooks((tell,), None, images, SILENT).reached("pre-dump") == 0
    ignored = int((tmp_path / "told").read_text().split()[1], 16)
    assert not ignored & (1 << SIGPIPE - 1 | 1 << SIGXFSZ - 1)  # whoever started us may have ignored others


def test_all_scripts_run_and_their_statuses_are_ored(tmp_path: Path, images: int) -> None:
    three = script(tmp_path, "three", f"echo a >> {tmp_path}/log; exit 1")
    four = script(tmp_path, "four", f"echo b >> {tmp_path}/log; exit 4")
    assert Hooks((three, four), None, images, SILENT).reached("post-dump") == 5
    assert (tmp_path / "log").read_text() == "a\nb\n"


@pytest.mark.parametrize("stage", sorted(ABORTING))
def test_a_veto_gives_the_work_up(tmp_path: Path, images: int, stage: str) -> None:
    hooks = Hooks((script(tmp_path, "no", "exit 3"),), None, images, SILENT)
    with pytest.raises(AmberError, match=f"{stage}: .* status 3"):
        hooks.reached(stage)


@pytest.mark.parametrize("stage", ["pre-resume", "post-resume", "network-unlock"])
def test_late_stages_cannot_be_vetoed(tmp_path: Path, images: int, stage: str) -> None:
    assert Hooks((script(tmp_path, "no", "exit 3"),), None, images, SILENT).reached(stage) == 3


@pytest.mark.parametrize(
    ("command", "status"), [("exit 7", 7), ("/does/not/exist", 127), ("kill -TERM $$", 143), ("true", 0)]
)
def test_a_command_line_is_a_script_too(images: int, command: str, status: int) -> None:
    assert Hooks((command,), None, images, SILENT).reached("post-dump") == status


def test_notify_is_called_with_stage_and_pid(images: int) -> None:
    told: list[tuple[str, int]] = []

    def notify(stage: str, pid: int) -> int:
        told.append((stage, pid))
        return 1

    hooks = Hooks((), notify, images, SILENT)
    assert hooks.reached("post-resume", 812) == 1
    with pytest.raises(AmberError):
        hooks.reached("pre-restore")
    assert told == [("post-resume", 812), ("pre-restore", 0)]
