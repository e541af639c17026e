"""The pid file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import pidfile
from engine.errors import KernelError

ROWS = ("G21",)


def test_it_holds_the_pid_in_decimal(tmp_path: Path) -> None:
    pidfile.write(str(tmp_path / "pid"), 812)
    assert (tmp_path / "pid").read_text() == "812"


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1")
    with pytest.raises(KernelError, match=r"pid file .*EEXIST.*another --pidfile"):
        pidfile.write(str(tmp_path / "pid"), 812)
    assert (tmp_path / "pid").read_text() == "1"


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="ENOENT"):
        pidfile.write(str(tmp_path / "none/pid"), 812)
