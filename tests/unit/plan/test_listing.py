"""The listing: what a reviewer sees of each kind of op."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engine.abi import fcntl, mman, prctl, sched
from engine.plan.builder import Plan
from engine.plan.decode import decode
from engine.plan.graph import Graph
from engine.plan.listing import listing
from engine.plan.names import name

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.plan.builder import Emitter


def lines(fill: Callable[[Emitter], object]) -> list[str]:
    """The listing of one actor's ops, without heads and comments, one blank where there are many."""
    plan = Plan()
    fill(plan.actor("pid 7").emit("pid 7, fd 3"))
    return [" ".join(text.split()) for text in listing(plan) if text[:3] not in ("===", "# p")]


def test_the_example_of_the_design() -> None:
    plan = Plan()
    emit = plan.actor("pid 12").emit("eventfd 7 -> fd 77")
    fd = emit.call("eventfd2", 5, os.O_NONBLOCK)
    emit.call("dup3", fd, 77, 0, expect=77)
    emit.call("close", fd, expect=0)
    assert list(listing(plan)) == [
        "=== pid 12",
        "# eventfd 7 -> fd 77",
        "r0 = eventfd2(count=5, O_NONBLOCK)",
        "r1 = dup3(r0, 77, 0)                                         == 77",
        "r2 = close(r0)                                               == 0",
    ]


RDONLY = mman.MAP_PRIVATE | mman.MAP_FIXED_NOREPLACE
CASES: list[tuple[Callable[[Emitter], object], str]] = [
    (lambda e: e.call("openat", -100, e.text("/etc/passwd"), os.O_RDWR | os.O_CLOEXEC, 0o644),
     'r0 = openat(AT_FDCWD, "/etc/passwd", O_RDWR|O_CLOEXEC, 0o644)'),
    (lambda e: e.call("openat", 5, e.text("x"), os.O_PATH | os.O_NOFOLLOW, 0),
     'r0 = openat(5, "x", O_NOFOLLOW|O_PATH, 0)'),
    (lambda e: e.call("openat", 5, e.text("x"), os.O_WRONLY | os.O_SYNC, 0), 'r0 = openat(5, "x", O_WRONLY|O_SYNC, 0)'),
    (lambda e: e.call("mmap", 0x4000, 10, 5, RDONLY, -1, 0, expect=0x4000),
     "r0 = mmap(0x4000, length=10, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED_NOREPLACE, -1, offset=0) == 0x4000"),
    (lambda e: e.call("mprotect", 0x400000, 4096, 0), "r0 = mprotect(0x400000, length=0x1000, 0)"),
    (lambda e: e.call("madvise", 0x400000, 4096, 23), "r0 = madvise(0x400000, length=0x1000, MADV_POPULATE_WRITE)"),
    (lambda e: e.call("fcntl", 3, fcntl.F_DUPFD_CLOEXEC, 10), "r0 = fcntl(3, F_DUPFD_CLOEXEC, lowest=10)"),
    (lambda e: e.call("fcntl", 3, fcntl.F_SETFL, os.O_APPEND), "r0 = fcntl(3, F_SETFL, O_APPEND)"),
    (lambda e: e.call("lseek", 3, 5, 0, may=(29, 22)), "r0 = lseek(3, offset=5, SEEK_SET) may fail: ESPIPE, EINVAL"),
    (lambda e: e.call("prctl", prctl.PR_SET_PDEATHSIG, 9), "r0 = prctl(PR_SET_PDEATHSIG, SIGKILL)"),
    (lambda e: e.call("prctl", prctl.PR_SET_NAME, e.text("bash")), 'r0 = prctl(PR_SET_NAME, "bash")'),
    (lambda e: e.call("rt_sigaction", 34, e.buffer(32), 0, 8),
     "r0 = rt_sigaction(SIGRTMIN+2, &5{32 bytes}, 0, size=8)"),
    (lambda e: e.call("rt_sigprocmask", 1, e.data(b"\1\2\0\0\0\0\0\0"), 0, 8),
     "r0 = rt_sigprocmask(SIG_UNBLOCK, &5{0102000000000000}, 0, size=8)"),
    (lambda e: e.call("umask", 0o22), "r0 = umask(0o22)"),
    (lambda e: e.call("getitimer", 1, e.buffer(32)), "r0 = getitimer(ITIMER_VIRTUAL, &5)"),
    (lambda e: e.call("preadv", 3, e.pack("8Q", *[0x1000, 16] * 4), 4, 0, 0),
     "r0 = preadv(3, [0x1000+0x10, 0x1000+0x10, 0x1000+0x10, … 1 more], count=4, offset=0, high=0)"),
    (lambda e: e.call("writev", 3, e.pack("QQ", e.data(b"hello"), 5), 1), "r0 = writev(3, [5 bytes], count=1)"),
    (lambda e: e.full_io("pread64", 3, 0x7000, 4096, 8192),
     "r0 = full pread64(3, 0x7000, length=0x1000, offset=0x2000)"),
    (lambda e: e.attempt("getpid"), "r0 = getpid() may fail"),
    (lambda e: e.call("prctl", 0x7777, 1), "r0 = prctl(0x7777, 1)"),
    (lambda e: e.load(0x7000, 4), "r0 = load32(0x7000)"),
    (lambda e: e.store(e.buffer(8) + 4, 5, 4), "store32(&5{4 bytes}, 5)"),
    (lambda e: e.halt(), "halt"),
]  # fmt: skip


