# SPDX-License-Identifier: Apache-2.0
"""What prctl and a few files of /proc mark a process with."""

import ctypes

import zdtm_lib as test

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE = 1, 2, 3, 4
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE = 38, 39, 41, 42
MEMBARRIER, GLOBAL, PRIVATE, REGISTRATIONS = 324, 4, 16, 512  # x86-64; linux/membarrier.h
ADDR_NO_RANDOMIZE = 0x40000
libc = ctypes.CDLL(None)


def number(option: int) -> int:
    value = ctypes.c_int(-1)
    libc.prctl(option, ctypes.byref(value))
    return value.value


def look() -> dict[str, object]:
    with open("/proc/self/oom_score_adj") as file:
        oom_score_adj = file.read()
    return {
        "oom_score_adj": oom_score_adj,
        "personality": libc.personality(0xFFFFFFFF),
        "membarrier": libc.syscall(MEMBARRIER, REGISTRATIONS, 0, 0),
        "subreaper": number(PR_GET_CHILD_SUBREAPER),
        "parent-death signal": number(PR_GET_PDEATHSIG),
        "dumpable": libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
        "no_new_privs": libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "no huge pages": libc.prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0),
    }


def mark() -> None:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("321")
    libc.personality(ADDR_NO_RANDOMIZE)
    for command in (GLOBAL, PRIVATE):
        libc.syscall(MEMBARRIER, command, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def live() -> int:
    before = look()
    test.wait()
    test.check(look() == before, f"{before} became {look()}")
    return 0


def live_marked() -> int:
    mark()
    libc.prctl(PR_SET_PDEATHSIG, 12, 0, 0, 0)  # not in the first process, whose parent is the harness
    return live()


test.init()
plain = test.fork(live)
mark()
marked = test.fork(live_marked)
before = look()
test.check(before["oom_score_adj"] == "321\n" and before["no_new_privs"] == 1, f"not marked: {before}")

test.ready()
test.wait()

test.check(look() == before, f"{before} became {look()}")
test.finish(plain)
test.finish(marked)
test.passed()
