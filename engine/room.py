"""Room for a dump: the directory of the images, and pages files that are large enough for the tree as it is now.

It is the first thing that a dump needs, and takes longest to make: the pages are populated by threads of the extension
while the rest of the engine is still being imported. So this module imports little.
"""

from __future__ import annotations

from errno import ENOENT, ESRCH

from engine.errors import AmberError, KernelError, UsageError
from engine.images.directory import ImageDir
from engine.images.pages import PagesFile
from engine.kernel.proc import ProcDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.options import DumpOptions
    from engine.rehearsal import Nowhere

SPARE = 64 << 10  # bytes of pages that a process may get until it is frozen; the vdso's code is among them


class Room:
    """Images to be written, and the pages files that are reserved in them, by pid."""

    def __init__(self, images: ImageDir | Nowhere) -> None:
        self.images = images
        self.pages: dict[int, PagesFile] = {}
        self._files = 0

    @classmethod
    def make(cls, options: DumpOptions) -> Room:
        """Room in the directory that the options name. AmberError if it cannot be had; then nothing is left."""
        images = ImageDir.create(options.images_dir)
        if images.exists("INVENTORY"):
            raise UsageError(f"{images.path('inventory.img')}: there is a dump in this directory; choose another one")
        room = cls(images)
        try:
            if not (options.action_scripts or options.notify):  # who wants to be asked first is
                room.reserve_tree(options.pid)
        except BaseException:
            room.close()
            images.discard()
            raise
        return room

    def new_id(self) -> int:
        """Number of a pages file that nobody has."""
        self._files += 1
        return self._files

    def reserve_tree(self, root: int) -> None:
        """For every process that has none yet, what is probably needed."""
        visit(root, self._reserve_process)

    def _reserve_process(self, proc: ProcDir) -> None:
        status = proc.status()
        if status.vm_size is not None and proc.pid not in self.pages:
            own = status.vm_resident if status.vm_anonymous is None else status.vm_anonymous + (status.vm_swapped or 0)
            self.reserve(proc.pid, (own or 0) + SPARE)

    def reserve(self, pid: int, size: int) -> PagesFile:
        """A pages file of a process, with so many bytes."""
        number = self.new_id()
        pages = self.pages[pid] = PagesFile(number, self.images.path(f"pages-{number}.img"), size)
        return pages

    def settle(self) -> None:
        """Before the freeze: waits until all of it is there."""
        for pages in self.pages.values():
            pages.settle()

    def seal(self) -> None:
        """Before the tree is let go: some file systems say only when a file is closed what they could not write."""
        for pid in [pid for pid, pages in self.pages.items() if not pages.in_memory]:
            self.pages.pop(pid).close()

    def close(self) -> None:
        """Gives back what was not needed. Nobody waits for that any more."""
        errors = []
        while self.pages:
            try:
                self.pages.popitem()[1].close()
            except AmberError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def visit(root: int, look: Callable[[ProcDir], None]) -> None:
    """Looks at every process of a tree as it is just now; it may change until it is frozen."""
    queue = [root]
    while queue:
        pid = queue.pop()
        try:
            with ProcDir(pid) as proc:
                look(proc)
                queue += proc.children()
        except KernelError as error:
            # a thread that ends takes its list of children along; whoever is missed is prepared in the freeze
            if error.errno not in (ESRCH, ENOENT):
                raise
            if error.errno == ESRCH and pid == root:
                raise AmberError(f"pid {pid}: there is no such process") from error