@pytest.mark.parametrize(("fill", "text"), CASES)
def test_ops(fill: Callable[[Emitter], object], text: str) -> None:
    assert lines(fill) == [text]


def test_a_repetition() -> None:
    def fill(emit: Emitter) -> None:
        slot = emit.attempt("eventfd2", 0, 0)
        emit.repeat(0, slot, 5, 20)

    assert lines(fill)[1] == "repeat the last 1 ops until r0 == 5, at most 20 times"


def test_a_birth_and_meetings_are_named() -> None:
    plan = Plan()
    graph = Graph(plan)
    parent, child = plan.actor("pid 1"), plan.actor("pid 2")
    done = graph.step(child, "pid 2, process group", 1)
    graph.step(parent, "pid 1, birth of pid 2", 0).spawn(child, sched.CLONE_VM | sched.CLONE_PTRACE, 2, 17)
    graph.step(parent, "pid 1, credentials", 2, [done])
    everybody = graph.milestone("everybody")
    for actor in (parent, child):
        graph.step(actor, f"{actor.name}, ready", 3).reaches.append(everybody)
    graph.step(parent, "pid 1, timers", 4, [everybody])
    graph.order()
    text = list(listing(plan))
    assert [" ".join(line.split()) for line in text] == [
        "=== pid 1",
        "# pid 1, birth of pid 2",
        "r0 = clone3(CLONE_VM|CLONE_PTRACE, SIGCHLD) -> pid 2 == 2",
        "# pid 1, credentials",
        'wait for "pid 2, process group"',
        "# pid 1, ready",
        'post "pid 1, ready"',
        "# pid 1, timers",
        'wait for "pid 1, ready" and 1 more steps (2 posts)',
        "=== pid 2",
        "# pid 2, process group",
        'post "pid 2, process group"',
        "# pid 2, ready",
        'post "pid 2, ready"',
    ]


def test_what_was_decoded_reads_the_same_but_for_its_data() -> None:
    plan = Plan()
    emit = plan.actor("actor 0").emit("")
    fd = emit.call("openat", -100, emit.text("/etc/passwd"), 0, 0)
    emit.call("lseek", fd, 7, 1, expect=7)
    emit.halt()
    assert list(listing(decode(plan.encode(0x10000000), 0x10000000)))[-2:] == list(listing(plan))[-2:]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [("map", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"), ("map", 0x40000022, "MAP_PRIVATE|MAP_ANONYMOUS|0x40000000"),
     ("open", 0, "O_RDONLY"), ("signal", 77, "77"), ("signal", 9, "SIGKILL"), ("whence", 9, "9"), ("number", 5, None)],
)  # fmt: skip
def test_names(kind: str, value: int, text: str | None) -> None:
    assert name(kind, value) == text
