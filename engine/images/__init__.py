"""Images in CRIU's format: messages, files, directories, JSON.

    with engine.images.open("/var/tmp/images") as images:
        images.read_one("CORE", 812)

See docs/images.md.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing alone would cost as much as the messages
if TYPE_CHECKING:
    from engine.images.directory import ImageDir


def open(path_or_fd: str | int) -> ImageDir:
    """The dump in a directory. KernelError when there is no such directory."""
    from engine.images.directory import ImageDir

    return ImageDir.open(path_or_fd)
