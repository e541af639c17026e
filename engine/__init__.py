"""Checkpoint and restore of Linux processes, as a library.

    import engine

    engine.dump(engine.DumpOptions(pid=812, images_dir="/var/tmp/images"))
    engine.restore(engine.RestoreOptions(images_dir="/var/tmp/images", detached=True))
    with engine.images.open("/var/tmp/images") as images:
        images.read_one("CORE", 812)

Options, results and what is raised: engine/options.py and engine/errors.py, whose names are also found here. Nothing is
imported before it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine import images
    from engine.errors import AmberError, EngineBug, ImageError, KernelError, Obstacle, PlanError, Refused, UsageError
    from engine.options import DumpOptions, DumpResult, RestoreOptions, RestoreResult

__all__ = [
    "AmberError",
    "DumpOptions",
    "DumpResult",
    "EngineBug",
    "ImageError",
    "KernelError",
    "Obstacle",
    "PlanError",
    "Refused",
    "RestoreOptions",
    "RestoreResult",
    "UsageError",
    "dump",
    "images",
    "restore",
]


def dump(options: DumpOptions) -> DumpResult:
    """Saves the tree of `options.pid` as files in `options.images_dir`, which must exist.

    The tree is killed then, or left as the options say. Raises Refused with every obstacle of the tree, KernelError or
    another AmberError for what the user can mend; the tree then runs on and no image is left.
    """
    from engine.room import Room

    room = None if options.explain else Room.make(options)  # it fills while the rest is imported
    from engine.dumper import dump as save

    return save(options, room)


def restore(options: RestoreOptions) -> RestoreResult:
    """Brings the tree saved in `options.images_dir` back to life; its root becomes a child of the calling process.

    Raises ImageError, Refused or another AmberError; then no task of the tree exists. Whoever wants the pids of orphans
    reaped at once calls it as a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
    """
    from engine.restorer import restore as revive

    return revive(options)


def __getattr__(name: str) -> Any:
    if name == "images":
        from importlib import import_module

        return import_module("engine.images")
    if name not in __all__:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    from engine import errors, options

    return getattr(errors if hasattr(errors, name) else options, name)
