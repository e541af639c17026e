"""The table of calls: complete for what resources emit, and true to the kernel's structures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import engine.resources
from engine.abi import capability, epoll, fcntl, ioctls, prctl, resource, seccomp, signal, socket, time
from engine.abi.syscalls import NR
from engine.plan.arguments import CHECKS, PLAIN
from engine.plan.signatures import ASKING, COMMANDS, MAKING, POINTERS, Signature, Table, command_names

RESOURCES = Path(engine.resources.__file__).parent
EMITTED = re.compile(r"\b(?!calls)(\w+)\.(call|attempt|full_io)\(\s*\"(\w+)\"")


def all_signatures(table: Table) -> dict[str, Signature]:
    found: dict[str, Signature] = {}
    for nr, name in table.numbers.items():
        commands = command_names(name) if name in COMMANDS else {0: ""}
        for command, word in commands.items():
            if signature := table.find(nr, command):
                found[f"{name}:{word}" if word else name] = signature
            elif name not in COMMANDS:
                found[name] = ()
    return found


def test_every_line_can_be_read() -> None:
    for table in (ASKING, MAKING):
        for name, signature in all_signatures(table).items():
            assert len(signature) <= 6, name
            for parameter in signature:
                assert parameter.kind in CHECKS or parameter.kind in PLAIN, f"{name}: {parameter}"
                assert parameter.length.argument < len(signature), f"{name}: {parameter}"


def test_whatever_may_be_asked_may_be_made() -> None:
    assert set(all_signatures(ASKING)) <= set(all_signatures(MAKING))


@pytest.mark.parametrize("path", sorted(RESOURCES.rglob("*.py")), ids=lambda p: p.stem)
def test_what_resources_emit_is_in_the_table(path: Path) -> None:
    """By name alone; commands and arguments are seen when the plans are verified."""
    for emitter, _, name in EMITTED.findall(path.read_text()):
        table = ASKING if emitter == "ask" else MAKING
        assert getattr(NR, name) in table.numbers, f"{path.name}: {name}: add it to engine/plan/signatures.py"


SIZES = {
    "rt_sigaction": (1, signal.SIGACTION.size), "sigaltstack": (0, signal.SIGALTSTACK.size),
    "rt_sigqueueinfo": (2, signal.SIGINFO.size), "timer_create": (1, signal.SIGEVENT.size),
    "setitimer": (1, time.ITIMERVAL.size), "timerfd_settime": (2, time.ITIMERSPEC.size),
    "epoll_ctl": (3, epoll.EPOLL_EVENT.size), "prlimit64": (2, resource.RLIMIT64.size),
    "capset": (0, capability.CAP_HEADER.size), "fcntl:F_SETLK": (2, fcntl.FLOCK.size),
    "fcntl:F_SETOWN_EX": (2, fcntl.F_OWNER_EX.size), "ioctl:TCSETS": (2, ioctls.TERMIOS.size),
    "ioctl:TIOCSWINSZ": (2, ioctls.WINSIZE.size), "nanosleep": (0, time.TIMESPEC.size),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_structures(name: str) -> None:
    place, size = SIZES[name]
    assert all_signatures(MAKING)[name][place].length.factor == size


def test_capabilities_come_in_two_halves() -> None:
    assert all_signatures(MAKING)["capset"][1].length.factor == 2 * capability.CAP_DATA.size


def test_pointers_are_where_the_structures_have_them() -> None:
    message, program, layout = socket.MSGHDR, seccomp.SOCK_FPROG, prctl.PRCTL_MM_MAP
    assert POINTERS["msghdr"][0] == message.size
    fields = (("msg_name", "msg_namelen"), ("msg_iov", "msg_iovlen"), ("msg_control", "msg_controllen"))
    assert [p[:2] for p in POINTERS["msghdr"][1]] == [(message.offsets[a], message.offsets[b]) for a, b in fields]
    assert POINTERS["sock_fprog"] == (program.size, ((program.offsets["filter"], 0, "H", seccomp.SOCK_FILTER.size),))
    auxv = (layout.offsets["auxv"], layout.offsets["auxv_size"], "I", 1)
    assert POINTERS["prctl_mm_map"] == (layout.size, (auxv,))


@pytest.mark.parametrize(
    "name", ["execve", "execveat", "unlink", "mount", "ptrace", "reboot", "process_vm_writev", "bpf"]
)
def test_what_no_plan_may_do(name: str) -> None:
    assert MAKING.find(getattr(NR, name)) is None
