"""The terminal of a shell job."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from typing import TYPE_CHECKING

import pytest

from engine.errors import Refused
from engine.resources.files import terminal

from .stand_ins import Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slave() -> Iterator[int]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 50, 132, 0, 0))
    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    yield slave
    os.close(slave)
    os.close(master)


def job(slave: int) -> Tree:
    """A tree whose controlling terminal it is."""
    tree = Tree(shell_job=True)
    task = tree.tasks[0]
    task.stat = task.stat._replace(tty_nr=os.fstat(slave).st_rdev, tpgid=task.pid)
    return tree


def test_settings_and_place_are_saved(slave: int) -> None:
    tree = job(slave)
    (file,) = collect(tree, slave)
    terminal.write(tree, tree.registry.found[terminal.TYPE])  # type: ignore[arg-type]
    (info,) = tree.images.files["TTY_INFO", None]
    assert (info.id, info.type, info.pgrp) == (file.tty.tty_info_id, terminal.PTY, os.getpid())
    assert not info.termios.c_lflag & termios.ECHO
    assert len(info.termios.c_cc) == 19
    assert info.termios.c_cc[0] & 0xFF == termios.tcgetattr(slave)[6][termios.VINTR][0]
    assert info.termios.c_cc[1] & 0xFF == termios.tcgetattr(slave)[6][termios.VEOF][0]
    assert (info.winsize.ws_row, info.winsize.ws_col) == (50, 132)
    path = next(f for f in tree.registry.files if f.id == file.tty.regf_id)
    assert path.reg.name == os.ttyname(slave)


def test_without_the_option_it_is_refused(slave: int) -> None:
    tree = job(slave)
    tree.options = tree.options._replace(shell_job=False)
    collect(tree, slave)
    assert [(o.reason, "--shell-job" in o.remedy) for o in tree.obstacles] == [("terminals are not supported", True)]


def test_other_terminals_are_refused(slave: int) -> None:
    tree, master = Tree(shell_job=True), os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    collect(tree, slave, master)
    os.close(master)
    reasons = {o.subject.split()[1]: o.reason for o in tree.obstacles}
    assert reasons[str(slave)] == "it is no controlling terminal of the tree; such terminals are not supported"
    assert reasons[str(master)] == "terminals other than the slave side of a pseudo-terminal are not supported"


def test_it_is_opened_through_standard_input(slave: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = job(slave)
    (file,) = collect(old, slave)
    terminal.write(old, old.registry.found[terminal.TYPE])  # type: ignore[arg-type]
    tree = new_tree(tmp_path, [], {10: {}})
    tree.images.write("TTY_INFO", None, old.images.files["TTY_INFO", None])
    monkeypatch.setattr(os, "isatty", lambda fd: fd == 0)
    tree = new_tree(tmp_path, [file], {os.getpid(): {0: file.id}}, shell_job=True)
    tree.opener.restore(tree.root)
    calls = steps(tree, os.getpid())
    assert calls[0].startswith(f'r0 = openat(AT_FDCWD, "/proc/self/fd/{tree.opener.staging}", O_RDWR|O_NOCTTY')
    assert calls[1].startswith("r1 = ioctl(r0, TCSETS, ")
    assert calls[-1].split(" = ")[1].startswith("ioctl(0, TIOCSPGRP, ")
    with pytest.raises(Refused, match="--shell-job"):
        new_tree(tmp_path, [file], {10: {0: file.id}})
    monkeypatch.setattr(os, "isatty", lambda fd: False)
    with pytest.raises(Refused, match="standard input is no terminal"):
        new_tree(tmp_path, [file], {10: {0: file.id}}, shell_job=True)
