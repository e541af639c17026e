"""Victims: processes that notice harm, and the judge who looks at them from outside."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from .journey import reap_orphans, session_of

SOURCE = Path(__file__).parent / "victim.c"
NOBODY = 65534
PATIENCE = 30.0  # seconds for a counter to move, on a machine that is busy with other things


class Kind(NamedTuple):
    """A way to be a victim. `counters` is how many must go on."""

    mode: str
    counters: int
    user: int = 0
    stopped: bool = False


KINDS = {
    "threads": Kind("", 4),
    "tree": Kind("tree", 16),
    "handlers": Kind("handlers", 4),
    "sleepers": Kind("sleepers", 9),
    "confined": Kind("confined", 4),
    "doomed": Kind("doomed", 4),
    "stopped": Kind("", 4, stopped=True),
    "non-root": Kind("", 4, user=NOBODY),
}


def build(directory: Path) -> Path:
    """Compiles the victim where every user can run it."""
    program = directory / "victim"
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", str(program), str(SOURCE)], check=True)
    for parent in [directory, *directory.parents[:-1]]:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return program


class Victim:
    """One session of victims, with counters that we see."""

    def __init__(self, program: Path, directory: Path, kind: Kind) -> None:
        self.kind = kind
        self.complaints = directory / "complaints"
        path = directory / "counters"
        path.write_bytes(bytes(4096))
        os.chown(path, kind.user, -1)
        with open(path, "r+b") as file:
            self._view = mmap.mmap(file.fileno(), 4096)
        with open(self.complaints, "wb") as log:
            process = subprocess.Popen(
                [str(program), str(path), *kind.mode.split()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, user=kind.user, group=kind.user, extra_groups=[], cwd="/",
            )  # fmt: skip
        process.returncode = 0  # restored victims have the same pid: they are reaped here
        self.pid = process.pid
        self.state: list[str] = []

    def __enter__(self) -> Victim:
        try:
            self.check_progress()
            if self.kind.stopped:
                self.stop()
            self.state = self.look()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def stop(self) -> None:
        """All of it is in a job-control stop afterwards."""
        self.send(signal.SIGSTOP)
        self.await_stop()

    def await_stop(self) -> None:
        """Stopping, as again when a tracer has gone, takes a moment."""
        until = time.monotonic() + PATIENCE
        while any("\tT" not in line for line in self.look() if line.startswith("State")):
            assert time.monotonic() < until, self.look()
            time.sleep(0.001)

    def look(self) -> list[str]:
        """What must not change: of each thread the masks, the tracer, and whether it is stopped."""
        found = []
        for pid in sorted(session_of(self.pid)):
            for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
                with open(f"/proc/{pid}/task/{tid}/status") as file:
                    found += [line for line in file.read().splitlines() if self._matters(line)]
        return found

    def _matters(self, line: str) -> bool:
        seen = ("Pid:", "TracerPid", "SigBlk", "SigIgn", "SigCgt", "Uid", "Gid", "CapEff", "NoNewPrivs", "Seccomp")
        return line.startswith((*seen, "State") if self.kind.stopped else seen)

    def counters(self) -> list[int]:
        """Where the threads are."""
        return [int.from_bytes(self._view[8 * n : 8 * n + 8], "little") for n in range(self.kind.counters)]

    def check_progress(self) -> None:
        """Waits until every counter has moved."""
        before, until = self.counters(), time.monotonic() + PATIENCE
        while any(new <= old for old, new in zip(before, self.counters(), strict=True)):
            assert time.monotonic() < until, f"stuck: {before} {self.counters()} {self.complaints.read_text()}"
            time.sleep(0.002)

    def check(self) -> None:
        """Alive, as it was, and going on. A stopped one is continued for that: whatever an engine made it do, it gets
        home when it runs, and until then it stands still."""
        if self.kind.stopped:
            self.await_stop()
            self.send(signal.SIGCONT)
        self.check_progress()
        if self.kind.stopped:
            self.stop()
        until = time.monotonic() + PATIENCE
        while self.look() != self.state:  # a thread that is in its handler has another mask
            assert time.monotonic() < until, f"{self.look()}, before: {self.state} {self.complaints.read_text()}"
            if self.kind.stopped:  # it may have been stopped just there
                self.send(signal.SIGCONT)
                self.check_progress()
                self.stop()
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """A signal to all of it."""
        for pid in session_of(self.pid):
            os.kill(pid, number)

    def arenas(self) -> int:
        """Mappings that an engine left behind."""
        maps = [Path(f"/proc/{pid}/maps").read_text() for pid in session_of(self.pid)]
        return sum(line.split()[1] == "rwxs" for text in maps for line in text.splitlines())

    def end(self) -> None:
        """Kills the session and waits until nothing of it is left."""
        while session_of(self.pid):
            self.send(signal.SIGKILL)
            reap_orphans()
            time.sleep(0.002)
        reap_orphans()
