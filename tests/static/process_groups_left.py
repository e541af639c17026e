# SPDX-License-Identifier: Apache-2.0
"""Groups whose leaders are dead and gone: the members stay in them, and a signal to one reaches just its members."""

import os
import signal

import zdtm_lib as test

SIZES = (1, 3)
reached = 0


def count(_number: int, _frame: object) -> None:
    global reached
    reached += 1


def live(group: int) -> int:
    signal.signal(signal.SIGUSR1, count)
    os.setpgid(0, group)
    os.write(joined, b".")
    test.wait()
    test.check(os.getpgid(0) == group, f"the group is {os.getpgid(0)}, not {group}")
    test.check(reached == 1, f"{reached} signals reached a member")
    return 0


def lead() -> int:
    os.setpgid(0, 0)
    signal.pause()
    return 0


def make(size: int) -> tuple[int, list[int]]:
    """A group of so many, whose leader ends when all have joined."""
    leader = test.fork(lead)
    os.setpgid(leader, leader)
    members = [test.fork(lambda: live(leader)) for _ in range(size)]
    for _ in members:
        os.read(arrived, 1)
    os.kill(leader, signal.SIGKILL)
    test.reap(leader)
    return leader, members


test.init()
arrived, joined = os.pipe()
groups = [make(size) for size in SIZES]

test.ready()
test.wait()

for group, members in groups:
    os.killpg(group, signal.SIGUSR1)
    for member in members:
        test.finish(member)
test.passed()
