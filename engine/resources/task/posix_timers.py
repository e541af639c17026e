"""POSIX timers (timer_create(2)), with their ids: those of the C library are numbers that programs keep.

/proc/PID/timers tells what each was made with, the task itself how long it still has. An id is asked for with
PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15); on older kernels a tree with timers is refused when it is restored.
"""

from __future__ import annotations

import functools

from engine.abi.prctl import (
    PR_TIMER_CREATE_RESTORE_IDS,
    PR_TIMER_CREATE_RESTORE_IDS_OFF,
    PR_TIMER_CREATE_RESTORE_IDS_ON,
)  # fmt: skip
from engine.abi.signal import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SIGEVENT
from engine.abi.time import ITIMERSPEC
from engine.errors import ImageError
from engine.images import pb
from engine.resources import stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.frozen import FrozenTask
    from engine.kernel.proc import Timer
    from engine.plan.builder import Emitter
    from engine.plan.graph import Step
    from engine.plan.ops import Ref, Slot
    from engine.rebuild import NewTask

    Asked = tuple[Timer, Ref, Slot]

ROWS = {"P30": "POSIX timers: id, clock, times, signal"}

NOTIFY = {"signal": SIGEV_SIGNAL, "none": SIGEV_NONE, "thread": SIGEV_THREAD}
PER_THREAD = 4  # in the number of a processor-time clock: one thread's, not the process' (posix-timers_types.h)
SELF = -1  # the pid in such a number is stored inverted: 0, "who asks", is all ones
# posix_timer_entry's field -> field of struct itimerspec
_FIELDS = {"isec": "it_interval.tv_sec", "insec": "it_interval.tv_nsec",
           "vsec": "it_value.tv_sec", "vnsec": "it_value.tv_nsec"}  # fmt: skip
REMEDY = "the ids of POSIX timers can be restored since Linux 6.15"


def ask_of(task: FrozenTask) -> Callable[[Emitter], list[Asked]] | None:
    """Most processes have no timers. Those that do are asked for the time left and the expirations missed of each."""
    timers = task.proc.timers()
    for timer in timers:
        _refuse_odd_clock(task, timer)
    return functools.partial(_ask, timers) if timers else None


def _ask(timers: list[Timer], ask: Emitter) -> list[Asked]:
    found = []
    for timer in timers:
        place = ask.buffer(ITIMERSPEC.size)
        ask.call("timer_gettime", timer.id, place)
        found.append((timer, place, ask.call("timer_getoverrun", timer.id)))
    return found


def hear(task: FrozenTask, asked: list[Asked]) -> None:
    """All timers, in the kernel's order."""
    for timer, place, overrun in asked:
        got = ITIMERSPEC.unpack(task.leader.read(place, ITIMERSPEC.size))
        times = {field: got[source] for field, source in _FIELDS.items()}
        task.core.tc.timers.posix.append(_entry(timer, task.leader.answer(overrun), times))


def _refuse_odd_clock(task: FrozenTask, timer: Timer) -> None:
    """A clock of another process' or of one of several threads' processor time is not ours to find again."""
    if timer.clock >= 0:
        return
    if timer.clock >> 3 != SELF or (timer.clock & PER_THREAD and len(task.threads) > 1):
        task.refuse(f"POSIX timer {timer.id}", f"its clock {timer.clock} is not supported", "delete the timer")


def _entry(timer: Timer, overrun: int, times: dict[str, int]) -> pb.posix_timer_entry:
    notify = NOTIFY[timer.notify] | (SIGEV_THREAD_ID if timer.target == "tid" else 0)
    entry = pb.posix_timer_entry(
        it_id=timer.id, clock_id=timer.clock & 0xFFFFFFFF, si_signo=timer.signal, it_sigev_notify=notify,
        sival_ptr=timer.value, overrun=overrun, **times,
    )  # fmt: skip
    if notify & SIGEV_THREAD_ID:
        entry.notify_thread_id = timer.target_id
    return entry


def restore(task: NewTask) -> None:
    """Made when the threads are there that they signal, set when everybody is ready."""
    entries = task.core.tc.timers.posix
    if not entries:
        return
    with task.step(stages.PERSONAL, "POSIX timers") as step:
        step.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0, remedy=REMEDY)
        for entry in sorted(entries, key=lambda entry: entry.it_id):  # as they were made: so they are listed again
            step.why = f"{task.leader}, POSIX timer {entry.it_id}"
            _create(task, step, entry)
        step.call("prctl", PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_OFF, 0, 0, 0)
    with task.step(stages.ARM, "POSIX timers", [task.tree.everyone]) as step:
        for entry in entries:
            if entry.vsec or entry.vnsec:
                step.why = f"{task.leader}, POSIX timer {entry.it_id}"
                _set(step, entry)


def _create(task: NewTask, step: Step, entry: pb.posix_timer_entry) -> None:
    if entry.it_sigev_notify & SIGEV_THREAD_ID and entry.notify_thread_id not in {t.tid for t in task.threads}:
        reason = f"a POSIX timer signals thread {entry.notify_thread_id}, which is not there"
        raise ImageError(f"core-{task.pid}.img: {reason}")
    event = SIGEVENT.pack(
        sigev_value=entry.sival_ptr, sigev_signo=entry.si_signo, sigev_notify=entry.it_sigev_notify,
        sigev_notify_thread_id=entry.notify_thread_id,
    )  # fmt: skip
    clock = entry.clock_id - (1 << 32) if entry.clock_id >> 31 else entry.clock_id
    step.call("timer_create", clock, step.data(event), step.pack("I", entry.it_id), remedy=REMEDY)


def _set(step: Step, entry: pb.posix_timer_entry) -> None:
    times = {source: getattr(entry, field) for field, source in _FIELDS.items()}
    step.call("timer_settime", entry.it_id, 0, step.data(ITIMERSPEC.pack(**times)), 0)
