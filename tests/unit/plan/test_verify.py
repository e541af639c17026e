"""Evil plans: each breaks one rule, and is refused for just that reason."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from engine.abi import mman
from engine.abi.fcntl import AT_FDCWD, F_SETFD, F_SETLK, O_CREAT, O_RDONLY, O_TRUNC
from engine.abi.prctl import PR_SET_MM, PR_SET_MM_MAP, PR_SET_NAME, PR_SET_SECCOMP
from engine.abi.sched import CLONE_ARGS, CLONE_VM
from engine.abi.syscalls import NR
from engine.errors import EngineBug, Refused
from engine.plan import rules
from engine.plan.builder import Actor, Emitter, Plan
from engine.plan.ops import CALL, CONTROLS, FULL_IO, LOAD, POST, REPEAT, SPAWN, U64, WAIT, Op, Ref, Slot
from engine.plan.signatures import ASKING, MAKING
from engine.plan.verify import Rules, Space, verify

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
AREA = (0x400000, 0x500000)
ARENA = (0x10000000, 0x10100000)
FIXED = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE
Evil = "Callable[[Emitter], object]"


def run(fill: Callable[[Emitter], object], rules: Rules | None = None, halt: bool = True) -> None:
    """One actor that does what `fill` writes, under the rules of a restore."""
    plan = Plan()
    emit = plan.actor("pid 7").emit("pid 7, fd 3")
    fill(emit)
    if halt:
        emit.halt()
    verify(plan, rules or Rules(MAKING, [0], {0: Space([AREA])}, 100, {7, 8}, ARENA))


def ask(fill: Callable[[Emitter], object]) -> None:
    """The same under the rules of a dump."""
    run(fill, Rules(ASKING, [0], {}, 1 << 31, births=False))


def raw(emit: Emitter, op: Op) -> None:
    emit.actor.slots += 1
    op.why = emit.why
    emit.ops.append(op)


def iovec(emit: Emitter, base: int | Ref, length: int) -> Ref:
    return emit.pack("QQ", base, length)


def test_what_a_restore_does_is_allowed() -> None:
    def good(e: Emitter) -> None:
        fd = e.call("openat", AT_FDCWD, e.text("/etc/passwd"), O_RDONLY, 0)
        e.call("mmap", AREA[0], PAGE, 3, FIXED, fd, 0, expect=AREA[0])
        e.call("preadv", fd, iovec(e, AREA[0], PAGE), 1, 0, 0, expect=PAGE)
        e.full_io("pread64", fd, AREA[0], PAGE, 0)
        e.full_io("read", fd, e.buffer(10), 10)
        e.call("dup3", fd, 9, 0, expect=9)
        e.call("prctl", PR_SET_NAME, e.text("name"))
        e.call("rt_sigaction", 10, e.data(bytes(32)), 0, 8)
        e.store(e.buffer(4), fd, 4)
        e.store(e.pack("QII", e.buffer(8), 0, 0) + 8, fd, 4)
        e.call("sendmsg", fd, e.pack("QQQQQQQ", 0, 0, iovec(e, e.data(b"hello"), 5), 1, 0, 0, 0), 0)
        e.call("waitid", 1, 8, 0, 4, 0, 0)
        e.call("kill", 8, 0, may=(3,))

    run(good)


def test_what_a_dump_asks_is_allowed() -> None:
    def good(e: Emitter) -> None:
        e.attempt("brk", 0)
        e.call("rt_sigaction", 10, 0, e.buffer(32), 8)
        e.call("get_robust_list", 0, e.buffer(8), e.buffer(8))

    ask(good)


# (what is evil about it, the words of the complaint)
BUGS: list[tuple[Callable[[Emitter], object], str]] = [
    (lambda e: e.call("execve", e.text("/bin/sh"), 0, 0), "no plan of this kind may call it"),
    (lambda e: e.call("unlink", e.text("/etc/passwd")), "no plan of this kind may call it"),
    (lambda e: e.call("ptrace", 0), "no plan of this kind may call it"),
    (lambda e: e.call("prctl", 0x7777, 0), "no plan of this kind may call it"),
    (lambda e: e.call("prctl", e.attempt("getpid"), 0), "its command is not known"),
    (lambda e: e.call("getpid", 5), "the call takes 0 arguments"),
    (lambda e: e.call("umask", e.buffer(8)), "an address where a number belongs"),
    (lambda e: e.call("close", Slot(0, 7)), "slot 7 is used before"),
    (lambda e: e.call("close", Slot(0, e.actor.slot().index)), "used before anything is in it"),
    (lambda e: e.call("close", Slot(1, e.attempt("getpid").index)), "is a slot of stranger"),
    (lambda e: raw(e, Op(CALL, NR.getpid, (), 9)), "slot 9 is not the actor's"),
    (lambda e: e.call("rt_sigaction", 10, e.buffer(31), 0, 8), "32 bytes are needed, 31 are there"),
    (lambda e: e.call("rt_sigaction", 10, e.buffer(40) + 16, 0, 8), "32 bytes are needed, 24 are there"),
    (lambda e: e.call("rt_sigaction", 10, e.buffer(40) + -8, 0, 8), "bytes are needed"),
    (lambda e: e.call("rt_sigaction", 10, 0x400000, 0, 8), "no address of the plan's data"),
    (lambda e: e.call("rt_sigaction", 10, 0, e.data(bytes(32)), 8), "constant"),
    (lambda e: e.call("rt_sigaction", 10, Ref(CONTROLS), 0, 8), "the interpreter's own memory"),
    (lambda e: e.call("rt_sigaction", 10, Ref(99), 0, 8), "the interpreter's own memory"),
    (lambda e: e.call("openat", AT_FDCWD, e.buffer(0), 0, 0), "the path does not end"),
    (lambda e: e.call("openat", AT_FDCWD, e.data(b"name"), 0, 0), "the path does not end"),
    (lambda e: e.call("openat", AT_FDCWD, e.text("x"), e.attempt("getpid"), 0), "flags are not known"),
    (lambda e: e.call("setgroups", 3, e.buffer(8)), "12 bytes are needed, 8 are there"),
    (lambda e: e.call("setgroups", e.attempt("getpid"), e.buffer(8)), "a length is not known"),
    (lambda e: e.call("getsockopt", 1, 1, 1, e.buffer(4), e.pack("I", 400)), "400 bytes are needed"),
    (lambda e: e.call("fcntl", 1, F_SETLK, e.buffer(24)), "32 bytes are needed"),
    (lambda e: e.call("accept4", 1, e.buffer(16), 0, 0), "address must be 0"),
    (lambda e: e.full_io("pread64", 1, e.buffer(8), 9, 0), "9 bytes are needed, 8 are there"),
    (lambda e: e.call("preadv", 1, iovec(e, 0, 0), 2, 0, 0), "32 bytes are needed, 16 are there"),
    (lambda e: e.call("preadv", 1, iovec(e, e.buffer(8), 9), 1, 0, 0), "9 bytes are needed, 8 are there"),
    (lambda e: e.call("preadv", 1, iovec(e, e.data(b"x" * 8), 8), 1, 0, 0), "constant"),
    (lambda e: e.call("sendmsg", 1, e.pack("7Q", 0, 0, 0x1234, 1, 0, 0, 0), 0), "no reference"),
    (lambda e: e.call("sendmsg", 1, e.pack("7Q", 0, 0, iovec(e, e.data(b"12"), 3), 1, 0, 0, 0), 0), "3 bytes are"),
    (lambda e: e.call("prctl", PR_SET_SECCOMP, 2, e.pack("HHIQ", 2, 0, 0, e.buffer(8))), "16 bytes are needed, 8"),
    (lambda e: e.call("prctl", PR_SET_MM, PR_SET_MM_MAP, e.pack("12QII", *[0] * 11, 5, 8, 0), 104, 0), "no reference"),
    (lambda e: e.call("mmap", 0x400000, PAGE, 3, mman.MAP_PRIVATE | mman.MAP_ANONYMOUS, -1, 0), "only a hint"),
    (lambda e: e.call("mmap", e.buffer(8), PAGE, 3, FIXED, -1, 0), "an address of the arena is no mapping"),
    (lambda e: e.call("mmap", 0, PAGE, 3, e.attempt("getpid"), -1, 0), "flags are not known"),
    (lambda e: e.call("munmap", e.attempt("getpid"), PAGE), "not the address of a new mapping"),
    (lambda e: e.call("close", 1, may=(1, 2, 3, 4, 5)), "four errnos"),
    (lambda e: e.call("close", 1, may=(512,)), "four errnos"),
    (lambda e: raw(e, Op(FULL_IO, NR.close, (1, 2, 3, 0))), "only a read or write"),
    (lambda e: raw(e, Op(LOAD, 16, (e.buffer(16),))), "16 bytes are no number"),
    (lambda e: e.load(e.buffer(4), 8), "8 bytes are needed, 4 are there"),
    (lambda e: e.store(e.data(b"12345678"), 1), "constant"),
    (lambda e: e.store(iovec(e, e.buffer(8), 8) + 4, 1, 4), "a pointer would be changed"),
    (lambda e: e.store(e.pack("IIQ", 0, 0, e.buffer(8)) + 1, 1, 8), "a pointer would be changed"),
    (lambda e: e.store(e.buffer(8), Slot(0, 5)), "slot 5 is used before"),
    (lambda e: raw(e, Op(WAIT, 0, (0x400000, 1))), "a futex word"),
    (lambda e: raw(e, Op(POST, 0, (e.buffer(8) + 2, 1))), "a futex word"),
    (lambda e: e.post(e.buffer(2)), "4 bytes are needed"),
    (lambda e: e.wait(e.buffer(4), 1), "waits for ever: 0 of 1 posts come, which are made by nobody"),
    (lambda e: e.repeat(0, Slot(0, 3), 0, 5), "slot 3 is used before"),
    (lambda e: e.repeat(0, e.attempt("getpid"), 0, 1 << 40), "no bound"),
    (lambda e: e.repeat(0, e.attempt("getpid"), 0, 0), "no bound"),
    (lambda e: raw(e, Op(REPEAT, 0, (U64, e.attempt("getpid"), 0, 5))), "numbers must be known"),
    (lambda e: e.repeat(5, e.attempt("getpid"), 0, 2), "goes back to an op that is not there"),
    (lambda e: e.repeat(-3, e.attempt("getpid"), 0, 2), "goes back to an op that is not there"),
    (lambda e: raw(e, Op(77)), "no op with the code 77"),
    (lambda e: e.halt(), "halts before its last op"),
    (lambda e: setattr(e.actor, "on_error", 40), "goes on at op 40"),
]  # fmt: skip


@pytest.mark.parametrize(("evil", "words"), BUGS)
def test_our_own_mistakes_are_bugs(evil: Callable[[Emitter], object], words: str) -> None:
    def fill(emit: Emitter) -> None:
        evil(emit)

    with pytest.raises(EngineBug, match=words) as caught:
        run_beside_stranger(fill)
    assert "pid 7, fd 3" in str(caught.value)


def run_beside_stranger(fill: Callable[[Emitter], object]) -> None:
    """There is a second actor whose slots could be confused with those of the first."""

    def both(emit: Emitter) -> None:
        fill(emit)
        stranger = emit.plan.actor("stranger")
        stranger.emit("pid 8").halt()
        emit.spawn(stranger, CLONE_VM)

    run(both)


# What an image can say: addresses, descriptor numbers, pids, flags.
LIES: list[tuple[Callable[[Emitter], object], str]] = [
    (lambda e: e.call("mmap", 0x600000, PAGE, 3, FIXED, -1, 0), "not the task's own memory"),
    (lambda e: e.call("mmap", AREA[1] - PAGE, 2 * PAGE, 3, FIXED, -1, 0), "not the task's own memory"),
    (lambda e: e.call("mmap", ARENA[0], PAGE, 7, FIXED, -1, 0), "not the task's own memory"),
    (lambda e: e.call("mmap", 0x400001, PAGE, 3, FIXED, -1, 0), "no stretch of pages"),
    (lambda e: e.call("mmap", 0, PAGE, 3, FIXED, -1, 0), "not the task's own memory"),
    (lambda e: e.call("munmap", ARENA[0], PAGE), "not the task's own memory"),
    (lambda e: e.call("munmap", 0, 1 << 47), "not the task's own memory"),
    (lambda e: e.call("munmap", AREA[0], 0), "no stretch of pages"),
    (lambda e: e.call("munmap", AREA[0], 1 << 64), "not the task's own memory"),
    (lambda e: e.call("mprotect", ARENA[0] - PAGE, 2 * PAGE, 7), "not the task's own memory"),
    (lambda e: e.call("madvise", 0x7000, PAGE, mman.MADV_DONTNEED), "not the task's own memory"),
    (lambda e: e.call("mremap", AREA[0], PAGE, PAGE, 3, ARENA[0]), "not the task's own memory"),
    (lambda e: e.call("preadv", 1, iovec(e, ARENA[0] + 64, 8), 1, 0, 0), "not the task's own memory"),
    (lambda e: e.call("preadv", 1, e.pack("4Q", AREA[0], 8, AREA[1] - 4, 8), 2, 0, 0), "not the task's own memory"),
    (lambda e: e.call("munmap", AREA[0], -PAGE), "-4096 is no length"),
    (lambda e: e.call("read", 1, e.buffer(8), -1), "-1 is no length"),
    (lambda e: e.full_io("pread64", 1, AREA[1], 8, 0), "not the task's own memory"),
    (lambda e: e.store(ARENA[0], 1), "not the task's own memory"),
    (lambda e: e.load(0x1000), "not the task's own memory"),
    (lambda e: e.call("rseq", ARENA[0] + 8, 32, 0, 0), "is the interpreter's memory"),
    (lambda e: e.call("set_tid_address", ARENA[1] - 4), "is the interpreter's memory"),
    (lambda e: e.call("dup3", 3, 100, 0), "100 is no descriptor number"),
    (lambda e: e.call("close", -2), "-2 is no descriptor number"),
    (lambda e: e.call("close", AT_FDCWD), "-100 is no descriptor number"),
    (lambda e: e.call("fcntl", 4096, F_SETFD, 0), "4096 is no descriptor number"),
    (lambda e: e.call("openat", AT_FDCWD, e.text("/etc/x"), O_CREAT, 0o600), "a file would be made or emptied"),
    (lambda e: e.call("open", e.text("/etc/passwd"), O_TRUNC | 1), "a file would be made or emptied"),
    (lambda e: e.call("kill", 1, 9), "1 is no task of this tree"),
    (lambda e: e.call("kill", -1, 9), "-1 is no task of this tree"),
    (lambda e: e.call("kill", 0, 9), "0 is no task of this tree"),
    (lambda e: e.call("tgkill", 7, 1, 9), "1 is no task of this tree"),
    (lambda e: e.call("prlimit64", 1, 7, e.buffer(16), 0), "1 is no task of this tree"),
]  # fmt: skip


@pytest.mark.parametrize(("evil", "words"), LIES)
def test_what_an_image_can_say_is_refused(evil: Callable[[Emitter], object], words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        run(evil)
    assert caught.value.obstacles[0].subject == "pid 7, fd 3"


QUESTIONS: list[Callable[[Emitter], object]] = [
    lambda e: e.call("close", 1),
    lambda e: e.call("mmap", 0, PAGE, 3, mman.MAP_PRIVATE, -1, 0),
    lambda e: e.call("rt_sigaction", 10, e.data(bytes(32)), 0, 8),
    lambda e: e.call("sigaltstack", e.data(bytes(24)), 0),
    lambda e: e.call("prctl", PR_SET_NAME, e.text("x")),
    lambda e: e.call("fcntl", 1, F_SETFD, 0),
    lambda e: e.call("brk", 0x1000),
    lambda e: e.call("setsid"),
    lambda e: e.call("kill", 1, 9),
    lambda e: e.full_io("write", 1, e.data(b"x"), 1),
    lambda e: e.call("openat", AT_FDCWD, e.text("/etc/passwd"), 0),
]


@pytest.mark.parametrize("evil", QUESTIONS)
def test_a_dump_changes_nothing_in_its_victim(evil: Callable[[Emitter], object]) -> None:
    with pytest.raises(EngineBug, match=r"no plan of this kind may call it|must be 0"):
        ask(evil)


def test_a_dump_writes_to_no_memory_of_the_victim() -> None:
    with pytest.raises(Refused, match="not the task's own memory"):
        ask(lambda e: e.store(AREA[0], 1))


def test_a_frozen_task_bears_nobody() -> None:
    plan, parent, child = two_actors()
    parent.emit("p").spawn(child, CLONE_VM)
    parent.emit("p").halt()
    child.emit("c").halt()
    with pytest.raises(EngineBug, match="a frozen task bears nobody"):
        verify(plan, rules.of_questions([parent]))


def two_actors() -> tuple[Plan, Actor, Actor]:
    plan = Plan()
    return plan, plan.actor("parent"), plan.actor("child")


def check(plan: Plan, **changes: object) -> None:
    verify(plan, Rules(MAKING, [0], {0: Space([AREA])}, 100, (), ARENA)._replace(**changes))


def test_everybody_is_started_once() -> None:
    plan, parent, child = two_actors()
    parent.emit("p").halt()
    child.emit("c").halt()
    with pytest.raises(EngineBug, match="child: nobody starts it"):
        check(plan)
    parent.ops.clear()
    parent.emit("p").spawn(child, 0)
    parent.emit("p").spawn(child, 0)
    parent.emit("p").halt()
    with pytest.raises(EngineBug, match="child: it is started twice"):
        check(plan)


def test_nobody_starts_himself() -> None:
    plan, parent, child = two_actors()
    parent.emit("p").spawn(child, 0)
    parent.emit("p").halt()
    child.emit("c").spawn(parent, 0)
    child.emit("c").halt()
    with pytest.raises(EngineBug, match=r"parent: it is started twice"):
        check(plan)


def test_a_child_gets_its_own_stack() -> None:
    plan, parent, child = two_actors()
    child.emit("c").halt()
    numbers = (0, 0, 0, 0, 0, parent.stack, 1024, 0, 0, 0, 0)
    parent.ops.append(Op(SPAWN, 0, (plan.pack("11Q", *numbers), CLONE_ARGS.size, child.control)))
    parent.slot()
    parent.emit("p").halt()
    with pytest.raises(EngineBug, match="the stack is not the child's"):
        check(plan)


def test_clone3_writes_nowhere() -> None:
    plan, parent, child = two_actors()
    child.emit("c").halt()
    parent.emit("p").spawn(child, 0)
    place = parent.ops[0].args[0]
    assert isinstance(place, Ref)
    struct.pack_into("<Q", plan.blocks[place.block], CLONE_ARGS.offsets["parent_tid"], AREA[0])
    parent.emit("p").halt()
    with pytest.raises(EngineBug, match="an address to write to"):
        check(plan)


@pytest.mark.parametrize("control", [Ref(CONTROLS, 64), Ref(CONTROLS, 128 * 9), Ref(4), 0x400000])
def test_a_child_has_a_control_block(control: Ref | int) -> None:
    plan, parent, child = two_actors()
    child.emit("c").halt()
    parent.emit("p").spawn(child, 0)
    parent.ops[0].args = (*parent.ops[0].args[:2], control)
    parent.emit("p").halt()
    with pytest.raises(EngineBug, match="control block"):
        check(plan)


def test_whoever_neither_halts_nor_ends_is_found() -> None:
    with pytest.raises(EngineBug, match="neither halts nor ends"):
        run(lambda e: e.call("getpid"), halt=False)
    with pytest.raises(EngineBug, match="neither halts nor ends"):
        run(lambda e: None, halt=False)
    run(lambda e: e.attempt("exit", 0), halt=False)


def test_waiting_in_a_circle_is_found() -> None:
    plan, parent, child = two_actors()
    one, two = plan.buffer(4), plan.buffer(4)
    for actor, mine, other in ((parent, one, two), (child, two, one)):
        emit = actor.emit(f"{actor.name}'s step")
        if actor is parent:
            emit.spawn(child, 0)
        emit.wait(other, 1)
        emit.post(mine)
        emit.halt()
    with pytest.raises(EngineBug, match=r"parent's step: waits for ever: 0 of 1 posts come, .* child's step"):
        check(plan)


def test_waiting_for_more_posts_than_come_is_found() -> None:
    plan, parent, child = two_actors()
    word = plan.buffer(4)
    parent.emit("p").spawn(child, 0)
    parent.emit("p").wait(word, 2)
    parent.emit("p").halt()
    child.emit("c").post(word)
    child.emit("c").halt()
    with pytest.raises(EngineBug, match="1 of 2 posts come"):
        check(plan)
    child.ops[0].args = (word, 2)
    check(plan)


def test_a_child_works_in_its_own_areas_and_gives_up_those_of_its_parent() -> None:
    plan, parent, child = two_actors()
    parent.emit("p").spawn(child, 0)
    parent.emit("p").halt()
    emit = child.emit("c")
    emit.call("munmap", AREA[0], PAGE)
    emit.call("mmap", 0x800000, PAGE, 3, FIXED, -1, 0)
    emit.halt()
    spaces = {0: Space([AREA]), 1: Space([(0x800000, 0x801000)])}
    check(plan, spaces=spaces)
    child.ops[0].nr = NR.mlock
    with pytest.raises(Refused, match="not the task's own memory"):
        check(plan, spaces=spaces)


def test_a_helper_works_in_the_areas_of_whoever_spawned_it() -> None:
    plan, parent, child = two_actors()
    parent.emit("p").spawn(child, CLONE_VM)
    parent.emit("p").halt()
    child.emit("c").full_io("pread64", 3, AREA[0], PAGE)
    child.emit("c").halt()
    check(plan)


def test_areas_that_cannot_be() -> None:
    plan, *_ = two_actors()
    for area in [(-PAGE, PAGE), (PAGE, 0), (1 << 47, (1 << 47) + PAGE), (0x400001, 0x401000)]:
        with pytest.raises(Refused, match="no mapping can lie there"):
            check(plan, spaces={0: Space([area])})
    with pytest.raises(EngineBug, match=r"the arena .* overlaps the mapping"):
        check(plan, arena=(AREA[1] - PAGE, AREA[1]))


def test_a_plan_that_grew_after_layout() -> None:
    plan = Plan()
    emit = plan.actor("a").emit("")
    emit.buffer(8)
    plan.layout()
    emit.halt()
    with pytest.raises(EngineBug, match="grew after it was laid out"):
        check(plan)


def test_a_pointer_past_its_data() -> None:
    plan = Plan()
    emit = plan.actor("a").emit("")
    emit.pack("Q", emit.buffer(8) + 9)
    emit.halt()
    with pytest.raises(EngineBug, match="past the end of its data"):
        check(plan)


def test_neighbours_are_one_stretch() -> None:
    space = Space([(0x3000, 0x4000), (0x1000, 0x2000), (0x2000, 0x3000), (0x8000, 0x9000)])
    assert space.covers(0x1000, 0x4000)
    assert not space.covers(0x3000, 0x5000)
    assert not space.covers(0x4000, 0x4000)
    assert not space.covers(0, 0x1000)
    assert not space.covers(0x1000, 0x1000)
