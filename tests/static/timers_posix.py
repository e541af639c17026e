# SPDX-License-Identifier: Apache-2.0
"""POSIX timers far from expiry: ids with a gap, clocks, signals, values, the thread one signals, the time left."""

import ctypes
import os
import threading

import zdtm_lib as test

TIMER_CREATE, TIMER_SETTIME, TIMER_GETTIME, TIMER_DELETE = 222, 223, 224, 226  # x86-64
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID = 0, 1, 4
REALTIME, MONOTONIC, PROCESS, BOOTTIME = 0, 1, 2, 7
LONG, SLACK = 3600, 600  # seconds


class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int),
                ("thread", ctypes.c_int), ("rest", ctypes.c_char * 44)]  # fmt: skip


class Times(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("every", "every_ns", "left", "left_ns")]


libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> None:
    test.check(libc.syscall(number, *arguments) == 0, f"system call {number}: {os.strerror(ctypes.get_errno())}")


def create(clock: int, notify: int, number: int, thread: int) -> int:
    timer = ctypes.c_int(-1)
    event = Event(0xDEAD0000 + number, 34 + number, notify, thread if notify == SIGEV_THREAD_ID else 0, b"")
    call(TIMER_CREATE, clock, ctypes.byref(event), ctypes.byref(timer))
    return timer.value


def look(timers: list[int]) -> list[object]:
    """What the kernel says of all, with the time left in steps of SLACK."""
    with open("/proc/self/timers") as file:
        found: list[object] = [file.read()]
    for timer in timers:
        times = Times()
        call(TIMER_GETTIME, timer, ctypes.byref(times))
        found.append((times.every, times.every_ns, bool(times.left), (times.left + SLACK) // LONG))
    return found


test.init()
end = threading.Event()
other = threading.Thread(target=end.wait)
other.start()
kinds = [(REALTIME, SIGEV_SIGNAL), (MONOTONIC, SIGEV_SIGNAL), (BOOTTIME, SIGEV_NONE), (PROCESS, SIGEV_SIGNAL),
         (MONOTONIC, SIGEV_THREAD_ID), (MONOTONIC, SIGEV_SIGNAL)]  # fmt: skip
timers = [create(clock, notify, i, other.native_id or 0) for i, (clock, notify) in enumerate(kinds)]
call(TIMER_DELETE, timers.pop(2))
for i, timer in enumerate(timers[:-1]):  # the last one stays at rest
    call(TIMER_SETTIME, timer, 0, ctypes.byref(Times(5 * i, 7, LONG * (i + 1), 0)), None)
before = look(timers)

test.ready()
test.wait()

after = look(timers)
test.check(before == after, f"{before} became {after}")
test.check(create(MONOTONIC, SIGEV_SIGNAL, 9, 0) not in timers, "a new timer has an old one's id")
end.set()
other.join()
test.passed()
