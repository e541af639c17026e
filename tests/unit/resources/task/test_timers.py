"""Interval timers and POSIX timers."""

from __future__ import annotations

import signal
import struct

import pytest

from engine.abi.signal import SI_KERNEL, SIGEV_THREAD_ID, SIGEVENT
from engine.abi.time import ITIMERSPEC, ITIMERVAL
from engine.errors import ImageError
from engine.images import pb
from engine.kernel.proc import Timer
from engine.resources.task import posix_timers, timers
from tests.unit.resources.task.trees import calls, data, siginfo, task, words

REST = pb.itimer_entry(isec=0, iusec=0, vsec=0, vusec=0)


def entry(isec: int, iusec: int, vsec: int, vusec: int) -> pb.task_timers_entry:
    real = pb.itimer_entry(isec=isec, iusec=iusec, vsec=vsec, vusec=vusec)
    return pb.task_timers_entry(real=real, virt=REST, prof=REST)


def real_timer(made: pb.task_timers_entry, pending: tuple[int, ...] = ()) -> dict[str, int] | None:
    """What the real timer is set to."""
    one = task()
    one.core.tc.timers.CopyFrom(made)
    for number in pending:
        one.core.tc.signals_s.signals.append(pb.siginfo_entry(siginfo=siginfo(number, SI_KERNEL)))
    found = calls(one, timers.restore)
    assert [words(op) for op in found] in ([], ["setitimer 0 & 0"])
    return ITIMERVAL.unpack(data(one.tree.plan, found[0], 1, ITIMERVAL.size)) if found else None


def test_a_running_timer_goes_on() -> None:
    assert list((real_timer(entry(1, 2, 3, 4)) or {}).values()) == [1, 2, 3, 4]


def test_a_timer_at_rest_stays_so() -> None:
    assert real_timer(entry(0, 0, 0, 0)) is None
    assert real_timer(entry(0, 0, 0, 0), pending=(signal.SIGALRM,)) is None


def test_a_periodic_timer_whose_signal_waits_rings_into_it() -> None:
    assert list((real_timer(entry(60, 0, 0, 0), pending=(signal.SIGALRM,)) or {}).values()) == [60, 0, 0, 1]


def posix(**more: int) -> pb.posix_timer_entry:
    fields = {"it_id": 3, "clock_id": 1, "si_signo": 34, "it_sigev_notify": 0, "sival_ptr": 0xDEAD, "overrun": 0,
              "isec": 5, "insec": 6, "vsec": 7, "vnsec": 8}  # fmt: skip
    return pb.posix_timer_entry(**(fields | more))


def test_a_posix_timer_has_its_id() -> None:
    one = task()
    one.core.tc.timers.CopyFrom(pb.task_timers_entry(real=REST, virt=REST, prof=REST, posix=[posix()]))
    found = calls(one, posix_timers.restore)
    assert [words(op) for op in found] == [
        "prctl 77 1 0 0 0", "timer_create 1 & &", "prctl 77 0 0 0 0", "timer_settime 3 0 & 0",
    ]  # fmt: skip
    assert data(one.tree.plan, found[1], 2, 4) == struct.pack("<I", 3)
    assert SIGEVENT.unpack(data(one.tree.plan, found[1], 1, SIGEVENT.size))["sigev_value"] == 0xDEAD
    assert list(ITIMERSPEC.unpack(data(one.tree.plan, found[3], 2, ITIMERSPEC.size)).values()) == [5, 6, 7, 8]


def test_a_posix_timer_at_rest_is_only_made() -> None:
    one = task()
    rest = posix(isec=0, insec=0, vsec=0, vnsec=0)
    one.core.tc.timers.CopyFrom(pb.task_timers_entry(real=REST, virt=REST, prof=REST, posix=[rest]))
    assert not any("timer_settime" in words(op) for op in calls(one, posix_timers.restore))


def test_the_clock_of_the_process_itself() -> None:
    one = task()
    cpu = posix(clock_id=(1 << 32) - 6)
    one.core.tc.timers.CopyFrom(pb.task_timers_entry(real=REST, virt=REST, prof=REST, posix=[cpu]))
    assert words(calls(one, posix_timers.restore)[1]) == "timer_create -6 & &"


def test_a_signalled_thread_must_be_there() -> None:
    one = task()
    lost = posix(it_sigev_notify=SIGEV_THREAD_ID, notify_thread_id=8)
    one.core.tc.timers.CopyFrom(pb.task_timers_entry(real=REST, virt=REST, prof=REST, posix=[lost]))
    with pytest.raises(ImageError, match="signals thread 8, which is not there"):
        posix_timers.restore(one)


def test_what_proc_says_of_a_timer() -> None:
    made = posix_timers._entry(
        Timer(3, 34, 0xDEAD, "signal", "tid", 99, -6), 2, {"isec": 1, "insec": 2, "vsec": 3, "vnsec": 4}
    )
    assert made.it_sigev_notify == SIGEV_THREAD_ID
    assert (made.notify_thread_id, made.clock_id, made.overrun) == (99, (1 << 32) - 6, 2)
