"""Who must be born in which session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.resources.task.sessions import OUTSIDE, Member, births


def test_a_child_of_the_same_session() -> None:
    born, wrong = births([Member(1, 0, 1), Member(2, 1, 1)])
    assert born == {1: None, 2: 1}
    assert not wrong


def test_a_child_born_before_setsid_says_where_its_parent_was() -> None:
    born, wrong = births([Member(1, 0, 1), Member(2, 1, 2), Member(3, 2, 1), Member(4, 2, 2)])
    assert born == {1: None, 2: 1, 3: 1, 4: 2}
    assert not wrong


def test_the_earlier_session_is_known_from_a_descendant() -> None:
    """3 leads a session; its child 4 was born before that, in the session that 2 left too."""
    born, wrong = births([Member(1, 0, 1), Member(2, 1, 2), Member(3, 2, 3), Member(4, 3, 1)])
    assert born == {1: None, 2: 1, 3: 1, 4: 1}
    assert not wrong


def test_sessions_led_from_outside_are_one() -> None:
    born, wrong = births([Member(5, 0, 99), Member(6, 5, 99), Member(7, 5, 7), Member(8, 7, 99)])
    assert born == {5: OUTSIDE, 6: OUTSIDE, 7: OUTSIDE, 8: OUTSIDE}
    assert not wrong


def test_a_parent_cannot_have_been_in_two_sessions_before() -> None:
    _, wrong = births([Member(1, 0, 1), Member(2, 1, 2), Member(3, 2, 3), Member(4, 3, 1), Member(5, 3, 2)])
    assert 3 in wrong
    assert "[1, 2]" in wrong[3]


def test_nobody_is_born_into_the_session_of_a_sibling() -> None:
    _, wrong = births([Member(1, 0, 1), Member(2, 1, 2), Member(3, 1, 2)])
    assert wrong == {1: "processes that do not descend from pid 2 are in the session 2"}


@st.composite
def histories(draw: st.DrawFn) -> list[Member]:
    """A tree that has come about by forks and setsids, in any order."""
    parents, session = {1: 0}, {1: 1}
    for number in range(2, draw(st.integers(2, 12))):
        parent = draw(st.sampled_from(sorted(parents)))
        parents[number], session[number] = parent, session[parent]
        leader = draw(st.sampled_from(sorted(parents)))
        if draw(st.booleans()):
            session[leader] = leader
    return [Member(pid, parents[pid], session[pid]) for pid in parents]


@given(histories())
def test_what_has_happened_is_possible(members: list[Member]) -> None:
    born, wrong = births(members)
    assert not wrong
    own = {m.pid: m.session for m in members}
    for member in members[1:]:
        birth, parent = born[member.pid], member.parent
        assert birth is None or birth in (own[parent], born[parent])
