"""Telling others at which stage the work is: action scripts, and the `notify` of a library user.

A script is run with no arguments and learns from its environment: CRTOOLS_SCRIPT_ACTION names the stage,
CRTOOLS_IMAGE_DIR the image directory, CRTOOLS_INIT_PID the root of the tree once it is known.
"""

from __future__ import annotations

import os

from engine.errors import AmberError
from engine.surroundings import IGNORED_BY_PYTHON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.log import Log
    from engine.options import Notify

ROWS = {"G07": "action scripts"}

ABORTING = {
    "pre-stream",
    "pre-dump",
    "network-lock",
    "setup-namespaces",
    "post-setup-namespaces",
    "pre-restore",
    "post-restore",
}


class Hooks:
    """All who want to be told. `images_fd` is the image directory; it must stay open."""

    __slots__ = ("_images_fd", "_log", "_notify", "_scripts")

    def __init__(self, scripts: tuple[str, ...], notify: Notify | None, images_fd: int, log: Log) -> None:
        self._scripts, self._notify, self._images_fd, self._log = scripts, notify, images_fd, log

    def reached(self, stage: str, root_pid: int = 0) -> int:
        """Tell all that `stage` is reached; return their statuses, or-ed.

        AmberError when one is not 0 at a stage that it can veto. After "post-dump" the caller lets the tree
        run on and returns the status; at the other stages it is too late, and it is only logged.
        """
        status = self._notify(stage, root_pid) if self._notify else 0
        for script in self._scripts:
            status |= self._run(script, stage, root_pid)
        if status and stage in ABORTING:
            raise AmberError(f"{stage}: an action script ended with status {status}, so the work is given up")
        return status

    def _run(self, script: str, stage: str, root_pid: int) -> int:
        self._log.info(f"{stage}: running {script}")
        self._log.flush()
        status = _call(script, self._environment(stage, root_pid))
        if status:
            self._log.warning(f"{stage}: {script} ended with status {status}")
        return status

    def _environment(self, stage: str, root_pid: int) -> dict[str, str]:
        images = f"/proc/{os.getpid()}/fd/{self._images_fd}"
        environment = {**os.environ, "CRTOOLS_SCRIPT_ACTION": stage, "CRTOOLS_IMAGE_DIR": images}
        if root_pid:
            environment["CRTOOLS_INIT_PID"] = str(root_pid)
        return environment


def _call(script: str, environment: dict[str, str]) -> int:
    """Run a program, or a shell's command line when no program has that name; return its status.

    As in a shell, 127 is a program that cannot be started and 128 + N the death by signal N.
    """
    argv = [script] if os.access(script, os.X_OK) else ["/bin/sh", "-c", script]
    try:
        pid = os.posix_spawn(argv[0], argv, environment, setsigdef=IGNORED_BY_PYTHON, setsigmask=[])
    except OSError:
        return 127
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status
