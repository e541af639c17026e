"""Epoll: targets by the numbers under which they were added."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest

from engine.errors import ImageError
from tests.unit.resources.task.trees import Warnings

from .stand_ins import Tree, collect, new_tree, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def epoll() -> Iterator[select.epoll]:
    with select.epoll() as instance:
        yield instance


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_targets_come_back_when_all_numbers_are_in_place(
    tmp_path: Path, epoll: select.epoll, ends: tuple[int, int]
) -> None:
    epoll.register(ends[0], select.EPOLLIN | select.EPOLLET)
    files = collect(Tree(), epoll.fileno(), *ends)
    (target,) = next(file.epfd.tfd for file in files if file.type == 7)
    assert (target.tfd, target.events & 0xFFFF) == (ends[0], select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP)
    numbers = {epoll.fileno(): files[0].id, ends[0]: files[1].id, ends[1]: files[2].id}
    tree = new_tree(tmp_path, files, {10: numbers})
    tree.opener.share(tree.root)
    tree.opener.restore(tree.root)
    calls = steps(tree, 10)
    added = next(i for i, text in enumerate(calls) if "epoll_ctl" in text)
    assert f"({epoll.fileno()}, EPOLL_CTL_ADD, {ends[0]}," in calls[added]
    assert not any("dup3" in text for text in calls[added:])


def test_a_number_that_leads_elsewhere_now(tmp_path: Path, epoll: select.epoll, ends: tuple[int, int]) -> None:
    """The target is found at its other number, added under the old one, and what is there now steps aside."""
    number = os.dup(ends[0])
    epoll.register(number, select.EPOLLIN)
    os.dup2(ends[1], number)
    files = collect(Tree(), epoll.fileno(), *ends, number)
    os.close(number)
    (target,) = files[0].epfd.tfd
    assert (target.tfd, target.added_as) == (ends[0], number)
    numbers = {epoll.fileno(): 1, ends[0]: 2, ends[1]: 3, number: 3}
    tree = new_tree(tmp_path, files[:3], {10: numbers})
    tree.opener.share(tree.root)
    tree.opener.restore(tree.root)
    calls = [text.split(" = ")[1] for text in steps(tree, 10)]
    added = next(i for i, text in enumerate(calls) if "epoll_ctl" in text)
    assert calls[added - 2].startswith(f"fcntl({number}, F_DUPFD_CLOEXEC")
    assert calls[added - 1] == f"dup3({ends[0]}, {number}, O_CLOEXEC) == {number}"
    assert f"EPOLL_CTL_ADD, {number}," in calls[added]
    assert calls[added + 1].endswith(f"== {number}")


def test_a_target_that_the_process_has_closed_is_refused(epoll: select.epoll, ends: tuple[int, int]) -> None:
    number = os.dup(ends[0])
    epoll.register(number)
    os.close(number)
    tree = Tree()
    collect(tree, epoll.fileno(), ends[1])
    reasons = [o.reason for o in tree.obstacles if "eventpoll" in o.subject]
    closed = f"it watches a file that was fd {number} when it was added, and that pid {os.getpid()} has closed"
    assert reasons == [closed]


@pytest.mark.parametrize("told", [False, True])
def test_a_target_that_has_told_its_one_event(
    told: bool, tmp_path: Path, epoll: select.epoll, ends: tuple[int, int]
) -> None:
    """The kernel would have it tell of a hang-up, and nobody can keep it from that."""
    epoll.register(ends[1], select.EPOLLOUT | select.EPOLLONESHOT)
    if told:
        assert epoll.poll(0) == [(ends[1], select.EPOLLOUT)]
    files, log = collect(Tree(), epoll.fileno(), *ends), Warnings()
    tree = new_tree(tmp_path, files, {10: {epoll.fileno(): 1, ends[0]: 2, ends[1]: 3}}, log=log)
    tree.opener.share(tree.root)
    tree.opener.restore(tree.root)
    words = f"fd {ends[1]} has told its event (EPOLLONESHOT) and will tell of errors and hang-ups again"
    assert log.texts == ([f"pid 10, fd {epoll.fileno()} (epoll): {words}"] if told else [])


def test_an_image_without_the_target_is_refused(tmp_path: Path, epoll: select.epoll, ends: tuple[int, int]) -> None:
    epoll.register(ends[0])
    files = collect(Tree(), epoll.fileno(), *ends)
    tree = new_tree(tmp_path, files, {10: {epoll.fileno(): 1}})
    with pytest.raises(ImageError, match=f"epoll 1 watches fd {ends[0]}, which pid 10 has not"):
        tree.opener.restore(tree.root)
