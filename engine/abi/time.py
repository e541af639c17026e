"""Clocks and timers: linux/time.h, linux/time_types.h, linux/timerfd.h (timer_create(2))."""

from engine.abi.layout import Layout

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
CLOCK_PROCESS_CPUTIME_ID = 2
CLOCK_THREAD_CPUTIME_ID = 3
CLOCK_MONOTONIC_RAW = 4
CLOCK_REALTIME_COARSE = 5
CLOCK_MONOTONIC_COARSE = 6
CLOCK_BOOTTIME = 7
CLOCK_REALTIME_ALARM = 8
CLOCK_BOOTTIME_ALARM = 9
CLOCK_TAI = 11
ITIMER_REAL = 0
ITIMER_VIRTUAL = 1
ITIMER_PROF = 2
TIMER_ABSTIME = 1

TFD_TIMER_ABSTIME = 0x1
TFD_TIMER_CANCEL_ON_SET = 0x2
TFD_CLOEXEC = 0x80000
TFD_NONBLOCK = 0x800
TFD_IOC_SET_TICKS = 0x40085400

TIMEVAL = Layout("struct timeval", "tv_sec:q tv_usec:q")
TIMESPEC = Layout("struct __kernel_timespec", "tv_sec:q tv_nsec:q")
ITIMERVAL = Layout(
    "struct itimerval", "it_interval.tv_sec:q it_interval.tv_usec:q it_value.tv_sec:q it_value.tv_usec:q"
)
ITIMERSPEC = Layout(
    "struct __kernel_itimerspec",
    "it_interval.tv_sec:q it_interval.tv_nsec:q it_value.tv_sec:q it_value.tv_nsec:q",
)
