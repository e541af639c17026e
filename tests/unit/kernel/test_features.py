"""Verdicts, their cache, and the probes themselves on the kernel that runs the tests."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.kernel import features
from engine.kernel.features import cache, catalog
from engine.kernel.features.catalog import EXTRA, Feature, Missing
from engine.kernel.features.child import run_alone
from engine.kernel.proc import Mount, ProcDir

ROWS = ("G17", "G26")
# The names that CRIU's `check --feature` knows.
CRIU_NAMES = """
    mnt_id mem_dirty_track aio_remap timerfd tun tun_ns userns fdinfo_lock seccomp_suspend seccomp_filters
    loginuid cgroupns autofs tcp_half_closed compat_cr uffd uffd-noncoop can_map_vdso sk_ns sk_unix_file
    net_diag_raw nsid link_nsid kcmp_epoll timens external_net_ns clone3_set_tid newifindex nftables
    has_ipt_legacy pidfd_store ns_pid apparmor_stacking network_lock_nftables sockopt_buf_lock memfd_hugetlb
    move_mount_set_group openat2 get_rseq_conf ipv6_freebind pagemap_scan timer_cr_ids overlayfs_maps
    breakpoints pagemap_scan_guard_pages
""".split()  # noqa: SIM905

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of our own, and a process that knows nothing yet."""
    directory = tmp_path / "cache" / "amber"
    monkeypatch.setattr(cache, "directories", lambda: [str(directory)])
    features.forget()
    yield directory / f"features-{os.geteuid()}"
    features.forget()


def count_calls(monkeypatch: pytest.MonkeyPatch, *reasons: str) -> list[str]:
    """Puts features "one", "two", … in the catalogue that fail with these reasons; returns who was asked."""
    asked: list[str] = []

    def make(name: str, reason: str) -> Feature:
        def probe() -> None:
            asked.append(name)
            if reason:
                raise Missing(reason)

        return Feature(name, "doc", "1.0", EXTRA, False, probe)

    made = {name: make(name, reason) for name, reason in zip(("one", "two", "three"), reasons, strict=False)}
    monkeypatch.setattr(catalog, "find", made.__getitem__)
    return asked


def test_every_name_of_criu_is_known() -> None:
    assert len(CRIU_NAMES) == 45
    assert set(CRIU_NAMES) <= set(catalog.features())


def test_every_feature_tells_what_and_since_when() -> None:
    for feature in catalog.features().values():
        assert feature.doc.endswith((".", ")")) and feature.since, feature.name


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"list.*mnt_id"):
        features.works("list")


def test_what_works_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_calls(monkeypatch, "", "")
    assert features.works("one")
    assert features.works("two")
    features.forget()  # as a new process would
    assert features.verdicts(["two", "one"]) == {"one": (True, ""), "two": (True, "")}
    assert asked == ["one", "two"]


def test_what_does_not_work_is_tried_again_by_the_next_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_calls(monkeypatch, "", "no module")
    assert features.verdict("two") == features.verdict("two") == (False, "no module")
    assert asked == ["two"]
    features.forget()
    count_calls(monkeypatch, "", "")
    assert features.works("two")


def test_another_kernel_or_boot_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_calls(monkeypatch, "")
    features.works("one")
    features.forget()
    monkeypatch.setattr(cache, "key", lambda: "another boot")
    features.works("one")
    assert asked == ["one", "one"]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "foreign", "binary"])
def test_a_damaged_cache_is_made_anew(monkeypatch: pytest.MonkeyPatch, fresh: Path, damage: str) -> None:
    asked = count_calls(monkeypatch, "")
    features.works("one")
    good = fresh.read_bytes()
    bad = {
        "cut": good[:-3],
        "empty": b"",
        "noise": good.replace(b"one", b"one\tat a time"),
        "foreign": b"other key\n" + good.partition(b"\n")[2],
        "binary": b"\xff" + good,
    }
    fresh.write_bytes(bad[damage])
    features.forget()
    assert features.works("one")
    assert asked == ["one", "one"]
    assert fresh.read_bytes() == good


