# SPDX-License-Identifier: Apache-2.0
"""A group whose first leader lives on in another group: its members stay in it, whether or not it comes back."""

import os

import zdtm_lib as test


def member(group: int) -> int:
    test.wait()
    test.check(os.getpgid(0) == group, f"the group is {os.getpgid(0)}, not {group}")
    return 0


def mover() -> int:
    """Founds a group, leaves a child in it, and goes back to the group that it came from."""
    before, own = os.getpgid(0), os.getpid()
    os.setpgid(0, 0)
    child = test.fork(lambda: member(own))
    os.setpgid(0, before)
    os.write(arrived, b".")
    test.wait()
    test.check(os.getpgid(0) == before, f"the group is {os.getpgid(0)}, not {before}")
    test.finish(child)
    return 0


test.init()
arrivals, arrived = os.pipe()
children = [test.fork(mover) for _ in range(3)]
for _ in children:
    os.read(arrivals, 1)

test.ready()
test.wait()

for child in children:
    test.finish(child)
test.passed()
