"""Differences, each of the allowed ones, and how they are told."""

from __future__ import annotations

import pytest

from zdtm.compare import STACK_GROWTH, described, differences
from zdtm.facts import Fact, State


def descriptor(pid: int = 7, fd: int = 3, flags: str = "02", position: str = "0") -> State:
    subject = f"fd {fd}"
    return {
        Fact(pid, "descriptors", subject, "target"): "/a",
        Fact(pid, "descriptors", subject, "flags"): flags,
        Fact(pid, "positions", subject, "position"): position,
    }


def process(pid: int = 7) -> State:
    return {Fact(pid, "processes", "", "state"): "alive", Fact(pid, "limits", "", "Max files"): "1 2"}


def told(before: State, after: State, changes: tuple[str, ...] = ()) -> list[str]:
    return [str(each) for each in differences(before, after, changes)]


def test_equal_states_do_not_differ() -> None:
    assert told(process() | descriptor(), process() | descriptor()) == []


def test_a_changed_fact() -> None:
    assert told(process() | descriptor(), process() | descriptor(flags="01")) == ["pid 7 fd 3: flags was '02', is '01'"]


def test_what_came_or_went_as_a_whole_is_one_difference() -> None:
    assert told(process() | descriptor(), process()) == ["pid 7 fd 3 is gone"]
    assert told(process(), process() | descriptor()) == ["pid 7 fd 3 is new"]
    assert told(process() | process(8) | descriptor(8), process()) == ["pid 8 is gone"]
    assert told(process(), process() | process(8) | descriptor(8)) == ["pid 8 is new"]


def test_a_single_fact_that_came_or_went() -> None:
    extra = {Fact(7, "limits", "", "Max new"): "5"}
    assert told(process(), process() | extra) == ["pid 7 Max new is new: '5'"]
    assert told(process() | extra, process()) == ["pid 7 Max new is gone, was '5'"]


def test_aspects_that_the_program_changes_are_not_compared() -> None:
    before, after = process() | descriptor(), process() | descriptor(position="9")
    assert told(before, after) == ["pid 7 fd 3: position was '0', is '9'"]
    assert told(before, after, ("positions",)) == []
    assert told(before, process(), ("positions",)) == ["pid 7 fd 3 is gone"]
    assert told(before, process(), ("descriptors",)) == []


def test_where_processes_come_and_go_the_lasting_ones_count() -> None:
    before = process() | process(8) | descriptor(8) | descriptor()
    after = process() | process(9) | descriptor(9) | descriptor(flags="01")
    assert told(before, after, ("processes",)) == ["pid 7 fd 3: flags was '02', is '01'"]


def thread(number: int, mask: str) -> State:
    return {Fact(7, aspect, f"thread {number}", aspect): mask for aspect in ("threads", "signals", "ids")}


def test_where_threads_come_and_go_the_lasting_ones_count() -> None:
    before = process() | thread(7, "1") | thread(8, "1")
    after = process() | thread(7, "2") | thread(9, "1")
    assert told(before, after, ("threads",)) == [
        "pid 7 thread 7: ids was '1', is '2'",
        "pid 7 thread 7: signals was '1', is '2'",
    ]


def stack(start: int, end: int = 0x800000, flags: str = "gd", pid: int = 7) -> State:
    return {Fact(pid, "mappings", "", f"{start:x}-{end:x}"): f"rw-p [stack] {flags}".rstrip()}


START = 0x7F0000


@pytest.mark.parametrize(
    ("after", "allowed"),
    [
        (stack(START - 0x1000), True),
        (stack(START - STACK_GROWTH), True),
        (stack(START - STACK_GROWTH - 0x1000), False),
        (stack(START + 0x1000), False),
        (stack(START - 0x1000, end=0x801000), False),
        (stack(START - 0x1000, flags=""), False),
        (stack(START - 0x1000, pid=8), False),
    ],
)
def test_a_stack_may_grow_a_little(after: State, allowed: bool) -> None:
    base = process() | process(8)
    assert (told(base | stack(START), base | after) == []) is allowed


def test_another_mapping_may_not_grow() -> None:
    assert told(stack(START, flags=""), stack(START - 0x1000, flags="")) != []


def test_what_many_processes_have_in_common_is_told_once() -> None:
    before = dict.fromkeys((Fact(pid, "limits", "", "Max files") for pid in (7, 8, 9)), "1")
    after = dict.fromkeys(before, "2") | {Fact(9, "limits", "", "Max more"): "3"}
    found = differences(before, after)
    assert list(described(found, 5)) == [
        "pid 7 (and 2 more): Max files was '1', is '2'",
        "pid 9: Max more is new: '3'",
    ]
    assert list(described(found, 1)) == ["pid 7 (and 2 more): Max files was '1', is '2'", "and 1 more"]
