# SPDX-License-Identifier: Apache-2.0
"""A tree of Python processes, three levels deep, keeps its shape, groups and sessions, and every one its memory."""

import os

import zdtm_lib as test

test.init()
FANOUT = (3, 2)


def identity() -> tuple[int, ...]:
    return os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)


def grow(depth: int, ready: int) -> int:
    if depth == 1:
        os.setpgid(0, 0)
    if depth == 2:
        os.setsid()
    return stand(depth, ready)


def stand(depth: int, ready: int) -> int:
    children = []
    if depth < len(FANOUT):
        children = [test.fork(lambda: grow(depth + 1, ready)) for _ in range(FANOUT[depth])]
    memory = test.data(100_000, os.getpid())
    before = identity()
    os.write(ready, b".")
    os.close(ready)
    if depth == 0:
        await_all()
    os.close(started)
    if depth == 0:
        test.ready()
    test.wait()
    for child in children:
        test.finish(child)
    test.check(identity() == before, f"{before} became {identity()}")
    test.check(memory == test.data(100_000, os.getpid()), "memory changed")
    return 0


def await_all() -> None:
    """Every process of the tree writes a byte and closes its end."""
    expected = 1 + FANOUT[0] + FANOUT[0] * FANOUT[1]
    arrived = 0
    while piece := os.read(started, 64):
        arrived += len(piece)
    test.check(arrived == expected, f"{arrived} of {expected} processes started")


started, starter = os.pipe()
stand(0, starter)
test.passed()
