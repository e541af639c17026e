"""Credentials: what each step needs, the later ones take away."""

from __future__ import annotations

import os
from typing import Any

import pytest

from engine.abi.capability import CAP_LAST_CAP
from engine.abi.prctl import PR_CAP_AMBIENT_RAISE, PR_SET_NO_NEW_PRIVS, SECBIT_NO_SETUID_FIXUP
from engine.images import pb
from engine.kernel.proc import ProcDir
from engine.resources.task import creds, marks, own
from tests.unit.resources.task.trees import Born, calls, task, tree, warnings, words

ALL = ((1 << 32) - 1, (1 << CAP_LAST_CAP + 1 - 32) - 1)


def entry(**more: Any) -> pb.creds_entry:
    fields: dict[str, Any] = dict.fromkeys(("uid", "euid", "suid", "fsuid"), 1000)
    fields |= dict.fromkeys(("gid", "egid", "sgid", "fsgid"), 100)
    fields |= {"secbits": 0, "cap_bnd": ALL, "cap_prm": (0, 0), "cap_eff": (0, 0), "cap_inh": (0, 0), "cap_amb": (0, 0)}
    return pb.creds_entry(**(fields | more))


def plan(made: pb.creds_entry) -> list[str]:
    one = task()
    one.core.thread_core.creds.CopyFrom(made)
    return [words(op) for op in calls(one, lambda t: creds.restore_thread(t.leader))]


def test_the_order_of_the_descent() -> None:
    found = plan(entry(groups=(1, 2), cap_bnd=(0, 0), no_new_privs=1))
    starts = ("setgroups 2", "capget", f"prctl 28 {SECBIT_NO_SETUID_FIXUP}", "setresgid 100 100", "setresuid 1000 1000",
              "setfsuid", "prctl 28 0", "prctl 24 0", f"prctl {PR_SET_NO_NEW_PRIVS} 1")  # fmt: skip
    first = [next(i for i, line in enumerate(found) if line.startswith(start)) for start in starts]
    assert first == sorted(first)
    assert [i for i, line in enumerate(found) if line.startswith("capset")][-1] == first[-1] - 1


def test_the_bounding_set_loses_what_the_image_lacks() -> None:
    found = plan(entry(cap_bnd=(ALL[0] & ~(1 << 24), ALL[1])))
    assert [line for line in found if line.startswith("prctl 24")] == ["prctl 24 24 0 0 0"]


def test_ambient_capabilities_are_raised_before_securebits_could_forbid_it() -> None:
    found = plan(entry(cap_amb=(1 << 10, 0), secbits=64))
    assert found.index(f"prctl 47 {PR_CAP_AMBIENT_RAISE} 10 0 0") < found.index("prctl 28 64 0 0 0")


def test_file_system_ids_are_asked_for() -> None:
    """setfsuid itself does not say whether it succeeded."""
    one = task()
    one.core.thread_core.creds.CopyFrom(entry(fsuid=1234))
    found = [op for op in calls(one, lambda t: creds.restore_thread(t.leader)) if "setfsuid" in words(op)]
    assert [op.args for op in found] == [(1234,), ((1 << 32) - 1,)]
    assert found[1].expect == 1234


def test_no_groups() -> None:
    assert plan(entry())[0] == "setgroups 0 0"


def test_capabilities_as_a_status_file_tells_them() -> None:
    with ProcDir(os.getpid()) as proc:
        status = proc.status()
    made = creds.entry(status, 5)
    assert made.secbits == 5
    assert made.cap_bnd[0] | made.cap_bnd[1] << 32 == status.cap_bounding
    assert (made.uid, made.egid, made.fsuid) == (status.uids[0], status.gids[1], status.uids[3])


def test_capabilities_that_are_not_ours_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = own.status()._replace(cap_bounding=own.status().cap_bounding & ~(1 << 21 | 1 << 40))
    monkeypatch.setattr(own, "status", lambda: ours)
    new = tree(Born(5))
    new.root.core.thread_core.creds.CopyFrom(entry(cap_bnd=(1 << 21, 1 << 8)))
    (obstacle,) = creds.missing(new)
    assert str(obstacle).startswith("pid 5: it has capabilities that the engine cannot give: CAP_SYS_ADMIN, CAP_CHECK")


def test_marks_come_when_every_thread_has_its_credentials() -> None:
    new = tree(Born(5, threads=(6,)))
    for thread in new.root.threads:
        thread.core.thread_core.creds.CopyFrom(entry())
    marks.restore(new.root)
    new.graph.order()
    assert [words(op).split()[0] for op in new.root.leader.actor.ops] == ["post", "wait", "prctl", "prctl", "prctl"]
    assert [words(op) for op in new.root.threads[1].actor.ops] == ["post"]


def test_credentials_that_a_task_is_born_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "securebits", lambda: 0)
    creds._inherited.cache_clear()
    assert not plan(creds.entry(own.status(), 0))
    assert plan(creds.entry(own.status(), 1))
    creds._inherited.cache_clear()


def test_dumpable_for_root_alone_is_told() -> None:
    one = task()
    one.mm.dumpable = 2
    assert "prctl 4 0 0 0 0" in [words(op) for op in calls(one, marks.restore)]
    assert "dumpable for root only" in warnings(one.tree)[0]


def test_the_signal_at_the_parents_death() -> None:
    one = task()
    one.core.thread_core.pdeath_sig = 12
    found = calls(one, lambda t: marks.restore_thread(t.leader))
    assert [words(op) for op in found] == ["prctl 1 12 0 0 0"]


def test_a_detached_tree_has_no_parent_to_die() -> None:
    one = task()
    one.tree.options = one.tree.options._replace(detached=True)
    one.core.thread_core.pdeath_sig = 12
    assert not calls(one, lambda t: marks.restore_thread(t.leader))
    assert "its parent is gone" in warnings(one.tree)[0]
