"""Eventfds: from fdinfo to the call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .stand_ins import Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    (0, 0, ["r0 = eventfd2(count=0, 0) == 0"]),
    (5, os.EFD_SEMAPHORE, ["r0 = eventfd2(count=5, O_WRONLY) == 0"]),
    (7, os.EFD_NONBLOCK, ["r0 = eventfd2(count=7, 0) == 0", "r1 = fcntl(r0, F_SETFL, O_NONBLOCK)"]),
    ((1 << 64) - 2, 0, ["r0 = eventfd2(count=0, 0) == 0",
                        "r1 = full write(r0, &5{feffffffffffffff}, length=8)"]),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "flags", "calls"), CASES)
def test_counter_and_flags_come_back(tmp_path: Path, counter: int, flags: int, calls: list[str]) -> None:
    fd = os.eventfd(0, flags)
    if counter:
        os.eventfd_write(fd, counter)
    (file,) = collect(Tree(), fd)
    os.close(fd)
    assert file.efd.counter == counter
    tree = new_tree(tmp_path, [file], {10: {0: file.id}})
    tree.opener.restore(tree.root)
    assert steps(tree, 10)[: len(calls)] == calls
