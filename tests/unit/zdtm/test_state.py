"""What the referee sees: every aspect of a live process, and no number that a restore cannot keep."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from zdtm.compare import differences
from zdtm.descriptors import descriptor_facts
from zdtm.facts import ASPECTS, Fact, Numbers
from zdtm.memory import mapping_facts
from zdtm.proc import Mapping
from zdtm.state import capture

RW = frozenset({"rd", "wr"})


def mapping(start: int, end: int, permissions: str = "rw-p", name: str = "", **other: object) -> Mapping:
    values = {"offset": 0, "device": "00:00", "inode": 0, "flags": RW, **other}
    return Mapping(start, end, permissions, name=name, **values)  # type: ignore[arg-type]


# ---- mappings


def test_neighbours_that_differ_in_nothing_are_one() -> None:
    second = mapping(0x2000, 0x3000, flags=RW | {"sd", "ac"})
    seams = [mapping(0x1000, 0x2000), second, mapping(0x4000, 0x5000)]
    assert mapping_facts(seams, Numbers()) == {"1000-3000": "rw-p", "4000-5000": "rw-p"}


@pytest.mark.parametrize(
    "other",
    [
        {"permissions": "r--p"},
        {"name": "[heap]"},
        {"flags": RW | {"lo"}},
        {"inode": 7, "name": "/a"},
    ],
)
def test_neighbours_that_differ_are_two(other: dict[str, object]) -> None:
    assert len(mapping_facts([mapping(0x1000, 0x2000), mapping(0x2000, 0x3000, **other)], Numbers())) == 2  # type: ignore[arg-type]


def test_file_mappings_are_merged_when_their_offsets_go_on() -> None:
    first = mapping(0x1000, 0x2000, name="/a", inode=7)
    going_on = mapping(0x2000, 0x3000, name="/a", inode=7, offset=0x1000)
    assert mapping_facts([first, going_on], Numbers()) == {"1000-3000": "rw-p /a at 0x0"}
    elsewhere = going_on._replace(offset=0x5000)
    assert len(mapping_facts([first, elsewhere], Numbers())) == 2


def test_shared_memory_is_known_by_who_shares_it() -> None:
    numbers = Numbers()
    one = mapping(0x1000, 0x2000, "rw-s", "/dev/zero (deleted)", inode=71)
    two = mapping(0x4000, 0x5000, "rw-s", "/dev/zero (deleted)", inode=72)
    parent = mapping_facts([one, two], numbers)
    child = mapping_facts([two], numbers)
    assert parent["1000-2000"] == "rw-s /dev/zero (deleted) object #1 at 0x0"
    assert parent["4000-5000"] == child["4000-5000"] == "rw-s /dev/zero (deleted) object #2 at 0x0"


def test_shared_anonymous_memory_may_come_back_as_a_memfd() -> None:
    before = mapping(0x1000, 0x2000, "rw-s", "/dev/zero (deleted)", inode=71)
    after = before._replace(name="/memfd:/dev/zero (deleted)", inode=99)
    assert mapping_facts([before], Numbers()) == mapping_facts([after], Numbers())
    other = before._replace(name="/memfd:mine (deleted)")
    assert mapping_facts([before], Numbers()) != mapping_facts([other], Numbers())


# ---- descriptors


def facts(target: str, info: str) -> dict[str, str]:
    return descriptor_facts(target, info, os.stat("/dev/null"), Numbers())


def test_inodes_of_pipes_do_not_count() -> None:
    assert facts("pipe:[4711]", "flags:\t01\n") == facts("pipe:[4712]", "flags:\t01\n")
    assert facts("/a", "flags:\t01\n") != facts("/b", "flags:\t01\n")


def test_two_pipes_are_not_one() -> None:
    numbers = Numbers()
    status = os.stat("/dev/null")
    targets = [descriptor_facts(f"pipe:[{inode}]", "", status, numbers)["target"] for inode in (5, 6, 5)]
    assert targets == ["pipe #1", "pipe #2", "pipe #1"]


def test_flags_count_but_not_o_largefile() -> None:
    assert facts("pipe:[1]", "flags:\t0100001\n") == facts("pipe:[1]", "flags:\t01\n")
    assert facts("pipe:[1]", "flags:\t02000001\n") != facts("pipe:[1]", "flags:\t01\n")


def test_numbers_inside_fdinfo_do_not_count_but_its_facts_do() -> None:
    def details(line: str) -> str:
        return facts("anon_inode:[x]", f"pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1038\n{line}\n")["details"]

    assert details("eventfd-count: 5") != details("eventfd-count: 6")
    assert details("tfd: 3 events: 19 data: 3 pos:0 ino:1ef sdev:e") == details(
        "tfd: 3 events: 19 data: 3 pos:0 ino:2ab sdev:f"
    )
    assert details("tfd: 3 events: 19 data: 3") != details("tfd: 3 events: 1d data: 3")
    lock = "lock:\t1: POSIX  ADVISORY  WRITE 812 08:01:{} 0 9"
    assert details(lock.format(4)) == details(lock.format(5).replace("1:", "2:", 1))
    assert details(lock.format(4)) != details(lock.format(4).replace("WRITE", "READ"))


def test_the_order_of_details_does_not_count() -> None:
    first, second = "tfd: 3 events: 19 data: 3", "tfd: 4 events: 19 data: 4"
    target = "anon_inode:[eventpoll]"
    assert facts(target, f"{first}\n{second}\n") == facts(target, f"{second}\n{first}\n")


# ---- a live process, changed in one thing


CHILD = """
import sys
print("up", flush=True)
sys.stdin.readline()
{change}
print("done", flush=True)
sys.stdin.readline()
"""


def changed_by(change: str) -> list[str]:
    """Aspects that differ after a process did something."""
    words = [sys.executable, "-c", CHILD.format(change=change)]
    pipe = subprocess.PIPE
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, cwd="/usr", stdin=pipe, stdout=pipe, stderr=quiet, text=True) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == "up\n"
        before = capture([child.pid])
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"
        ignored = [] if "mmap" in change else ["mappings"]
        found = differences(before, capture([child.pid]), ignored)
        child.kill()
    return sorted({each.fact.aspect or each.fact.subject for each in found})


# With its first thread the C library installs handlers of its own.
GLIBC_THREAD = ["signals", "thread"]


@pytest.mark.parametrize(
    ("change", "aspects"),
    [
        ("pass", []),
        ("import os; os.open('/', 0)", ["fd 3"]),
        ("import os; os.close(2)", ["fd 2"]),
        ("import os; os.dup2(0, 2)", ["descriptors"]),
        ("import os; os.set_inheritable(2, False)", ["descriptors"]),
        ("import os; os.set_blocking(2, False)", ["descriptors"]),
        ("import mmap; global_map = mmap.mmap(-1, 1 << 20)", ["mappings"]),
        ("import threading, time; threading.Thread(target=time.sleep, args=[9]).start()", GLIBC_THREAD),
        ("import os; os.setgroups([5])", ["ids"]),
        ("import os; os.setresuid(-1, 5, -1)", ["ids"]),
        ("import signal; signal.pthread_sigmask(0, [10])", ["signals"]),
        ("import signal; signal.signal(10, signal.SIG_IGN)", ["signals"]),
        ("import signal; signal.signal(10, print)", ["signals"]),
        ("import signal; signal.pthread_sigmask(0, [10]); signal.raise_signal(10)", ["signals"]),
        ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (1, 2))", ["limits"]),
        ("import os; os.nice(3)", ["scheduling"]),
        ("import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", ["scheduling"]),
        ("import os; os.chdir('/')", ["files"]),
        ("import os; os.umask(0o123)", ["files"]),
        ("import os; os.setpgid(0, 0)", ["processes"]),
        ("open('/proc/self/comm', 'w').write('other')", ["processes", "threads"]),
    ],
)
def test_a_change_is_seen_in_its_aspect(change: str, aspects: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("some of it needs root")
    found = [word.split()[0] if word.startswith("thread ") else word for word in changed_by(change)]
    assert found == aspects


def test_a_position_is_an_aspect_of_its_own() -> None:
    fd = os.open(__file__, os.O_RDONLY)
    try:
        before = capture([os.getpid()])
        os.read(fd, 7)
        found = differences(before, capture([os.getpid()]), ["mappings"])
        assert [str(each) for each in found] == [f"pid {os.getpid()} fd {fd}: position was '0', is '7'"]
    finally:
        os.close(fd)


@pytest.fixture
def descriptors() -> Iterator[list[int]]:
    opened: list[int] = []
    yield opened
    for fd in opened:
        os.close(fd)


def test_sharing_of_an_open_file_is_seen(descriptors: list[int]) -> None:
    descriptors += [os.open(__file__, os.O_RDONLY), os.open(__file__, os.O_RDONLY)]
    descriptors.append(os.dup(descriptors[0]))
    state = capture([os.getpid()])
    facts = (Fact(os.getpid(), "descriptors", f"fd {fd}", "open file") for fd in descriptors)
    first, second, copy = (state[fact] for fact in facts)
    assert first == copy != second


@pytest.mark.parametrize(("number", "silent"), [(errno.EBADF, True), (errno.ESRCH, True), (errno.EPERM, False)])
def test_sharing_is_left_out_only_when_something_has_gone(
    descriptors: list[int], monkeypatch: pytest.MonkeyPatch, number: int, silent: bool
) -> None:
    def kcmp_file(*_: int) -> int:
        raise OSError(number, "")

    descriptors += [os.open(__file__, os.O_RDONLY), os.open(__file__, os.O_RDONLY)]
    monkeypatch.setattr("zdtm.syscalls.kcmp_file", kcmp_file)
    with contextlib.nullcontext() if silent else pytest.raises(OSError):
        capture([os.getpid()])


def test_zombies_have_a_state() -> None:
    child = os.fork()
    if child == 0:
        os._exit(3)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    state = capture([child])
    os.waitpid(child, 0)
    assert state[Fact(child, "processes", "", "state")] == f"zombie with wait status {3 << 8}"
    assert {fact.aspect for fact in state} == {"processes", "ids"}


def test_stopped_processes_have_a_state() -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
    before = capture([child])
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
    found = differences(before, capture([child]), ["mappings"])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [str(each) for each in found] == [f"pid {child} state was 'alive', is 'stopped'"]


def test_traced_processes_have_a_state() -> None:
    """An engine that forgets to detach leaves its victim so."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).ptrace(0, 0, 0, 0)  # PTRACE_TRACEME
        os.kill(os.getpid(), signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
    state = capture([child])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert state[Fact(child, "processes", "", "state")] == "traced"


def test_a_process_that_is_gone_is_left_out() -> None:
    assert capture([2**22 - 3]) == {}


def test_every_aspect_is_captured() -> None:
    thread = threading.Thread(target=threading.Event().wait, args=(0.5,))
    thread.start()
    state = capture([os.getpid()])
    thread.join()
    assert {fact.aspect for fact in state} == set(ASPECTS)
    limit = state[Fact(os.getpid(), "limits", "", "Max open files")].split()
    assert int(limit[0]) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
