"""SIGKILL to a dump at any moment leaves the victims unharmed, and half a dump does not pass for a whole one."""

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

from .journey import SEED, amber, become_subreaper, children, count, reap_orphans
from .killing import DONE, FAILED, duration, kill_command, kill_story, run
from .victims import KINDS, Victim, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
KILLS = count(2, 50)  # of each kind


# docs/injection.md, "Seccomp": one in a thousand killed engines takes a doomed victim along.
@pytest.fixture(params=[kind for kind in KINDS if kind != "doomed"])
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Victim]:
    """One of each kind."""
    become_subreaper()
    with Victim(build(tmp_path), tmp_path, KINDS[request.param]) as victim:
        yield victim


@pytest.fixture
def images() -> Iterator[Path]:
    """In memory."""
    path = Path(f"/dev/shm/amber-killed-{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def test_the_engine_is_killed(victim: Victim, images: Path) -> None:
    options = DumpOptions(pid=victim.pid, images_dir=str(images), leave_running=True)

    def story() -> None:
        _empty(images)
        dump(options)

    within, chance, runs, killed = 1.05 * duration(story), random.Random(SEED), 0, 0
    while killed < KILLS:
        runs += 1
        end = kill_story(story, within, chance)
        assert end.status in (DONE, -9), end.text
        killed += end.status == -9
        _check(victim, images, killed=end.status == -9)
    _check_last(victim, story)
    print(f"{killed} killed of {runs}")


@pytest.mark.parametrize("victim", ["threads"], indirect=True)
def test_the_command_is_killed(victim: Victim, images: Path) -> None:
    argv = ["dump", "-t", str(victim.pid), "-D", str(images), "-R"]
    started = time.perf_counter()
    assert amber(*argv).returncode == 0
    within, chance, runs, killed = 1.05 * (time.perf_counter() - started), random.Random(SEED), 0, 0
    while killed < KILLS:
        runs += 1
        _empty(images)
        end = kill_command(argv, within, chance)
        assert end.status in (DONE, -9), end.text
        killed += end.status == -9
        _check(victim, images, killed=end.status == -9)
    _empty(images)
    assert amber(*argv).returncode == 0
    assert victim.arenas() == 0
    print(f"{killed} killed of {runs}")


@pytest.mark.parametrize("victim", ["stopped"], indirect=True)
def test_a_stopped_victim_is_saved_on_its_way_home(victim: Victim, images: Path) -> None:
    """It cannot run home before it is continued. What is dumped before is it nevertheless, or refused."""

    def story(leave_running: bool = True) -> None:
        _empty(images)
        dump(DumpOptions(pid=victim.pid, images_dir=str(images), leave_running=leave_running))

    within, chance, saved = 1.05 * duration(story), random.Random(SEED), 0
    for _ in range(KILLS):
        kill_story(story, within, chance)
        end = run(lambda: story(leave_running=False))
        assert end.status == DONE or "continued with SIGCONT" in end.text, end.text
        if end.status == DONE:
            saved += 1
            reap_orphans()
            end = run(lambda: restore(RestoreOptions(images_dir=str(images))))
            assert end.status == DONE, end.text
        victim.check()
    print(f"{saved} saved of {KILLS}")
    assert saved


def _empty(images: Path) -> None:
    for path in images.iterdir():
        path.unlink()


def _check(victim: Victim, images: Path, killed: bool) -> None:
    """The victim is as before; what was written is no dump, unless it is one."""
    victim.check()
    until = time.monotonic() + 5
    while set(children()) - {victim.pid}:  # the understudy of the rehearsal dies with its engine
        assert time.monotonic() < until, f"children {children()}"
        time.sleep(0.001)
        _reap_others(victim)
    if killed:
        end = run(lambda: restore(RestoreOptions(images_dir=str(images))))
        assert end.status == FAILED, end  # at best it is whole, and its pids are taken
        whole = "the pid is taken" in end.text
        assert whole or "inventory.img" in end.text, end.text


def _reap_others(victim: Victim) -> None:
    for child in set(children()) - {victim.pid}:
        os.waitpid(child, os.WNOHANG)


def _check_last(victim: Victim, story: Callable[[], None]) -> None:
    """The next dump works, and takes away what the killed ones left."""
    end = run(story)
    assert end.status == DONE, end.text
    assert victim.arenas() == 0
    victim.check()
