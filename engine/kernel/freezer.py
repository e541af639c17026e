"""Freezer control groups: all tasks of a group stand still at once, before ptrace stops them one by one.

Version 1 has `freezer.state` (THAWED, FREEZING, FROZEN), version 2 `cgroup.freeze` (0, 1) and `cgroup.events`.
A task that is asked for a ptrace stop while its group is frozen may take it only when the group is thawed
(version 1), but then at once, before any instruction of its own.
"""

from __future__ import annotations

import os
import time

from engine.errors import AmberError, KernelError

ROWS = {"P03": "freezer control groups of both versions, put back as they were"}

POLL = 0.0005  # seconds


class FreezerGroup:
    """One group, by the path of its directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.unified = os.path.exists(os.path.join(path, "cgroup.freeze"))
        if not self.unified and not os.path.exists(os.path.join(path, "freezer.state")):
            raise AmberError(f"--freeze-cgroup {path}: it is no freezer control group")
        self.was_frozen = self._state() not in ("0", "THAWED")

    def freeze(self, timeout: float) -> None:
        """Returns when every task of the group stands still; AmberError when that takes too long."""
        self._write("1" if self.unified else "FROZEN")
        deadline = time.monotonic() + timeout
        while not self._is_frozen():
            if time.monotonic() > deadline:
                self.thaw()
                raise AmberError(f"--freeze-cgroup {self.path}: its tasks did not freeze in {timeout:g} s")
            time.sleep(POLL)

    def thaw(self) -> None:
        """Lets the group go on."""
        self._write("0" if self.unified else "THAWED")

    def put_back(self) -> None:
        """The state that the group was found in; its tasks may take a while."""
        if self.was_frozen:
            self._write("1" if self.unified else "FROZEN")

    def _is_frozen(self) -> bool:
        if self.unified:
            return "frozen 1" in self._read("cgroup.events")
        return self._state() == "FROZEN"

    def _state(self) -> str:
        return self._read("cgroup.freeze" if self.unified else "freezer.state").strip()

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.path, name), encoding="ascii") as file:
                return file.read()
        except OSError as error:
            raise KernelError("read", error.errno or 0, f"{self.path}/{name}") from None

    def _write(self, text: str) -> None:
        name = "cgroup.freeze" if self.unified else "freezer.state"
        try:
            with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise KernelError("write", error.errno or 0, f"{self.path}/{name}") from None
