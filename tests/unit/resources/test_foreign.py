"""What only other engines' images hold is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from engine.errors import Refused
from engine.images import pb
from engine.rebuild import NewTree
from engine.resources import foreign
from tests.unit.resources.task.trees import Born, tree

FOWN = pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)


def make(images: dict[str, list[object]] | None = None, files: tuple[pb.file_entry, ...] = ()) -> NewTree:
    """A tree of one task with one mapping."""
    new = tree(Born(7))
    images = images or {}
    new.root.mm.vmas.add(start=4096, end=8192, pgoff=0, shmid=0, prot=3, flags=0x22, status=513, fd=-1)
    new.images = SimpleNamespace(exists=images.__contains__, read=lambda kind: images.get(kind, []))  # type: ignore[assignment]
    new.opener = SimpleNamespace(files={file.id: file for file in files})  # type: ignore[assignment]
    return new


def refusal(new: NewTree) -> str:
    with pytest.raises(Refused) as caught:
        foreign.check(new)
    return str(caught.value)


def test_nothing_foreign() -> None:
    new = make()
    foreign.check(new)
    new.root.core.thread_core.creds.lsm_profile = "unconfined"
    foreign.check(new)


@pytest.mark.parametrize("field, what", [("files_id", "descriptor table"), ("fs_id", "working directory and umask")])
def test_what_processes_share(field: str, what: str) -> None:
    new = tree(Born(7), Born(8, 7), Born(9, 7))
    new.images, new.opener = make().images, make().opener
    for task, number in zip(new.tasks, (1, 2, 1), strict=True):
        setattr(task.ids, field, number)
    assert refusal(new) == f"pid 9: it shares its {what} with pid 7, which is not supported"


def test_images_without_these_numbers_share_nothing() -> None:
    new = tree(Born(7), Born(8, 7))
    new.images, new.opener = make().images, make().opener
    foreign.check(new)


def test_locks() -> None:
    assert "file locks" in refusal(make({"FILE_LOCKS": []}))


@pytest.mark.parametrize("name, hugetlb", [("cache", None), ("/dev/zero", 1)])
def test_memfds(name: str, hugetlb: int | None) -> None:
    inode = pb.memfd_inode_entry(name=name, uid=0, gid=0, size=0, shmid=1, seals=0, inode_id=1, hugetlb_flag=hugetlb)
    assert f"memfd {name}" in refusal(make({"MEMFD_INODE": [inode]}))


def test_owner_of_a_file() -> None:
    pipe = pb.pipe_entry(id=3, pipe_id=9, flags=0, fown=pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=812))
    file = pb.file_entry(type=pb.fd_types.PIPE, id=3, pipe=pipe)
    assert "file id 3: it signals pid 812" in refusal(make(files=(file,)))
    pipe.fown.CopyFrom(FOWN)
    foreign.check(make(files=(pb.file_entry(type=pb.fd_types.PIPE, id=3, pipe=pipe),)))


@pytest.mark.parametrize("status, flags, what", [
    (1 | 1 << 13, 0x21, "io_submit"), (1 | 1 << 10, 0x21, "System V"), (513, 0x40022, "huge pages"),
    (1 | 1 << 20, 0x22, "status 0x100001"),
])  # fmt: skip
def test_mappings(status: int, flags: int, what: str) -> None:
    new = make()
    new.root.mm.vmas[0].status, new.root.mm.vmas[0].flags = status, flags
    assert "pid 7 mapping 1000-2000" in refusal(new)
    assert what in refusal(new)


def _set_profile(core: pb.core_entry) -> None:
    core.thread_core.creds.lsm_profile = "docker-default"


def _set_compat(core: pb.core_entry) -> None:
    core.thread_info.gpregs.mode = pb.user_x86_regs_mode.COMPAT


def _set_shadow_stack(core: pb.core_entry) -> None:
    core.thread_info.fpregs.xsave.cet.cet = 1


@pytest.mark.parametrize("change, what", [
    (_set_profile, "'docker-default'"), (_set_compat, "32-bit"), (_set_shadow_stack, "shadow stack"),
])  # fmt: skip
def test_threads(change: Callable[[pb.core_entry], None], what: str) -> None:
    new = make()
    change(new.root.core)
    assert what in refusal(new)
