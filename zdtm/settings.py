"""How tests are run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .engines import Engine

RUNS = Path("/var/tmp/zdtm")


class Settings(NamedTuple):
    """The same for all tests of one command."""

    engine: Engine
    mode: str = "plain"  # plain, norst, stop
    iters: int = 1
    timeout: float | None = None  # seconds for each step, instead of the description's
    keep: str = "failed"  # which run directories stay: failed, always, never
    runs: Path = RUNS  # where they are made
    restore_engine: Engine | None = None  # another one for restores
    step: bool = False  # plans go call by call (amber --step)

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that a test must allow to be run with these settings."""
        return (self.mode, "iters") if self.iters > 1 else (self.mode,)

    @property
    def restorer(self) -> Engine:
        return self.restore_engine or self.engine
