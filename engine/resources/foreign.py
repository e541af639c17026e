"""What images of other engines may hold and Amber does not restore: refused by name, never left out in silence.

Amber's own dumps refuse the same things, so none of this is in its images.
"""

from __future__ import annotations

from engine.abi.mman import MAP_HUGETLB
from engine.errors import Obstacle, Refused
from engine.images import pb
from engine.resources.memory.mappings import KNOWN
from engine.resources.memory.shared import ANONYMOUS
from engine.resources.task.ids import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.rebuild import NewTask, NewThread, NewTree

REFUSED = {"P53": "AppArmor policies and profiles in images of criu", "P54": "SELinux labels in images of criu"}

IMAGES = {"FILE_LOCKS": "file locks", "APPARMOR": "AppArmor policies"}
STATUS = {256: "shared memory without a file", 1 << 10: "shared memory of System V", 1 << 11: "packet sockets",
          1 << 13: "rings of io_submit(2)", 1 << 15: "a shadow stack"}  # fmt: skip
FILES = {1: "reg", 2: "pipe", 6: "efd", 7: "epfd", 11: "tty", 18: "memfd"}  # fd_types -> member of file_entry


def check(tree: NewTree) -> None:
    """Raises Refused with everything that is in the way."""
    obstacles = list(_of_images(tree)) + list(_of_files(tree)) + list(_of_sharing(tree))
    for task in tree.alive:
        obstacles += _of_mappings(task)
        obstacles += [Obstacle(str(thread), reason) for thread in task.threads for reason in _of_thread(thread)]
    if obstacles:
        raise Refused(obstacles)


def _of_images(tree: NewTree) -> Iterator[Obstacle]:
    for kind, what in IMAGES.items():
        if tree.images.exists(kind):
            yield Obstacle("the tree", f"it has {what}, which are not supported")
    for inode in tree.images.read("MEMFD_INODE"):
        if inode.name != ANONYMOUS or inode.HasField("hugetlb_flag"):
            yield Obstacle(f"memfd {inode.name}", "files of memfd_create(2) are not supported")


def _of_files(tree: NewTree) -> Iterator[Obstacle]:
    for file in tree.opener.files.values():
        member = FILES.get(file.type)
        if member and (owner := getattr(file, member).fown).pid:
            reason = f"it signals pid {owner.pid} when it is ready, which is not supported"
            yield Obstacle(f"file id {file.id}", reason)


def _of_sharing(tree: NewTree) -> Iterator[Obstacle]:
    """Processes with the same number of a kind were made with CLONE_FILES or such; each would get one of its own."""
    for field, (_, what) in KINDS.items():
        owners: dict[int, int] = {}
        for task in tree.alive:
            number = getattr(task.ids, field)
            if number and (owner := owners.setdefault(number, task.pid)) != task.pid:
                yield Obstacle(str(task.leader), f"it shares its {what} with pid {owner}, which is not supported")


def _of_mappings(task: NewTask) -> Iterator[Obstacle]:
    for vma in task.mm.vmas:
        if vma.status & ~KNOWN or vma.flags & MAP_HUGETLB:
            names = [text for bit, text in STATUS.items() if vma.status & bit]
            what = names[0] if names else "huge pages" if vma.flags & MAP_HUGETLB else f"status {vma.status:#x}"
            yield Obstacle(f"{task.leader} mapping {vma.start:x}-{vma.end:x}", f"{what} is not supported")


def _of_thread(thread: NewThread) -> Iterator[str]:
    core, info = thread.core.thread_core, thread.core.thread_info
    if core.creds.lsm_profile not in ("", "unconfined"):
        yield f"its security profile {core.creds.lsm_profile!r} is not supported"
    if info.gpregs.mode != pb.user_x86_regs_mode.NATIVE:
        yield "it is a 32-bit task, which is not supported"
    if info.fpregs.xsave.cet.cet:
        yield "it has a shadow stack, which is not supported"
