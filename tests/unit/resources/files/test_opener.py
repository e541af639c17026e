"""Where descriptions are opened, and how they come to their numbers."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from engine.errors import ImageError, Refused
from engine.images import pb

from .stand_ins import NOBODY, new_tree, steps

if TYPE_CHECKING:
    from pathlib import Path


def eventfd(ident: int) -> pb.file_entry:
    entry = pb.eventfd_file_entry(id=ident, flags=2, fown=NOBODY, counter=ident)
    return pb.file_entry(type=6, id=ident, efd=entry)


def test_files_land_on_the_lowest_free_number(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(i) for i in (1, 2, 3)], {10: {0: 1, 1: 2, 3: 3}})
    tree.opener.restore(tree.root)
    assert steps(tree, 10) == [
        "r0 = eventfd2(count=1, 0) == 0",
        "r1 = eventfd2(count=2, O_CLOEXEC) == 1",
        "r2 = eventfd2(count=3, O_CLOEXEC)",  # would land on 2
        "r3 = dup3(r2, 4, O_CLOEXEC) == 4",
        "r4 = close(r2)",
        "r5 = dup3(4, 3, O_CLOEXEC) == 3",
        "r6 = close_range(4, last=9, flags=0)",
    ]


def test_duplicates_share_one_description(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(1)], {10: {0: 1, 5: 1}})
    tree.opener.restore(tree.root)
    assert steps(tree, 10)[1:2] == ["r1 = dup3(0, 5, O_CLOEXEC) == 5"]


def test_what_siblings_share_is_opened_by_their_parent(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(1)], {10: {}, 11: {}, 12: {0: 1}, 13: {0: 1}}, parents={12: 11, 13: 11})
    for task in tree.alive:
        tree.opener.share(task)
    assert [len(steps(tree, pid)) for pid in (10, 12)] == [0, 0]
    calls = ["r0 = eventfd2(count=1, O_CLOEXEC)", "r1 = dup3(r0, 3, O_CLOEXEC) == 3", "r2 = close(r0)"]
    assert steps(tree, 11) == calls


def test_staging_goes_between_numbers_when_the_last_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    files = [eventfd(1), eventfd(2)]
    assert new_tree(tmp_path / "", files, {10: {0: 1, 99: 2}}).opener.staging == 3
    assert new_tree(tmp_path / "", files, {10: {3: 1, 99: 2}}).opener.staging == 4
    with pytest.raises(Refused, match="limit of 100 open files"):
        new_tree(tmp_path, [eventfd(i) for i in range(60)], {10: {2 * i: i for i in range(50)}})


def test_a_number_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There would be room for the staging numbers, but not for the number itself."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    with pytest.raises(Refused, match="limit of 100 open files"):
        new_tree(tmp_path, [eventfd(1)], {10: {100: 1}})


def test_nothing_lands_behind_staging_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    tree = new_tree(tmp_path, [eventfd(i) for i in (1, 2)], {10: {0: 1, 1: 1, 2: 1, 7: 2, 99: 2}})
    assert tree.opener.staging == 3
    tree.opener.restore(tree.root)
    calls = [text.split(" = ")[1] for text in steps(tree, 10)]
    assert calls[-6:] == [
        "eventfd2(count=2, O_CLOEXEC)",
        "dup3(r3, 3, O_CLOEXEC) == 3",
        "close(r3)",
        "dup3(3, 7, O_CLOEXEC) == 7",
        "dup3(3, 99, O_CLOEXEC) == 99",
        "close_range(3, last=6, flags=0)",
    ]


def test_a_missing_file_is_named_with_who_refers_to_it(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(1)], {10: {4: 1}})
    tree.images.write("FILES", None, [tree.opener.file(9999, "nobody")])
    with pytest.raises(ImageError, match=r"file id 1 is missing; pid 10, fd 4 refers to it"):
        type(tree.opener)(tree, tree.opener._kinds)


def test_a_number_can_stand_there_once_only(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(1)], {10: {4: 1}})
    tree.root.descriptors *= 2
    with pytest.raises(ImageError, match="a descriptor of pid 10 is there twice"):
        type(tree.opener)(tree, tree.opener._kinds)


def test_types_must_agree(tmp_path: Path) -> None:
    tree = new_tree(tmp_path, [eventfd(1)], {10: {4: 1}})
    tree.root.descriptors[0].type = 2
    with pytest.raises(ImageError, match="file id 1 is of another type than pid 10 fd 4"):
        type(tree.opener)(tree, tree.opener._kinds)
