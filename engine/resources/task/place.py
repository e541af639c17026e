"""Where a task stands in the file system: working directory, root directory, umask."""

from __future__ import annotations

import os

from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.rebuild import NewTask

ROWS = {"P42": "working directory, root directory, umask"}

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def collect(task: FrozenTask) -> None:
    """All of it is in /proc."""
    registry = task.tree.registry
    task.fs.cwd_id = registry.path_id(task, "cwd", os.O_RDONLY, "its working directory")
    task.fs.root_id = registry.path_id(task, "root", os.O_RDONLY, "its root directory")
    if task.status.umask is not None:
        task.fs.umask = task.status.umask


def restore(task: NewTask) -> None:
    """After every other path was opened. The directory is opened before the root changes."""
    opener, fs = task.tree.opener, task.fs
    with task.step(stages.FS, "working directory and root") as step:
        cwd = opener.open_path(task, fs.cwd_id, DIRECTORY, step)
        if opener.file(fs.root_id, str(task.leader)).reg.name != "/":
            root = opener.open_path(task, fs.root_id, DIRECTORY, step)
            step.call("fchdir", root)
            step.call("chroot", step.text("."))
            step.call("close", root)
        step.call("fchdir", cwd)
        step.call("close", cwd)
        step.call("umask", fs.umask)
