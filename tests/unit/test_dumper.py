"""Dumps that fail, at every step and in one process: the tree goes on, and nothing of ours is left."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine import dumper, rehearsal
from engine.dumper import dump
from engine.errors import AmberError
from engine.kernel import inject
from engine.log import SILENT
from engine.options import DumpOptions
from engine.rehearsal import Nowhere
from engine.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a dump needs the rights of root")

PROGRAM = """
import mmap, os, signal, sys, time
counters = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 4096)
number = 0
for number in (1, 2, 3):
    if not os.fork():
        break
else:
    number = 0
    signal.signal(signal.SIGCHLD, lambda *_: exec("counters[4] = os.waitpid(-1, 0)[1]"))
while True:
    counters[number] = (counters[number] + 1) & 255
    time.sleep(0.001)
"""


class Tree:
    """A parent and three children that count. The fifth counter is the status of a child that has ended."""

    def __init__(self, place: Path) -> None:
        self.images = place / "images"
        self.images.mkdir()
        path = place / "counters"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.counters = mmap.mmap(file.fileno(), 4096)
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, path], start_new_session=True, cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)  # fmt: skip
        self.pid = self.process.pid
        self.check(range(4))
        self.children = [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def options(self, **more: Any) -> DumpOptions:
        return DumpOptions(pid=self.pid, images_dir=str(self.images), **more)

    def check(self, who: Any) -> None:
        """They go on."""
        before = self.counters[:4]
        wait_until(lambda: all(self.counters[i] != before[i] for i in who))

    def end(self) -> None:
        self.counters.close()
        self.process.returncode = None
        self.process.kill()
        self.process.wait()
        for child in self.children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    rehearse()
    descriptors, mappings = len(os.listdir("/proc/self/fd")), arenas()
    tree = Tree(tmp_path)
    yield tree
    tree.end()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert arenas() == mappings


def rehearse() -> None:
    """What is opened once for all dumps is."""
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        dump(DumpOptions(pid=sleeper.pid, images_dir="/proc/none", explain=True))
        dumper._rehearse(SILENT)
    finally:
        sleeper.kill()
        sleeper.wait()


def arenas() -> list[str]:
    """Our own mappings of other tasks' memory, or of images."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if "/dev/zero" in line or "pages-" in line]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def killing(tree: Tree) -> None:
    """Somebody kills the second child."""
    os.kill(tree.children[1], signal.SIGKILL)
    wait_until(lambda: Path(f"/proc/{tree.children[1]}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


def survives(tree: Tree) -> None:
    """All but the one that was killed, of which the parent hears."""
    wait_until(lambda: tree.counters[4] == signal.SIGKILL)
    tree.check((0, 1, 3))
    for pid in (tree.pid, tree.children[0], tree.children[2]):
        assert "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text()
        assert "rwxs" not in Path(f"/proc/{pid}/maps").read_text()
    assert os.listdir(tree.images) == []


def test_one_is_killed_between_the_freeze_and_the_questions(tree: Tree) -> None:
    def notify(stage: str, _: int) -> int:
        if stage == "network-lock":
            killing(tree)
        return 0

    with pytest.raises(AmberError, match=str(tree.children[1])):
        dump(tree.options(notify=notify))
    survives(tree)


@pytest.mark.parametrize("moment", ["before", "loaded", "after"])
def test_one_is_killed_while_questions_are_asked(tree: Tree, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, load = dumper.run, inject.load

    def kill_and_ask(injections: Any) -> None:
        if moment == "before":
            killing(tree)
        ask(injections)
        if moment == "after":
            killing(tree)

    def load_and_kill(injections: Any) -> None:
        load(injections)
        if moment == "loaded":
            killing(tree)

    monkeypatch.setattr(dumper, "run", kill_and_ask)
    monkeypatch.setattr(inject, "load", load_and_kill)
    with pytest.raises(AmberError, match=str(tree.children[1])):
        dump(tree.options())
    survives(tree)


@pytest.mark.parametrize("step", ["_collect", "_look_at_threads", "_injection", "_write", "_let_go"])
@pytest.mark.parametrize("error", [AmberError("no"), KeyboardInterrupt()])
def test_a_step_fails(tree: Tree, step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(dumper, step, fail)
    with pytest.raises(type(error)):
        dump(tree.options())
    tree.check(range(4))
    kept = step == "_let_go"  # there is no telling who is left of the tree then
    assert ("inventory.img" in os.listdir(tree.images)) == kept
    assert kept or os.listdir(tree.images) == []


def test_images_of_a_tree_that_was_killed_are_kept(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    close = Room.close

    def fail(room: Room) -> None:
        close(room)
        if not isinstance(room.images, Nowhere):
            raise KeyboardInterrupt

    monkeypatch.setattr(Room, "close", fail)
    with pytest.raises(KeyboardInterrupt):
        dump(tree.options())
    assert {"inventory.img", "pages-1.img", "pstree.img"} <= set(os.listdir(tree.images))


@pytest.mark.parametrize(
    ("more", "veto", "unlocked"),
    [({}, "", False), ({"leave_running": True}, "", True), ({}, "post-dump", True), ({}, "network-lock", True)],
)
def test_the_network_stays_locked_only_for_a_tree_that_is_gone(
    tree: Tree, more: dict[str, Any], veto: str, unlocked: bool
) -> None:
    stages: list[str] = []

    def notify(stage: str, _: int) -> int:
        stages.append(stage)
        return int(stage == veto)

    try:
        dump(tree.options(notify=notify, **more))
    except AmberError:
        assert veto == "network-lock"
    assert ("network-unlock" in stages) == unlocked
    assert stages[:2] == ["pre-dump", "network-lock"]


def test_a_rehearsal_that_fails_costs_only_time(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, children = dumper._prepare, f"/proc/self/task/{os.getpid()}/children"
    before = Path(children).read_text()

    def fail(frozen: Any) -> None:
        if frozen.options.pid != tree.pid:
            raise AmberError("the understudy is ill")
        prepare(frozen)

    monkeypatch.setattr(rehearsal, "_rehearsed", False)
    monkeypatch.setattr(dumper, "_prepare", fail)
    dump(tree.options(leave_running=True))
    assert rehearsal._rehearsed
    assert Path(children).read_text() == before
    tree.check(range(4))
