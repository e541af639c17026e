"""Every kernel resource that Amber knows. A new one is a module and a line here.

A module of TASK has `collect(task)` and/or `collect_thread(thread)` for the dump, and `restore(task)` and/or
`restore_thread(thread)` for the way back. A module of FILES has TYPE, `claims`, `collect` and `open`
(engine/resources/files/__init__.py).
"""

from __future__ import annotations

from engine.resources.files import epoll, eventfd, inotify, memfd, pipe, regular, terminal
from engine.resources.memory import contents, mappings, merging, mm, stand_in
from engine.resources.task import (
    affinity,
    barriers,
    core_dump,
    creds,
    futexes,
    ids,
    io_priority,
    limits,
    marks,
    names,
    oom,
    personality,
    place,
    posix_timers,
    sched,
    seccomp,
    signals,
    state,
    timer_slack,
    timers,
    tree,
    tsc,
)  # fmt: skip

TASK = (
    tree, ids, state, names, mappings, merging, mm, place, futexes, contents, stand_in, affinity, io_priority,
    timer_slack, tsc, sched, personality, barriers, timers, posix_timers, signals, limits, oom, core_dump, seccomp,
    creds, marks,
)  # fmt: skip
FILES = (regular, pipe, eventfd, epoll, inotify, terminal, memfd)
