"""Actions, stacks, queues."""

from __future__ import annotations

import signal

import pytest

from engine.abi.signal import SI_KERNEL, SI_QUEUE, SI_USER, SIGACTION, SIGALTSTACK, SIGINFO
from engine.errors import ImageError, Refused
from engine.images import pb
from engine.rebuild import DEAD
from engine.resources import stages
from engine.resources.task import signals
from engine.resources.task.signals import CATCHABLE
from tests.unit.resources.task.trees import Born, calls, data, siginfo, task, tree, words

DEFAULT = pb.sa_entry(sigaction=0, flags=0, restorer=0, mask=0)


def queue(*infos: bytes) -> pb.signal_queue_entry:
    return pb.signal_queue_entry(signals=[pb.siginfo_entry(siginfo=info) for info in infos])


def test_sixty_two_signals_can_be_caught() -> None:
    assert len(CATCHABLE) == 62
    assert set(range(1, 65)) - set(CATCHABLE) == {signal.SIGKILL, signal.SIGSTOP}


def test_an_action_is_restored_at_its_signal() -> None:
    one = task()
    one.core.tc.sigactions.extend([DEFAULT] * len(CATCHABLE))
    at = CATCHABLE.index(signal.SIGUSR1)
    one.core.tc.sigactions[at].CopyFrom(pb.sa_entry(sigaction=0x401000, flags=0x14000004, restorer=0x402000, mask=5))
    found = calls(one, signals.restore)
    assert [words(op) for op in found] == ["rt_sigaction 10 & 0 8", "rt_sigaction 17 & 0 8"]
    wanted = SIGACTION.pack(sa_handler=0x401000, sa_flags=0x14000004, sa_restorer=0x402000, sa_mask=5)
    assert data(one.tree.plan, found[0], 1, SIGACTION.size) == wanted


def test_the_action_of_sigchld_is_always_restored() -> None:
    """It was set to something of our own on the way."""
    one = task()
    one.core.tc.sigactions.extend([DEFAULT] * len(CATCHABLE))
    (op,) = calls(one, signals.restore)
    assert data(one.tree.plan, op, 1, SIGACTION.size) == bytes(SIGACTION.size)


def test_too_few_actions() -> None:
    one = task()
    one.core.tc.sigactions.append(DEFAULT)
    with pytest.raises(ImageError, match=r"core-7\.img: it has 1 signal actions, not 62"):
        signals.restore(one)


def test_queues_keep_their_order_and_every_byte() -> None:
    one = task()
    infos = [siginfo(40, SI_QUEUE), siginfo(34, SI_USER), siginfo(40, SI_KERNEL)]
    one.core.tc.signals_s.CopyFrom(queue(*infos))
    found = calls(one, signals.restore)
    assert [words(op) for op in found] == [f"rt_sigqueueinfo 7 {n} &" for n in (40, 34, 40)]
    assert [data(one.tree.plan, op, 2, 128) for op in found] == infos


def test_a_threads_queue_is_its_own_and_filled_between_actions_and_limits() -> None:
    """An action that ignores a signal empties the queues of all threads, and one limit is for all of them."""
    new = tree(Born(5, threads=(6,)))
    leader, thread = new.root.threads
    thread.core.thread_core.signals_p.CopyFrom(queue(siginfo(12, SI_USER)))
    new.root.core.tc.sigactions.extend([DEFAULT] * len(CATCHABLE))
    signals.restore(new.root)
    with new.root.step(stages.LIMITS, "limits") as step:
        step.call("getpid")
    new.graph.order()
    assert [words(op) for op in thread.actor.ops] == ["wait", "rt_tgsigqueueinfo 5 6 12 &", "post"]
    assert [words(op) for op in leader.actor.ops] == ["rt_sigaction 17 & 0 8", "post", "wait", "getpid"]


@pytest.mark.parametrize("raw", [b"", bytes(128), siginfo(65, 0), siginfo(9, 0)[:127]])
def test_a_damaged_siginfo(raw: bytes) -> None:
    with pytest.raises(ImageError, match="a pending signal is damaged"):
        signals.queued(queue(raw), "core-7.img")


def test_signals_without_a_place_in_the_queue_are_not_lost() -> None:
    entries = signals._entries([siginfo(10, SI_QUEUE)], 1 << 10 - 1 | 1 << 12 - 1)
    assert [SIGINFO.get(e.siginfo, "si_signo") for e in entries] == [10, 12]
    assert SIGINFO.get(entries[1].siginfo, "si_code") == SI_USER


def test_an_alternate_stack_with_its_flags() -> None:
    one = task()
    one.leader.core.thread_core.sas.CopyFrom(pb.thread_sas_entry(ss_sp=0x7000, ss_size=8192, ss_flags=0x80000000 | 1))
    found = calls(one, lambda t: signals.restore_thread(t.leader))
    stack = SIGALTSTACK.unpack(data(one.tree.plan, found[0], 0, SIGALTSTACK.size))
    assert stack == {"ss_sp": 0x7000, "ss_flags": -0x80000000, "ss_size": 8192}


def test_a_quiet_signal_stops_tasks() -> None:
    assert signals.free_signal(tree(Born(5))) == signal.SIGURG


def test_a_signal_that_waits_is_not_used() -> None:
    new = tree(Born(5), Born(6, 5, state=DEAD, exit_code=64))
    new.root.core.tc.signals_s.CopyFrom(queue(*(siginfo(n, 0) for n in (23, 28, 17))))
    assert signals.free_signal(new) == 63


def test_a_signal_that_tells_of_a_death_is_not_used() -> None:
    new = tree(Born(5), Born(6, 5, state=DEAD, exit_signal=64), Born(7, 5, state=DEAD))
    new.root.core.tc.signals_s.CopyFrom(queue(siginfo(23, 0), siginfo(28, 0)))
    assert signals.free_signal(new) == 63


def test_no_signal_is_left() -> None:
    new = tree(Born(5))
    new.root.core.thread_core.signals_p.CopyFrom(queue(*(siginfo(n, 0) for n in range(1, 65))))
    with pytest.raises(Refused, match="none is left"):
        signals.free_signal(new)
