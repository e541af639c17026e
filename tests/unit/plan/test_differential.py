"""The blob in a real task, steps from outside and the model kernel run the same plans, and must leave the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.abi import fcntl, mman
from engine.abi.sched import CLONE_FILES, CLONE_FS, CLONE_PTRACE, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM
from engine.plan.builder import Plan
from engine.plan.listing import brief, line
from tests.unit.plan.executors import Outcome, by_blob, by_model, by_steps, free_pids

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="clone3 with set_tid needs CAP_CHECKPOINT_RESTORE")

PAGE = 4096
ROOM = 0x20000000  # pages that programs map, unmap and protect
CONTENT = bytes(range(256)) * 5
THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_PTRACE
SMALL = st.integers(0, 12)
NUMBERS = st.one_of(SMALL, st.sampled_from([-1, 100, 1023, 1024, 1 << 31, (1 << 64) - 1]))
FIXED = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE
O_ACCESS = st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A regular file for programs to read and write."""
    return str(tmp_path_factory.mktemp("differential") / "file")


def _open(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    flags = draw(O_ACCESS) | draw(st.sampled_from([0, os.O_CLOEXEC, os.O_APPEND, os.O_NONBLOCK]))
    return e.attempt("openat", -100, e.text(draw(st.sampled_from([path, path + ".missing"]))), flags, 0)


def _duplicate(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    name = draw(st.sampled_from(["dup", "dup2", "dup3"]))
    numbers = [draw(SMALL), draw(NUMBERS), draw(st.sampled_from([0, os.O_CLOEXEC, 1]))]
    return e.attempt(name, *numbers[: {"dup": 1, "dup2": 2, "dup3": 3}[name]])


def _fcntl(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    command = draw(st.sampled_from([fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD,
                                    fcntl.F_GETFL, fcntl.F_SETFL]))  # fmt: skip
    # all eventfds and pipes stay as they were made: nothing may block
    argument = os.O_NONBLOCK | draw(st.sampled_from([0, os.O_RDWR])) if command == fcntl.F_SETFL else draw(NUMBERS)
    return e.attempt("fcntl", draw(SMALL), command, argument)


def _seek(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    return e.attempt("lseek", draw(SMALL), draw(st.sampled_from([0, 7, 5000, -3, -2000])), draw(st.integers(0, 2)))


def _make(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    flags = os.O_NONBLOCK | draw(st.sampled_from([0, os.O_CLOEXEC]))
    match draw(st.sampled_from(["pipe", "eventfd", "memfd"])):
        case "pipe":
            return e.attempt("pipe2", e.buffer(8), draw(st.sampled_from([flags, 1 << 28])))
        case "eventfd":
            return e.attempt("eventfd2", draw(SMALL), draw(st.sampled_from([flags, 1 << 28])))
    return e.attempt("memfd_create", e.text("memory"), draw(st.integers(0, 1)))


def _close(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    if draw(st.booleans()):
        return e.attempt("close", draw(NUMBERS))
    return e.attempt("close_range", draw(SMALL), draw(SMALL), 0)


def _transfer(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    size = draw(st.sampled_from([0, 1, 7, 8, 64]))
    buffer = e.buffer(64)
    e.store(buffer, draw(st.integers(0, (1 << 64) - 1)))
    name = draw(st.sampled_from(["read", "write", "pread64", "pwrite64", "ftruncate"]))
    if name == "ftruncate":
        return e.attempt(name, draw(SMALL), draw(st.sampled_from([0, 10, 3000, -1])))
    position = [draw(st.sampled_from([0, 5, 2000, -1]))] if name.startswith("p") else []
    return e.attempt(name, draw(SMALL), buffer, size, *position)


def _memory(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    at = ROOM + draw(st.integers(0, 4)) * PAGE + draw(st.sampled_from([0, 0, 0, 8]))
    length = draw(st.sampled_from([PAGE, 2 * PAGE, 100, 0]))
    match draw(st.sampled_from(["mmap", "munmap", "mprotect"])):
        case "mmap":
            flags = draw(st.sampled_from([FIXED, FIXED, FIXED ^ mman.MAP_FIXED_NOREPLACE | mman.MAP_FIXED]))
            return e.attempt("mmap", at, length, 3, flags, -1, 0)
        case "munmap":
            return e.attempt("munmap", at, length)
    return e.attempt("mprotect", at, length, draw(st.sampled_from([1, 3])))


def _task(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    name = draw(st.sampled_from(["getpid", "gettid", "umask", "setsid"]))
    return e.attempt(name, *([draw(st.integers(0, 0o1777))] if name == "umask" else []))


def _arithmetic(draw: st.DrawFn, e: Emitter, path: str) -> Slot:
    """Memory, slots as arguments, and a bounded repetition."""
    place, width = e.buffer(8), draw(st.sampled_from([1, 4, 8]))
    e.store(place, draw(st.integers(0, (1 << 64) - 1)), width)
    value = e.load(place, draw(st.sampled_from([1, 4, 8])))
    e.store(e.buffer(8), value, width)
    first = len(e.ops)
    event = e.attempt("eventfd2", 0, os.O_NONBLOCK)
    e.repeat(first, event, draw(st.integers(0, 6)), 20)
    return event


KINDS: list[Callable[[st.DrawFn, Emitter, str], Slot]] = [
    _open, _duplicate, _fcntl, _seek, _make, _close, _transfer, _transfer, _memory, _task, _arithmetic,
]  # fmt: skip


@st.composite
def programs(draw: st.DrawFn, path: str) -> Plan:
    """Up to forty calls whose results nobody asks for."""
    plan = Plan(23)
    emit = plan.actor("program").emit("program")
    emit.call("close_range", 0, -1, 0)
    emit.call("umask", 0o022)
    for _ in range(draw(st.integers(1, 40))):
        draw(st.sampled_from(KINDS))(draw, emit, path)
    for op in emit.ops[2:]:
        op.policy = 0
    emit.halt()
    return plan


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_programs(path: str, data: st.DataObject) -> None:
    plan = data.draw(programs(path))
    with open(path, "wb") as file:
        file.write(CONTENT)
    tids = free_pids(1)
    model, real = by_model(plan, tids, {path: CONTENT}), by_blob(plan, tids)
    assert annotated(plan, model) == annotated(plan, real)
    assert model == real
    with open(path, "wb") as file:
        file.write(CONTENT)
    assert by_steps(plan, tids) == real


def annotated(plan: Plan, outcome: Outcome) -> list[str]:
    """The listing with the results behind it."""
    actor = plan.actors[0]
    return [f"{line(plan, actor, op)} -> {outcome.results[0][op.dst]}" for op in actor.ops]


def both(plan: Plan, count: int = 1) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """What both executors agree on."""
    tids = free_pids(count)
    real = by_blob(plan, tids)
    assert by_model(plan, tids) == by_steps(plan, tids) == real
    return real.results, real.errors


def test_threads_meet() -> None:
    """The child waits for the parent, the parent for the child."""
    tids = free_pids(2)
    plan = Plan(23)
    parent, child = plan.actor("parent"), plan.actor("child")
    ping, pong, place = plan.buffer(4), plan.buffer(4), plan.buffer(8)
    emit = parent.emit("parent")
    emit.call("close_range", 0, -1, 0)
    emit.spawn(child, THREAD, tids[1])
    emit.store(place, 4711)
    emit.post(ping, 3)
    emit.wait(pong, 1)
    emit.load(place)
    emit.halt()
    emit = child.emit("child")
    emit.wait(ping, 3)
    emit.load(place)
    emit.call("gettid")
    emit.store(place, 815)
    emit.post(pong)
    emit.halt()
    real = by_blob(plan, tids)
    assert by_model(plan, tids) == by_steps(plan, tids) == real
    assert real.results[0][1:] == [tids[1], 815]
    assert real.results[1] == [4711, tids[1]]


def test_full_io_goes_on_until_all_is_there() -> None:
    plan = Plan(23)
    emit = plan.actor("a").emit("a")
    emit.call("close_range", 0, -1, 0)
    fd = emit.call("memfd_create", emit.text("memory"), 0)
    emit.full_io("write", fd, emit.data(CONTENT), len(CONTENT))
    target = emit.buffer(len(CONTENT))
    emit.full_io("pread64", fd, target + 100, len(CONTENT) - 100, 100)
    emit.halt()
    results, _ = both(plan)
    assert results[0] == [0, 0, len(CONTENT), len(CONTENT) - 100]


def test_a_program_that_ends_early_ends_in_both() -> None:
    """Reading past the end is ENODATA; the ops behind it are not run."""
    plan = Plan(23)
    emit = plan.actor("a").emit("a")
    emit.call("close_range", 0, -1, 0)
    fd = emit.call("memfd_create", emit.text("memory"), 0)
    emit.full_io("read", fd, emit.buffer(10), 10)
    emit.call("getpid")
    emit.halt()
    real, model, stepped = (_failure(plan, executor) for executor in (by_blob, by_model, by_steps))
    assert real == model == stepped == "a: full read(r1, &6, length=10, offset=0) failed: ENODATA (No data available)"


def _failure(plan: Plan, run: Callable[..., object]) -> str:
    from engine.errors import PlanError

    try:
        ((errno, pc),) = run(plan, free_pids(1)).errors  # type: ignore[attr-defined]
    except PlanError as error:
        return str(error)
    actor = plan.actors[0]
    return str(PlanError(actor.ops[pc].why, brief(plan, actor.ops[pc]), errno))
