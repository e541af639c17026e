"""Who enters which control group, in hierarchies made of plain directories."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.abi.syscalls import NAMES as SYSCALLS
from engine.errors import ImageError, KernelError, Refused
from engine.images import pb
from engine.kernel.proc import Mount
from engine.rebuild import NewTree
from engine.resources import cgroups, stages
from engine.resources.cgroups import Groups
from tests.unit.resources.task.trees import Born, tree, warnings

ROWS = ("C01", "C02", "C07", "C11")
OWN = b"2:freezer:/\n1:cpu,cpuacct:/engine\n0::/\n"
SETS = {
    1: {"freezer": "/", "cpu,cpuacct": "/dumper", "": "/"},
    2: {"freezer": "/a/b", "cpu,cpuacct": "/dumper", "": "/x"},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mount points, and a process in groups of our choice."""
    proc = SimpleNamespace(read=lambda name: OWN, mountinfo=lambda: [
        Mount(1, 0, 0, "/", str(tmp_path / "freezer"), "rw", {}, "cgroup", "none", "rw,freezer"),
        Mount(2, 0, 0, "/", str(tmp_path / "cpu"), "rw", {}, "cgroup", "none", "rw,cpu,cpuacct"),
        Mount(3, 0, 0, "/", str(tmp_path / "unified"), "rw", {}, "cgroup2", "none", "rw"),
    ])  # fmt: skip

    class Proc:
        def __init__(self, pid: int) -> None: ...
        def __enter__(self) -> object:
            return proc

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(cgroups, "ProcDir", Proc)
    for name in ("freezer", "cpu/engine", "unified/x"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def make(*sets: int, mode: str = "soft", threads: tuple[int, ...] = ()) -> NewTree:
    """A chain of tasks, each in the set of this number, and an image with SETS. The first one has the threads."""
    new = tree(*(Born(7 + i, 6 + i if i else 0, threads=() if i else threads) for i in range(len(sets))))
    for task, number in zip(new.tasks, sets, strict=True):
        task.core.thread_core.cg_set = number
    new.inventory.root_cg_set = 1
    new.options = new.options._replace(manage_cgroups=mode)
    ctls = {n: [pb.cg_member_entry(name=k, path=p) for k, p in one.items()] for n, one in SETS.items()}
    perms = pb.cgroup_perms(mode=0o40750, uid=0, gid=0)
    limit = pb.cgroup_prop_entry(name="freezer.state", value="THAWED")
    directory = pb.cgroup_dir_entry(
        dir_name="a", children=[pb.cgroup_dir_entry(dir_name="b", dir_perms=perms, properties=[limit])]
    )
    entry = pb.cgroup_entry(
        sets=[pb.cg_set_entry(id=n, ctls=c) for n, c in ctls.items()],
        controllers=[pb.cg_controller_entry(cnames=["freezer"], dirs=[directory])],
    )
    new.images = SimpleNamespace(read=lambda kind: [entry] if kind == "CGROUP" else [])  # type: ignore[assignment]
    return new


def test_only_differences_are_entered(root: Path) -> None:
    new = make(2, 2, 1)
    groups = Groups(new)
    assert groups._ways(new.root.leader, groups._own, "cgroup.procs") == [
        str(root / "freezer/a/b/cgroup.procs"), str(root / "unified/x/cgroup.procs")
    ]  # fmt: skip
    child = new.tasks[1].leader
    assert not groups._ways(child, groups._wanted(new.root.leader), "cgroup.procs")
    grandchild = new.tasks[2].leader  # was where the dumper was, so it goes where the engine is
    assert groups._ways(grandchild, groups._wanted(child), "tasks") == [
        str(root / "freezer/tasks"), str(root / "unified/cgroup.threads")
    ]  # fmt: skip


def test_the_task_itself_enters_before_anything_else(root: Path) -> None:
    new = make(2, 2, 1)
    with new.root.step(stages.SHARE, "later") as step:
        step.call("getpid")
    Groups(new).plan()
    new.graph.order()
    first, second, third = new.plan.actors
    entering = ["open", "write", "close"] * 2
    assert [SYSCALLS[op.nr] for op in first.ops] == [*entering, "getpid"]
    assert not second.ops
    assert [SYSCALLS[op.nr] for op in third.ops] == entering  # out again


def test_threads_move_when_their_process_is_there(root: Path) -> None:
    new = make(1, threads=(17, 18))
    new.root.threads[2].core.thread_core.cg_set = 2
    groups = Groups(new)
    groups.plan()
    with groups.made():
        groups.move_threads()
    files = [root / "freezer/a/b/tasks", root / "unified/x/cgroup.threads"]
    assert [file.read_text() for file in files] == ["18", "18"]
    assert not (root / "freezer/tasks").exists()
    (root / "unified/x/cgroup.threads").unlink()
    (root / "unified/x").rmdir()
    with pytest.raises(KernelError, match=r"thread 18, entering .*unified/x"):
        groups.move_threads()


def test_missing_groups_are_made_and_go_again_after_a_failure(root: Path) -> None:
    groups = Groups(make(2))
    groups.plan()
    assert not (root / "freezer/a").exists()
    assert warnings(groups.tree) == ["control group freezer:/a/b: its limits in the image are not set"]
    with pytest.raises(ZeroDivisionError), groups.made():
        assert (root / "freezer/a/b").stat().st_mode & 0o7777 == 0o750
        raise ZeroDivisionError
    assert not (root / "freezer/a").exists()
    with groups.made():
        pass
    assert (root / "freezer/a/b").is_dir()


@pytest.mark.parametrize("mode", ["none", "props"])
def test_modes_that_make_no_groups(root: Path, mode: str) -> None:
    with pytest.raises(Refused, match="control group freezer:/a/b: it does not exist"):
        Groups(make(2, mode=mode)).plan()
    (root / "freezer/a/b").mkdir(parents=True)
    Groups(make(2, mode=mode)).plan()


def test_strictly_new_groups_only(root: Path) -> None:
    with pytest.raises(Refused, match="control group :/x: it exists"):
        Groups(make(2, mode="strict")).plan()


def test_ignored(root: Path) -> None:
    new = make(2, mode="ignore")
    Groups(new).plan()
    new.graph.order()
    assert not new.plan.actors[0].ops


def test_an_unknown_set(root: Path) -> None:
    with pytest.raises(ImageError, match="set 5 is missing"):
        Groups(make(5)).plan()


def test_a_hierarchy_that_is_not_mounted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_points", dict)
    with pytest.raises(Refused, match="not mounted here"):
        Groups(make(2)).plan()
