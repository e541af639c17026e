"""SIGKILL to a restore at any moment leaves nothing behind, or, when it came too late, the whole tree running."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.dumper import dump
from engine.options import DumpOptions, RestoreOptions
from engine.restorer import restore

from .journey import SEED, become_subreaper, count, reap_orphans, session_of
from .killing import DONE, FAILED, kill_command, kill_story, run
from .victims import KINDS, Victim, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .killing import End

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
KILLS = count(2, 50)  # of each kind


class Scene:
    """A victim that was dumped and is gone, its images, and where a pid file would be."""

    def __init__(self, victim: Victim, images: Path, work: Path) -> None:
        self.victim, self.images, self.work = victim, images, work
        self.pidfile = work / "pid"
        self.parts = 0  # how often a part of the tree was left
        dump(DumpOptions(pid=victim.pid, images_dir=str(images), work_dir=str(work)))
        victim.end()
        self.before = self._surroundings()

    def restore(self) -> None:
        """What is killed."""
        restore(RestoreOptions(images_dir=str(self.images), work_dir=str(self.work), pidfile=str(self.pidfile)))

    def duration(self) -> float:
        """Seconds that it takes, and that the victim was well afterwards."""
        started = time.perf_counter()
        end = run(self.restore)
        took = time.perf_counter() - started
        assert end.status == DONE, end.text
        self._check_whole()
        return took

    def check(self, end: End) -> bool:
        """All or nothing; whether it is all. Once, it may be a part: a tree is let go one thread after the other,
        and a kill of the engine in these microseconds takes along who is not let go yet (docs/testing.md)."""
        until = time.monotonic() + 5
        while end.status != DONE and self._left() and not self._whole():
            if time.monotonic() > until:
                self.parts += 1
                assert self.parts == 1, f"left: {self._left()}"
                return self._end_part()
            time.sleep(0.002)
        if self._left():
            self._check_whole()
            return True
        self.pidfile.unlink(missing_ok=True)  # written in the last moment before the release
        assert self._surroundings() == self.before
        return False

    def _end_part(self) -> bool:
        self.victim.end()
        self.pidfile.unlink(missing_ok=True)
        return True

    def _left(self) -> list[int]:
        """Living processes of the tree; skeletons are not in its session yet, but are our orphans."""
        reap_orphans()
        return sorted({*session_of(self.victim.pid), *_children()})

    def _whole(self) -> bool:
        return self.victim.look() == self.victim.state

    def _check_whole(self) -> None:
        self.victim.check()
        self.victim.end()
        self.pidfile.unlink(missing_ok=True)
        (self.work / "stats-restore").unlink(missing_ok=True)

    def _surroundings(self) -> list[str]:
        """Files where we might have left some, and mounts that are ours by their names."""
        files = [str(path) for place in (self.images, self.work) for path in place.iterdir()]
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return [*sorted(files), *(line for line in mounts if "amber" in line)]


@pytest.fixture(params=KINDS)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """One of each kind."""
    become_subreaper()
    images = Path(f"/dev/shm/amber-killed-{os.getpid()}")
    work = tmp_path / "work"
    images.mkdir()
    work.mkdir()
    with Victim(build(tmp_path), tmp_path, KINDS[request.param]) as victim:
        yield Scene(victim, images, work)
    shutil.rmtree(images)


def test_the_engine_is_killed(scene: Scene) -> None:
    _torture(scene, scene.duration(), lambda within, chance: kill_story(scene.restore, within, chance))


@pytest.mark.parametrize("scene", ["threads"], indirect=True)
def test_the_command_is_killed(scene: Scene) -> None:
    argv = ["restore", "-d", "-D", str(scene.images), "-W", str(scene.work), "--pidfile", str(scene.pidfile)]
    # starting Python takes most of it
    _torture(scene, 0.06 + scene.duration(), lambda within, chance: kill_command(argv, within, chance))


def _torture(scene: Scene, took: float, kill: Callable[[float, random.Random], End]) -> None:
    chance, killed, nothing_left = random.Random(SEED), 0, 0
    while killed < KILLS or not nothing_left:
        end = kill(1.05 * took, chance)
        if end.status == FAILED and "EEXIST" in end.text:  # somebody else on this machine has the pid just now
            assert not scene.check(end)
            time.sleep(0.1)
            continue
        assert end.status in (DONE, -9), end.text
        whole = scene.check(end)
        assert whole or end.status != DONE
        killed += end.status != DONE
        nothing_left += not whole
    rest = f"the whole tree after {killed - nothing_left - scene.parts}, a part of it after {scene.parts}"
    print(f"{killed} killed, nothing left after {nothing_left}, {rest}")


def _children() -> list[int]:
    """Our own that live."""
    found = []
    pid = os.getpid()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            state = Path(f"/proc/{child}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in b"ZX":
            found.append(int(child))
    return found
