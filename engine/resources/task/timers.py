"""Interval timers (setitimer(2)): real, virtual, profiling. The time spent as an image does not count.

A periodic real timer whose signal still waits is at rest until the signal is taken, and starts again then
(kernel/signal.c, dequeue_signal). It is brought to that state by letting it ring once more: SIGALRM cannot wait twice.
"""

from __future__ import annotations

from engine.abi.signal import SIGALRM
from engine.abi.time import ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, ITIMERVAL
from engine.images import pb
from engine.resources import stages
from engine.resources.task import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTask
    from engine.plan.builder import Emitter
    from engine.plan.ops import Ref
    from engine.rebuild import NewTask

ROWS = {"P29": "interval timers: real, virtual and profiling"}

_KINDS = {"real": ITIMER_REAL, "virt": ITIMER_VIRTUAL, "prof": ITIMER_PROF}
# itimer_entry's field -> field of struct itimerval
_FIELDS = {"isec": "it_interval.tv_sec", "iusec": "it_interval.tv_usec",
           "vsec": "it_value.tv_sec", "vusec": "it_value.tv_usec"}  # fmt: skip
SOON = 1  # microsecond


def ask(ask: Emitter) -> dict[str, Ref]:
    """Only the task itself can."""
    places = {name: ask.buffer(ITIMERVAL.size) for name in _KINDS}
    for name, kind in _KINDS.items():
        ask.call("getitimer", kind, places[name])
    return places


def hear(task: FrozenTask, places: dict[str, Ref]) -> None:
    """The times that are left."""
    timers = task.core.tc.timers
    for name, place in places.items():
        got = ITIMERVAL.unpack(task.leader.read(place, ITIMERVAL.size))
        values = {field: got[source] for field, source in _FIELDS.items()}
        getattr(timers, name).CopyFrom(pb.itimer_entry(**values))


def restore(task: NewTask) -> None:
    """At the very end, so that none rings while the task is not itself."""
    tc = task.core.tc
    if not tc.HasField("timers"):
        return
    waiting = {number for number, _ in signals.queued(tc.signals_s, f"core-{task.pid}.img")}
    with task.step(stages.ARM, "interval timers", [task.tree.everyone]) as step:
        for name, kind in _KINDS.items():
            entry = getattr(tc.timers, name)
            values = {source: getattr(entry, field) for field, source in _FIELDS.items()}
            if kind == ITIMER_REAL and SIGALRM in waiting and not (entry.vsec or entry.vusec):
                values["it_value.tv_usec"] = SOON if entry.isec or entry.iusec else 0
            if entry.vsec or values["it_value.tv_usec"]:
                step.call("setitimer", kind, step.data(ITIMERVAL.pack(**values)), 0)
