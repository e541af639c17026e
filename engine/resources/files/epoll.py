"""Epoll instances, and what they watch.

The kernel knows a target by its description and by the number that it had when it was added. Both must still belong
together in the first process that has the instance, because there the targets are added again, when all its numbers
are in place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.abi.epoll import EPOLL_CTL_ADD
from engine.abi.fcntl import F_SETFL, O_ACCMODE, O_CLOEXEC
from engine.abi.kcmp import KCMP_EPOLL_TFD
from engine.errors import ImageError
from engine.images import pb
from engine.kernel import calls
from engine.kernel._native import ffi
from engine.kernel.proc import epoll_targets
from engine.resources import stages
from engine.resources.files.descriptor import no_owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.frozen import FrozenTree
    from engine.kernel.proc import EpollTarget
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask, NewTree
    from engine.resources.files.descriptor import Descriptor

    Found = tuple[Descriptor, pb.file_entry]

TYPE = 7  # fd_types.EVENTPOLL
LANDS = True


def claims(file: Descriptor) -> bool:
    """The kernel's name for it."""
    return file.link == "anon_inode:[eventpoll]"


def collect(file: Descriptor, ident: int) -> pb.file_entry:
    """The instance; its targets come when all tables are known."""
    entry = pb.eventpoll_file_entry(id=ident, flags=file.flags, fown=no_owner())
    return pb.file_entry(type=TYPE, id=ident, epfd=entry)


def finish(tree: FrozenTree, found: Sequence[Found]) -> None:
    """Each target by the number under which it was added."""
    holders: dict[int, tuple[int, int]] = {}
    for (pid, number), ident in tree.registry.ids.items():
        holders[ident] = min(holders.get(ident, (pid, number)), (pid, number))
    for file, entry in found:
        pid, number = holders[entry.id]
        holder = tree.registry.tables[pid][number]
        before: dict[int, int] = {}
        for target in epoll_targets(file.info):
            nth = before[target.fd] = before.get(target.fd, -1) + 1
            _check_target(holder, target, nth, tree.registry.tables[pid].get(target.fd))
            entry.epfd.tfd.append(_entry(entry.id, target))


def _check_target(holder: Descriptor, target: EpollTarget, nth: int, now: Descriptor | None) -> None:
    """Whether the target is what its number leads to now. `nth` of those added under this number."""
    pid = holder.task.pid
    slot = ffi.new("uint32_t[3]", [holder.number, target.fd, nth])
    address = int(ffi.cast("uint64_t", slot))
    if now is None or calls.attempt("kcmp", pid, pid, KCMP_EPOLL_TFD, target.fd, address) != 0:
        reason = f"it watches a file that was fd {target.fd} when it was added and is not any more in pid {pid}"
        holder.refuse(reason, "remove closed files from the instance before they are closed")


def _entry(ident: int, target: EpollTarget) -> pb.eventpoll_tfd_entry:
    entry = pb.eventpoll_tfd_entry(id=ident, tfd=target.fd, events=target.events, data=target.data)
    if target.device is not None:
        entry.dev = os.major(target.device) << 20 | os.minor(target.device)
        entry.inode, entry.pos = target.ino or 0, target.pos or 0
    return entry


def open(tree: NewTree, file: pb.file_entry, step: Emitter) -> Slot:
    """An empty instance."""
    slot = step.call("epoll_create1", O_CLOEXEC)
    if status := file.epfd.flags & ~O_ACCMODE:
        step.call("fcntl", slot, F_SETFL, status)
    return slot


def settle(task: NewTask, file: pb.file_entry, number: int) -> None:
    """Adds the targets, in the first of the processes that have the instance."""
    first = min(t.pid for t in task.tree.opener.users(file.id))
    if task.pid != first or number != min(d.fd for d in task.descriptors if d.id == file.id):
        return
    numbers = {entry.fd for entry in task.descriptors}
    with task.step(stages.PLACE, f"fd {number} (epoll)") as step:
        for target in file.epfd.tfd:
            if target.tfd not in numbers:
                raise ImageError(f"files.img: epoll {file.id} watches fd {target.tfd}, which pid {task.pid} has not")
            event = step.pack("IQ", target.events, target.data)
            step.call("epoll_ctl", number, EPOLL_CTL_ADD, target.tfd, event)
