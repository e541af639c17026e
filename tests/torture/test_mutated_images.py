"""Damaged and hostile image sets: a restore either works or says one clear thing, and nothing is left of it."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.dumper import dump
from engine.options import DumpOptions, RestoreOptions
from engine.restorer import restore

from .journey import SEED, become_subreaper, children, count, reap_orphans, session_of
from .killing import DONE, FAILED, End, end_of, in_child, run
from .mutations import mutate
from .victims import KINDS, Victim, build

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
SETS = int(os.environ.get("AMBER_TORTURE_SETS", "0")) or count(20, 1000)  # of each of the two trees
FIRST = int(os.environ.get("AMBER_TORTURE_FIRST", "0"))
SECONDS = 10
LONGEST = 10000  # bytes of an error: it may quote a path
MEMORY = 16 << 30  # bytes of address space: what one engine may ask for
RICH = Path(__file__).parent / "rich.py"


@pytest.fixture
def place() -> Iterator[Path]:
    """In memory."""
    become_subreaper()
    path = Path(f"/dev/shm/amber-mutated-{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def test_images_of_a_tree_of_threads(place: Path, tmp_path: Path) -> None:
    with Victim(build(tmp_path), tmp_path, KINDS["tree"]) as victim:
        dump(DumpOptions(pid=victim.pid, images_dir=str(_new(place / "whole"))))
    _torture(place)


def test_images_with_some_of_everything(place: Path, tmp_path: Path) -> None:
    log = open(tmp_path / "log", "wb")
    argv = [sys.executable, str(RICH), str(tmp_path)]
    rich = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 20
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.01)
        dump(DumpOptions(pid=rich.pid, images_dir=str(_new(place / "whole"))))
    finally:
        _end_tree()
        rich.wait()
    _torture(place)


def _torture(place: Path) -> None:
    """Every set is made by a chance of its own, so that one can be made again."""
    _check_nothing_left("the dump")
    end = run(lambda: _restore(place / "whole"))
    assert end.status == DONE, end.text
    _end_tree()
    ends: Counter[int] = Counter()
    wrong = [said for index in range(FIRST, FIRST + SETS) if (said := _one(place, index, ends))]
    print(f"{ends[DONE]} restored, {ends[FAILED]} refused of {SETS}")
    assert not wrong, f"{len(wrong)} of {SETS}:\n" + "\n".join(wrong[:20])


def _one(place: Path, index: int, ends: Counter[int]) -> str:
    """What went wrong with one set; nothing if nothing did."""
    images = place / "mutated"
    shutil.rmtree(images, ignore_errors=True)
    shutil.copytree(place / "whole", images)
    said = mutate(images, random.Random(f"{SEED}/{index}"))
    end = _in_time(images)
    ends[end.status if end else -1] += 1
    wrong = ""
    if end is None:
        wrong = f"hangs for {SECONDS} s"
    elif end.status not in (DONE, FAILED):
        wrong = f"status {end.status}: {end.text[-2000:]}"
    elif end.status == FAILED and (not end.text or len(end.text) > LONGEST):
        wrong = f"no clear error: {end.text[:200]!r}"
    left = [] if end and end.status == DONE else _left()
    if left:
        wrong += f" left: {left}"
    _end_tree()
    return f"set {index}: {said}: {wrong}" if wrong else ""


def _restore(images: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    restore(RestoreOptions(images_dir=str(images), leave_stopped=True))


def _in_time(images: Path) -> End | None:
    pid, said = in_child(lambda: _restore(images))
    until = time.monotonic() + SECONDS
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            end_of(pid, said)
            return None
        time.sleep(0.001)
    return end_of(pid, said)


def _left() -> list[str]:
    """Children that are still there when a dying tree has had time to die."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        reap_orphans()
        if not children():
            return []
        time.sleep(0.002)
    return [Path(f"/proc/{child}/stat").read_bytes().decode(errors="replace")[:80] for child in children()]


def _end_tree() -> None:
    """Kills whatever became our child, and their sessions."""
    until = time.monotonic() + 10
    while found := children():
        assert time.monotonic() < until, f"{found} cannot be killed"
        for child in found:
            for pid in {child, *session_of(child)}:
                os.kill(pid, signal.SIGKILL)
        reap_orphans()
        time.sleep(0.001)


def _check_nothing_left(what: str) -> None:
    assert not _left(), f"left by {what}"


def _new(path: Path) -> Path:
    path.mkdir()
    return path
