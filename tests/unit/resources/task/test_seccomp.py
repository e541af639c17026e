"""Seccomp: which steps restore it, how chains are listed, and what images may not hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.abi.capability import CAP_SYS_ADMIN
from engine.abi.seccomp import BPF_K, BPF_MAXINSNS, BPF_RET, SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF, SOCK_FILTER
from engine.errors import ImageError
from engine.images import pb
from engine.rebuild import NewTree
from engine.resources.task import creds, own, seccomp
from engine.resources.task.seccomp import Chain, Filter
from tests.unit.resources.task.trees import Born, data, tree, words

TSYNC, LOG = 1, 2
STRICT: Chain = ()


def code(value: int) -> bytes:
    return SOCK_FILTER.pack(code=BPF_RET | BPF_K, k=value)


A, B, C = (Filter(code(SECCOMP_RET_ALLOW | n), 0) for n in range(3))
LOGGED = Filter(code(SECCOMP_RET_ALLOW), LOG)


class Written:
    """An image directory that takes one file."""

    def __init__(self) -> None:
        self.entry = pb.seccomp_entry()

    def post(self, kind: str, number: int | None, messages: list[pb.seccomp_entry]) -> None:
        assert (kind, number) == ("SECCOMP", None)
        (self.entry,) = messages


def frozen(*chains: Chain | None) -> Any:
    """A tree of one process whose threads, from tid 7 on, have these filters."""
    threads = [SimpleNamespace(tid=7 + i, core=pb.core_entry()) for i in range(len(chains))]
    for thread, chain in zip(threads, chains, strict=True):
        if chain is not None:
            thread.core.thread_core.seccomp_mode = pb.seccomp_mode.filter if chain else pb.seccomp_mode.strict
    task = SimpleNamespace(threads=threads, leader=threads[0])
    found = {7 + i: chain for i, chain in enumerate(chains) if chain}
    return SimpleNamespace(alive=[task], chains=found, images=Written())


def written(made: Any) -> list[tuple[bytes, int | None, int]]:
    seccomp.write(made)
    return [(f.filter, f.prev if f.HasField("prev") else None, f.flags) for f in made.images.entry.seccomp_filters]


def restored(cores: list[pb.core_entry], filters: list[pb.seccomp_filter]) -> NewTree:
    """A tree of one process with these threads; only what seccomp needs of their messages."""
    new = tree(Born(7, threads=tuple(range(8, 7 + len(cores)))))
    for thread, core in zip(new.root.threads, cores, strict=True):
        thread.core.MergeFrom(core)
    entry = pb.seccomp_entry(seccomp_filters=filters)
    new.images = SimpleNamespace(read=lambda kind: [entry] if kind == "SECCOMP" else [])  # type: ignore[assignment]
    assert not seccomp.prepare(new)
    return new


def chained(*filters: pb.seccomp_filter, first: int = 0) -> NewTree:
    core = pb.core_entry()
    core.thread_core.seccomp_mode, core.thread_core.seccomp_filter = pb.seccomp_mode.filter, first
    return restored([core], list(filters))


def installed(*chains: Chain | None) -> dict[str, list[str]]:
    """What threads with these chains do: `seccomp FLAGS CODE`."""
    new = tree(Born(7, threads=tuple(range(8, 7 + len(chains)))))
    new.chains = {7 + i: chain for i, chain in enumerate(chains) if chain is not None}
    seccomp.restore(new.root)
    new.graph.order()
    programs = dict(new.plan.fixups)
    lines: dict[str, list[str]] = {}
    for thread in new.root.threads:
        lines[thread.actor.name] = shown = []
        for op in thread.actor.ops:
            if words(op).startswith("seccomp"):
                length = int.from_bytes(data(new.plan, op, 2, 2), "little")
                target = programs[op.args[2] + 8]  # type: ignore[operator, index]
                content = bytes(new.plan.blocks[target.block][: 8 * length])
                name = next(name for name, f in {"A": A, "B": B, "C": C}.items() if f.code == content)
                shown.append(f"{op.args[1]} {name}")
            else:
                shown.append(words(op))
    return lines


def test_chains_are_listed_from_the_newest_on() -> None:
    made = frozen((A, B, C), (A,))
    assert written(made) == [(C.code, None, 0), (B.code, 0, 0), (A.code, 1, 0), (A.code, None, 0)]
    cores = [thread.core.thread_core for thread in made.alive[0].threads]
    assert [core.seccomp_filter for core in cores] == [2, 3]


def test_what_chains_end_with_alike_is_there_once() -> None:
    assert len(written(frozen((A, C), (B, C), (A, C), None))) == 3


def test_threads_with_the_same_chain_have_it_from_the_leader() -> None:
    made = frozen((LOGGED, B), (LOGGED, B))
    assert written(made) == [(B.code, None, TSYNC), (LOGGED.code, 0, TSYNC | LOG)]
    second = made.alive[0].threads[1].core.thread_core
    assert not second.HasField("seccomp_mode")
    assert not second.HasField("seccomp_filter")


def test_no_file_without_filters() -> None:
    assert written(frozen(None, STRICT)) == []


@pytest.mark.parametrize("chains", [
    ((A, B, C),), ((A, LOGGED), (A,), None), ((A, B), (A, B)), (STRICT, (A,)), (None, (A,)), ((LOGGED, A), (B, A)),
])  # fmt: skip
def test_there_and_back(chains: tuple[Chain | None, ...]) -> None:
    made = frozen(*chains)
    seccomp.write(made)
    new = restored([thread.core for thread in made.alive[0].threads], list(made.images.entry.seccomp_filters))
    found = tuple(new.chains.get(7 + i) for i in range(len(chains)))
    assert [c and [(f.code, f.flags & ~TSYNC) for f in c] for c in found] == [c and [*map(tuple, c)] for c in chains]


def test_what_all_threads_have_they_are_born_with() -> None:
    found = installed((A, B, C), (A, B), (A, B, A))
    assert found == {"pid 7": ["0 A", "0 B", "0 C"], "pid 7, thread 8": [], "pid 7, thread 9": ["0 A"]}


def test_nothing_is_common_with_an_unconfined_thread() -> None:
    found = installed((A,), None, STRICT)
    assert found == {"pid 7": ["0 A"], "pid 7, thread 8": [], "pid 7, thread 9": ["prctl 22 1 0 0 0"]}


def test_flags_of_the_installation_stay_out() -> None:
    assert installed((Filter(A.code, LOG | TSYNC),)) == {"pid 7": ["2 A"]}


def test_before_the_credentials_and_suspended() -> None:
    new = tree(Born(7))
    new.chains = {7: (A,)}
    new.root.core.thread_core.creds.CopyFrom(creds.entry(own.status(), 0))
    new.root.core.thread_core.creds.uid = 1000
    creds.restore_thread(new.root.leader)
    seccomp.restore(new.root)
    new.graph.order()
    assert words(new.root.leader.actor.ops[0]).startswith("seccomp")
    assert seccomp.options(new)
    new.chains = {}
    assert not seccomp.options(new)


def test_older_images_confine_the_whole_process() -> None:
    leader = pb.core_entry()
    leader.tc.old_seccomp_mode, leader.tc.old_seccomp_filter = pb.seccomp_mode.filter, 1
    filters = [pb.seccomp_filter(filter=B.code), pb.seccomp_filter(filter=A.code, prev=0)]
    assert restored([leader, pb.core_entry()], filters).chains == {7: (A, B), 8: (A, B)}


@pytest.mark.parametrize("filters, first, what", [
    ([], 0, "there are no filters"),
    ([pb.seccomp_filter(filter=A.code)], 1, "there is no filter 1"),
    ([pb.seccomp_filter(filter=A.code, prev=5), pb.seccomp_filter(filter=A.code)], 0, "there is no filter 5"),
    ([pb.seccomp_filter(filter=A.code, prev=0)], 0, "has no end"),
    ([pb.seccomp_filter(filter=A.code, prev=1), pb.seccomp_filter(filter=A.code, prev=0)], 1, "has no end"),
    ([pb.seccomp_filter(filter=b"")], 0, "0 bytes"),
    ([pb.seccomp_filter(filter=A.code + b"\0")], 0, "9 bytes"),
    ([pb.seccomp_filter(filter=A.code * (BPF_MAXINSNS + 1))], 0, "no program"),
    ([pb.seccomp_filter(filter=A.code, flags=8)], 0, "flags 0x8"),
])  # fmt: skip
def test_hostile_images(filters: list[pb.seccomp_filter], first: int, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        chained(*filters, first=first)


def test_an_engine_that_is_confined_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    confined = own.status()._replace(seccomp=2)
    monkeypatch.setattr(own, "status", lambda: confined)
    (obstacle,) = seccomp.prepare(tree(Born(7)))
    assert "the restored tasks would inherit" in str(obstacle)


def test_an_engine_without_the_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    poor = own.status()._replace(cap_effective=own.status().cap_effective & ~(1 << CAP_SYS_ADMIN))
    monkeypatch.setattr(own, "status", lambda: poor)
    new = tree(Born(7))
    assert not seccomp.prepare(new)
    new.root.core.thread_core.seccomp_mode = pb.seccomp_mode.strict
    (obstacle,) = seccomp.prepare(new)
    assert "lacks CAP_SYS_ADMIN" in str(obstacle)


def test_listeners_are_recognised() -> None:
    assert seccomp._notifies(A.code + code(SECCOMP_RET_USER_NOTIF))
    assert not seccomp._notifies(A.code)
