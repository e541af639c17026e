"""Where a command works: its directories, its log, and what becomes of its errors.

In CRIU's order: capabilities, image directory, work directory, log file, and only then all else, so that
whatever goes wrong later is in the log.
"""

from __future__ import annotations

import os

from engine.commandline.settings import refuse
from engine.errors import AmberError, KernelError, Refused
from engine.log import DEBUG, ERROR, WARNING, Log, Progress
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.commandline.settings import Settings

    Story = Callable[["Settings", "Workplace"], int]

_STDERR = 2
_CAPABILITIES = 1 << 21 | 1 << 40  # CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE: capability(7)


class Workplace(NamedTuple):
    """Open directories and log of one command."""

    images_fd: int
    log: Log
    log_name: str | None  # None: the log is standard error
    progress: Progress

    def options(self) -> dict[str, Any]:
        """What it means for the engine's options."""
        return {"images_dir": self.images_fd, "work_dir": ".", "log": self.log, "progress": self.progress}


def working(settings: Settings, story: Story) -> int:
    """Tell `story` in the place that the settings describe; return the command's status."""
    _check_capabilities(settings.command)
    place = _enter(settings)
    try:
        refuse(settings)
        return story(settings, place)
    except AmberError as error:
        _failed(place, error)
    except Exception as error:
        _failed(place, error)
        _explain_bug(place)
    finally:
        place.progress.clear()
        place.log.flush()
    return 1


def complain(error: BaseException) -> None:
    """Say on standard error what went wrong, when there is no log to say it in."""
    log = Log(_STDERR, ERROR)
    _say(log, error)
    log.flush()


def _check_capabilities(command: str) -> None:
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    if not effective & _CAPABILITIES:
        raise AmberError(f"{command} needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: run it as root")


def _enter(settings: Settings) -> Workplace:
    values = settings.values
    images_fd = _open_directory(values["images_dir"], "--images-dir")
    work_fd = images_fd if values["work_dir"] is None else _open_directory(values["work_dir"], "--work-dir")
    _change_directory(work_fd, values["work_dir"] or values["images_dir"])
    if work_fd != images_fd:
        os.close(work_fd)
    log_name = values["log_file"]
    level = values["verbosity"]
    log = Log(_STDERR if log_name is None else _open_log(log_name), level)
    quiet = log_name is not None or level <= WARNING
    return Workplace(images_fd, log, log_name, Progress(_STDERR if quiet else -1))


def _open_directory(path: str, option: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError("open", error.errno or 0, f"{option} {path}") from error


def _change_directory(fd: int, path: str) -> None:
    try:
        os.chdir(fd)
    except OSError as error:  # it may be read, and yet not be entered
        raise KernelError("chdir", error.errno or 0, path) from error


def _open_log(path: str) -> int:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise KernelError("open", error.errno or 0, f"--log-file {path}") from error


def _failed(place: Workplace, error: Exception) -> None:
    """Into the log; and to standard error, if that is another place."""
    place.progress.clear()
    _say(place.log, error)
    if place.log_name is not None and place.log.level >= ERROR:
        complain(error)


def _say(log: Log, error: BaseException) -> None:
    if isinstance(error, Refused):
        for obstacle in error.obstacles:
            log.error(str(obstacle))
    elif isinstance(error, AmberError):
        log.error(str(error))
    else:
        log.error(f"bug in Amber: {type(error).__name__}: {error}")


def _explain_bug(place: Workplace) -> None:
    """The traceback goes to a log file; on a terminal it is for those who asked for everything."""
    if place.log_name is None and place.log.level < DEBUG:
        return
    import traceback

    place.log.message(traceback.format_exc())
