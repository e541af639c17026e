"""Ghosts: files that are open, mapped or stood in, but have no name any more.

A ghost image holds everything that the name would have led to; all descriptions of one inode share it. At restore the
engine makes the file under its old name, takes the name away at once, and hands an O_PATH descriptor to the first
task; from there every description, mapping or directory is opened through /proc/self/fd. What a kill of the engine
at the very moment between making and removing leaves is an empty file.
"""

from __future__ import annotations

import os
import stat as st

from engine.errors import ImageError, KernelError
from engine.images import pb
from engine.resources.files import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.frozen import FrozenTree
    from engine.images.directory import ImageDir
    from engine.resources.files.descriptor import Descriptor

ROWS = {
    "F10": "files made with O_TMPFILE, without the flag",
    "F11": "deleted files: contents, owner, mode, times, up to --ghost-limit",
    "F12": "holes in deleted files",
    "F13": "one deleted file in several places",
    "F16": "deleted directories",
    "F17": "deleted files in deleted directories",
}

GHOST = 1  # remap_type.GHOST
OLD_MARK = 1 << 31  # in remap_id: how very old images say that it is a ghost's
KINDS = (st.S_IFREG, st.S_IFDIR, st.S_IFLNK)
BLOCK = 512  # bytes, of st_blocks (stat(2))
PIECE = 1 << 20  # bytes of one chunk at most


class Ghosts:
    """All ghosts of a frozen tree."""

    def __init__(self) -> None:
        self.by_inode: dict[tuple[int, int], tuple[int, Descriptor]] = {}  # (dev, ino) -> ghost id, where it is open
        self.remaps: list[pb.remap_file_path_entry] = []

    def ident(self, file: Descriptor) -> int:
        """The id of the ghost, counted from 1."""
        return self.by_inode.setdefault((file.dev, file.ino), (len(self.by_inode) + 1, file))[0]


def collect(file: Descriptor, ident: int) -> None:
    """Notes that the file `ident` is a ghost."""
    limit, taken = file.task.tree.options.ghost_limit, file.blocks * BLOCK
    if st.S_IFMT(file.mode) not in KINDS:
        file.refuse("deleted files of this kind are not supported", "close it before the dump")
    elif taken > limit:
        reason = f"it was deleted and takes {taken} bytes, more than the limit of {limit} for such files"
        file.refuse(reason, "raise --ghost-limit, or close it")
    remap_id = file.task.tree.registry.ghosts.ident(file)
    remap = pb.remap_file_path_entry(orig_id=ident, remap_id=remap_id, remap_type=GHOST)
    file.task.tree.registry.ghosts.remaps.append(remap)


def write(tree: FrozenTree, ghosts: Ghosts) -> None:
    """remap-fpath.img, and one image for each ghost."""
    tree.images.post("REMAP_FPATH", None, ghosts.remaps)
    for ident, file in ghosts.by_inode.values():
        tree.images.post("GHOST_FILE", ident, list(_messages(file)))


def _messages(file: Descriptor) -> Iterator[object]:
    fd = file.open(os.O_RDONLY | os.O_NOATIME if st.S_ISREG(file.mode) else os.O_PATH)
    try:
        facts = os.fstat(fd)
        entry = pb.ghost_file_entry(
            uid=file.uid, gid=file.gid, mode=file.mode, dev=os.major(file.dev) << 20 | os.minor(file.dev),
            ino=file.ino, size=file.size, atim=_time(facts.st_atime_ns), mtim=_time(facts.st_mtime_ns),
            atime_ns=facts.st_atime_ns, mtime_ns=facts.st_mtime_ns,
        )  # fmt: skip
        if st.S_ISLNK(file.mode):
            entry.symlnk_target = os.readlink("", dir_fd=fd)
        if not st.S_ISREG(file.mode):
            yield entry
            return
        pieces = list(_pieces(fd, file.size))
        if sum(length for _, length in pieces) == file.size <= PIECE:
            yield entry, os.pread(fd, file.size, 0)
            return
        entry.chunks = True
        yield entry
        for offset, length in pieces:
            yield pb.ghost_chunk_entry(len=length, off=offset), os.pread(fd, length, offset)
    finally:
        os.close(fd)


