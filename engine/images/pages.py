"""Pages files: raw memory, one page after the other.

Room is reserved before the tree is frozen: the file gets its blocks and our mapping of it its page tables, so that
during the freeze there is nothing left to do but to copy, from the tasks' memory straight into the file's pages. That
takes its time, so it is done beside all else that comes before the freeze.
"""

from __future__ import annotations

import _thread
import errno
import os
import stat

from engine.errors import ImageError, KernelError
from engine.kernel import calls
from engine.kernel._native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.images import pb

PAGE = 4096
PE_PARENT, PE_LAZY, PE_PRESENT = 1, 2, 4  # flags of a pagemap_entry
TMPFS_MAGIC = 0x01021994
PIECE = 1 << 20  # bytes that a copying thread takes at a time
SERIAL = 1 << 20  # below this a second thread costs more than it brings
THREADS = 2


def check_pages(path: str, need: int, referrer: str) -> None:
    """ImageError unless `path` has the `need` bytes that the file `referrer` says it has. It is asked before anybody
    opens or maps it: beyond the end of a mapped file lies SIGBUS, and a named pipe is waited for."""
    if not need:  # a pages file without pages is not written
        return
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise ImageError(f"{path}: is missing; {referrer} refers to it") from None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a regular file")
    if status.st_size < need:
        raise ImageError(f"{path}: is truncated; {need} bytes are needed, it has {status.st_size}")


def length_of(entry: pb.pagemap_entry, file: str) -> int:
    """How many bytes of the pages file belong to an entry of a pagemap: 0 if its pages are in no image."""
    if entry.in_parent or entry.flags & PE_PARENT:
        raise ImageError(f"{file}: pages of a parent image are not supported yet")
    if entry.HasField("flags") and not entry.flags & PE_PRESENT:
        return 0
    return (entry.nr_pages or entry.compat_nr_pages) * PAGE


class Populating:
    """A mapping that is given its pages by threads of the extension, while Python goes on."""

    __slots__ = ("_done", "_error")

    def __init__(self, address: int, size: int) -> None:
        self._error = 0
        self._done = _thread.allocate_lock()
        self._done.acquire()
        try:
            _thread.start_new_thread(self._run, (address, size))
        except RuntimeError:  # the limit of threads: then not beside other work, but now
            self._run(address, size)

    def _run(self, address: int, size: int) -> None:
        try:
            self._error = lib.populate(address, size)
        finally:
            self._done.release()

    def wait(self) -> int:
        """0 or a negative errno."""
        with self._done:
            return self._error


class PagesFile:
    """One pages-N.img that is being written."""

    __slots__ = ("_address", "_fd", "_populating", "_reserved", "_used", "in_memory", "number", "path")

    def __init__(self, number: int, path: str, estimate: int) -> None:
        """`estimate` is the number of bytes that are probably needed; more is possible, but costs frozen time."""
        self.number, self.path = number, path
        self._address = self._reserved = self._used = 0
        self._populating: Populating | None = None
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise KernelError("open", error.errno or 0, path) from None
        try:
            self.in_memory = self._on_tmpfs()
            self.reserve(estimate)
        except BaseException:
            self._unmap()
            os.close(self._fd)
            raise

    def reserve(self, size: int) -> None:
        """Makes sure that the file has room for `size` bytes."""
        size = size + PAGE - 1 & -PAGE
        if size <= self._reserved:
            return
        self.settle()
        self._unmap()
        self._allocate(size, os.ftruncate if self.in_memory else _fallocate)
        address = lib.map_file(self._fd, 0, size, 1, 0)
        if address < 0:
            raise KernelError("mmap", -address, self.path)
        self._address, self._reserved = address, size
        if self.in_memory:  # only there do page tables made in advance pay: elsewhere they would dirty the whole file
            self._populating = Populating(address, size)

    def settle(self) -> None:
        """Waits until the room is there: before the freeze."""
        if self._populating is not None:
            populating, self._populating = self._populating, None
            error = populating.wait()
            if error == -errno.EINVAL:  # MADV_POPULATE_WRITE is unknown before Linux 5.14: no page tables, but room
                self._allocate(self._reserved, _fallocate)
            elif error:
                raise self._no_room(errno.ENOSPC if error == -errno.EFAULT else -error, self._reserved)

    def _allocate(self, size: int, way: Callable[[int, int], None]) -> None:
        try:
            way(self._fd, size)
        except OSError as error:
            raise self._no_room(error.errno or 0, size) from None

    def _no_room(self, error: int, size: int) -> KernelError:
        remedy = "free some space, or choose another --images-dir" if error == errno.ENOSPC else ""
        return KernelError("fallocate", error, f"{self.path}, {size} bytes", remedy)

    def copy(self, pid: int, runs: Sequence[tuple[int, int]], gently: Callable[[int], bool]) -> int:
        """Appends the memory of a stopped task: (start, end) in order. Where `gently`(start) says so it is read through
        /proc/PID/mem (engine/kernel/calls.py says why). Returns the number of pages."""
        total = sum(end - start for start, end in runs)
        self.reserve(self._used + total)
        self.settle()
        fast: list[tuple[int, int, int]] = []
        gentle: list[tuple[int, int, int]] = []
        at = self._address + self._used
        for start, end in runs:
            pieces = gentle if gently(start) else fast
            pieces += [(a, at + a - start, min(PIECE, end - a)) for a in range(start, end, PIECE)]
            at += end - start
        threads = THREADS if total > SERIAL else 1
        calls.copy_memory(pid, fast, threads=threads)
        if gentle:
            mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                calls.copy_memory(pid, gentle, mem, threads)
            finally:
                os.close(mem)
        self._used += total
        return total // PAGE

    def close(self) -> None:
        """Cuts the file to what was written; an empty one is removed."""
        if self._populating is not None:
            self._populating.wait()
        self._unmap()
        try:
            os.ftruncate(self._fd, self._used)
            if not self._used:
                os.unlink(self.path)
        except OSError as error:
            raise KernelError("ftruncate" if self._used else "unlink", error.errno or 0, self.path) from None
        finally:
            os.close(self._fd)

    def _unmap(self) -> None:
        if self._address:
            calls.syscall("munmap", self._address, self._reserved)
            self._address = 0

    def _on_tmpfs(self) -> bool:
        buffer = ffi.new("long[16]")
        calls.syscall("fstatfs", self._fd, int(ffi.cast("uint64_t", buffer)), subject=self.path)
        return bool(buffer[0] == TMPFS_MAGIC)


def _fallocate(fd: int, size: int) -> None:
    os.posix_fallocate(fd, 0, size)