def test_a_directory_that_others_can_write_is_not_trusted(monkeypatch: pytest.MonkeyPatch, fresh: Path) -> None:
    asked = count_calls(monkeypatch, "")
    features.works("one")
    fresh.parent.chmod(0o777)
    features.forget()
    features.works("one")
    assert asked == ["one", "one"]


def test_a_planted_link_is_not_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    count_calls(monkeypatch, "")
    target, link = tmp_path / "elsewhere", tmp_path / "planted"
    target.mkdir()
    link.symlink_to(target)
    monkeypatch.setattr(cache, "directories", lambda: [str(link)])
    features.works("one")
    assert list(target.iterdir()) == []


def test_nowhere_to_write_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_calls(monkeypatch, "")
    monkeypatch.setattr(cache, "directories", lambda: ["/proc/no/such/place"])
    assert features.works("one")
    assert features.works("one")
    assert asked == ["one"]


def test_a_file_that_cannot_be_put_in_its_place_does_not_stay(monkeypatch: pytest.MonkeyPatch, fresh: Path) -> None:
    count_calls(monkeypatch, "")
    fresh.mkdir(parents=True)
    fresh.parent.chmod(0o700)
    assert features.works("one")
    assert list(fresh.parent.iterdir()) == [fresh]


def test_places_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert list(cache.directories()) == ["/home/me/.cache/amber", "/tmp/amber-1000"]


def test_alone_reports_back() -> None:
    assert run_alone(lambda: "") == ""
    assert run_alone(lambda: "no: \u2026") == "no: \u2026"


def test_alone_survives_what_its_child_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.kernel.features.child.SECONDS", 0.2)

    def fail() -> str:
        raise ValueError("broken")

    def die() -> str:
        os.kill(os.getpid(), 9)
        return ""

    def hang() -> str:
        while True:
            os.sched_yield()

    assert run_alone(fail) == "ValueError('broken')"
    assert run_alone(die) == "the probe died: wait status 0x9"
    assert run_alone(hang) == "the probe did not end within 0.2 s"


@root
@pytest.mark.parametrize("name", [f.name for f in catalog.features().values() if f.category == catalog.REQUIRED])
def test_required_features_work_here(name: str) -> None:
    assert catalog.find(name).attempt() == ""


@root
def test_a_hierarchy_that_takes_no_group_is_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def mkdir(path: str) -> None:
        made.append(path)
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", mkdir)
    kinds = ("cgroup", "cgroup2")
    mounts = [Mount(1, 1, 0, "/", f"/{kind}", "rw", {}, kind, kind, "rw,freezer") for kind in kinds]
    monkeypatch.setattr(ProcDir, "mountinfo", lambda _: mounts)
    assert catalog.find("cgroup_freezer").attempt() == "/cgroup2: Read-only file system"
    assert len(made) == 2


@root
def test_probes_leave_nothing_behind() -> None:
    before = (_ours_in_tmp(), len(os.listdir("/proc/self/fd")), Path("/proc/self/maps").read_text().count("\n"))
    namespaces = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
    mounts = Path("/proc/self/mountinfo").read_text()
    for feature in catalog.features().values():
        feature.attempt()
    assert before[0] == _ours_in_tmp()
    assert len(os.listdir("/proc/self/fd")) == before[1]
    assert abs(Path("/proc/self/maps").read_text().count("\n") - before[2]) < 20
    assert mounts == Path("/proc/self/mountinfo").read_text()
    assert namespaces == {name: os.readlink(f"/proc/self/ns/{name}") for name in namespaces}
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _ours_in_tmp() -> list[str]:
    return sorted(name for name in os.listdir("/tmp") if name.startswith("amber-probe"))


def test_the_documentation_lists_every_feature() -> None:
    text = (Path(__file__).parents[3] / "docs" / "kernel.md").read_text()
    rows = [f"| `{f.name}` | {f.category} | {f.since} | {f.doc} |" for f in catalog.features().values()]
    assert [row for row in rows if row not in text] == []
