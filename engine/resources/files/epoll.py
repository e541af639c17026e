"""Epoll instances, and what they watch.

The kernel knows a target by its description and by the number that it had when it was added. Targets are added again
in the first process that has the instance, when all its numbers are in place; there the description must still have
a number, the old one or another.
"""

from __future__ import annotations

import os

from engine.abi.epoll import EPOLL_CTL_ADD, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP
from engine.abi.fcntl import F_DUPFD_CLOEXEC, F_SETFL, FD_CLOEXEC, O_ACCMODE, O_CLOEXEC
from engine.abi.kcmp import KCMP_EPOLL_TFD
from engine.errors import ImageError
from engine.images import pb
from engine.kernel import calls
from engine.kernel._native import ffi
from engine.kernel.proc import epoll_targets
from engine.resources import stages
from engine.resources.files.descriptor import no_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.frozen import FrozenTree
    from engine.kernel.proc import EpollTarget
    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot
    from engine.rebuild import NewTask, NewTree
    from engine.resources.files.descriptor import Descriptor

    Found = tuple[Descriptor, pb.file_entry]

ROWS = {"F27": "epoll instances: what they watch, also under numbers that were given away"}

TYPE = 7  # fd_types.EVENTPOLL
LANDS = True
PRIVATE = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE
"""What is no event. Nothing else is left of a target that has told its one event (fs/eventpoll.c, ep_send_events);
EPOLL_CTL_ADD and EPOLL_CTL_MOD always put EPOLLERR and EPOLLHUP to it."""


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
            now = _find(holder, target, nth, tree.registry.tables[pid])
            if now is None:
                reason = f"it watches a file that was fd {target.fd} when it was added, and that pid {pid} has closed"
                holder.refuse(reason, "take files out of the instance before they are closed")
            else:
                entry.epfd.tfd.append(_entry(entry.id, target, now))


def _find(holder: Descriptor, target: EpollTarget, nth: int, table: dict[int, Descriptor]) -> int | None:
    """A number that leads to the target now: its own, or another one. It is the `nth` that was added under its own."""
    pid = holder.task.pid
    slot = ffi.new("uint32_t[3]", [holder.number, target.fd, nth])
    address = int(ffi.cast("uint64_t", slot))
    others = [n for n, file in table.items() if n != target.fd and target.ino in (file.ino, None)]
    for number in [target.fd, *others] if target.fd in table else others:
        if calls.attempt("kcmp", pid, pid, KCMP_EPOLL_TFD, number, address) == 0:
            return number
    return None


def _entry(ident: int, target: EpollTarget, now: int) -> pb.eventpoll_tfd_entry:
    entry = pb.eventpoll_tfd_entry(id=ident, tfd=now, events=target.events, data=target.data)
    if now != target.fd:
        entry.added_as = target.fd
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
    table = {entry.fd: entry for entry in task.descriptors}
    with task.step(stages.PLACE, f"fd {number} (epoll)") as step:
        for target in file.epfd.tfd:
            if target.tfd not in table:
                raise ImageError(f"files.img: epoll {file.id} watches fd {target.tfd}, which pid {task.pid} has not")
            if target.events & EPOLLONESHOT and not target.events & ~PRIVATE:
                text = f"fd {target.tfd} has told its event (EPOLLONESHOT) and will tell of errors and hang-ups again"
                task.tree.options.log.warning(f"{task.leader}, fd {number} (epoll): {text}")
            if target.HasField("added_as"):
                _add_as(step, number, target, table.get(target.added_as))
            else:
                _add(step, number, target, target.tfd)


def _add(step: Emitter, number: int, target: pb.eventpoll_tfd_entry, key: int) -> None:
    step.call("epoll_ctl", number, EPOLL_CTL_ADD, key, step.pack("IQ", target.events, target.data))


def _add_as(step: Emitter, number: int, target: pb.eventpoll_tfd_entry, occupant: pb.fdinfo_entry | None) -> None:
    """The target gets its old number for a moment; what has it now steps aside."""
    key = target.added_as
    if occupant is None:
        step.call("dup3", target.tfd, key, O_CLOEXEC, expect=key)
        _add(step, number, target, key)
        step.call("close", key)
        return
    aside = step.call("fcntl", key, F_DUPFD_CLOEXEC, key)
    step.call("dup3", target.tfd, key, O_CLOEXEC, expect=key)
    _add(step, number, target, key)
    step.call("dup3", aside, key, O_CLOEXEC if occupant.flags & FD_CLOEXEC else 0, expect=key)
    step.call("close", aside)