def _time(nanoseconds: int) -> pb.timeval:
    return pb.timeval(tv_sec=nanoseconds // 10**9, tv_usec=nanoseconds % 10**9 // 1000)


def _pieces(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of what is no hole."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield from ((at, min(PIECE, end - at)) for at in range(start, end, PIECE))


class Ghost:
    """One ghost of a new tree."""

    def __init__(self, images: ImageDir, ident: int) -> None:
        """Reads the image. ImageError when it is missing, or holds what no ghost can be."""
        self.ident = ident
        entries = images.read_with_payload("GHOST_FILE", ident, required=True)
        self.head: pb.ghost_file_entry = entries[0].message
        self.unnamed: int | None = None  # flags of the description that O_TMPFILE made, if it is still open
        self._contents = entries[0].payload
        self._chunks = entries[1:]
        if st.S_IFMT(self.head.mode) not in KINDS:
            raise ImageError(f"ghost-file-{ident:x}.img: restoring {st.filemode(self.head.mode)} is not supported")
        if any(chunk.message.off + chunk.message.len > self.head.size for chunk in self._chunks):
            raise ImageError(f"ghost-file-{ident:x}.img: a chunk lies behind the end of the file")

    def make(self, name: str) -> int:
        """A descriptor of the file, whose name is gone again: O_PATH, or the description that O_TMPFILE made."""
        directories: list[str] = []
        try:
            _make_directories(os.path.dirname(name), directories)
            fd = self._create(name)
            if self.unnamed is not None or st.S_ISLNK(self.head.mode):
                return fd
            try:
                return os.open(f"/proc/self/fd/{fd}", os.O_PATH | os.O_CLOEXEC)
            finally:
                os.close(fd)
        except OSError as error:
            remedy = "the directory must exist and be writable"
            subject = f"deleted file {names.shown(name)}"
            raise KernelError("making it anew", error.errno or 0, subject, remedy) from None
        except (ValueError, OverflowError) as error:  # a time or target that no file has
            raise ImageError(f"ghost-file-{self.ident:x}.img: {error}") from None
        finally:
            for directory in reversed(directories):
                os.rmdir(directory)

    def _create(self, name: str) -> int:
        head = self.head
        if os.path.lexists(name):  # somebody else's now
            name = os.path.join(os.path.dirname(name), f".amber-ghost-{os.getpid()}-{self.ident}")
        if st.S_ISLNK(head.mode):
            os.symlink(head.symlnk_target, name)
            fd = _take(name, os.O_PATH | os.O_NOFOLLOW, os.unlink)
            os.chown(f"/proc/self/fd/{fd}", head.uid, head.gid)
            return fd
        if st.S_ISDIR(head.mode):
            os.mkdir(name, 0o700)
            fd = _take(name, os.O_RDONLY | os.O_DIRECTORY, os.rmdir)
        else:
            if self.unnamed is not None:
                fd = os.open(os.path.dirname(name), self.unnamed | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            else:
                fd = _take(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, os.unlink)
            self._fill(fd)
        os.fchown(fd, head.uid, head.gid)
        os.fchmod(fd, st.S_IMODE(head.mode))
        if head.HasField("atim") and head.HasField("mtim"):
            times = (head.atime_ns or _nanoseconds(head.atim), head.mtime_ns or _nanoseconds(head.mtim))
            os.utime(fd, ns=times)
        return fd

    def _fill(self, fd: int) -> None:
        pieces = [(chunk.message.off, chunk.payload) for chunk in self._chunks] or [(0, self._contents)]
        for offset, contents in pieces:
            view = memoryview(contents)
            while view:
                done = os.pwrite(fd, view, offset)
                offset, view = offset + done, view[done:]
        if self.head.chunks:
            os.ftruncate(fd, self.head.size)


def read(images: ImageDir) -> dict[int, Ghost]:
    """The ghosts of a new tree by the ids of the files that they are."""
    ghosts: dict[int, Ghost] = {}
    found = {}
    for remap in images.read("REMAP_FPATH"):
        if remap.HasField("remap_type") and remap.remap_type != GHOST:
            reason = "hard links that a dump left, and files of dead processes, are not supported"
            raise ImageError(f"remap-fpath.img: file id {remap.orig_id}: {reason}")
        ident = remap.remap_id & ~OLD_MARK
        ghosts[ident] = found[remap.orig_id] = ghosts.get(ident) or Ghost(images, ident)
    return found


def _take(name: str, flags: int, remove: Callable[[str], None]) -> int:
    """Opens what a name leads to, and takes the name away."""
    fd = os.open(name, flags | os.O_CLOEXEC, 0o600)
    try:
        remove(name)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make_directories(path: str, made: list[str]) -> None:
    """The file's directory and those above it, if they are gone too; they go again when it is made."""
    if path and not os.path.isdir(path):
        _make_directories(os.path.dirname(path), made)
        os.mkdir(path, 0o700)
        made.append(path)


def _nanoseconds(time: pb.timeval) -> int:
    return time.tv_sec * 10**9 + time.tv_usec * 1000
