"""Places for the arena: free in every task, or refused."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import AmberError
from engine.plan.place import HIGHEST, LOWEST, find_hole

PAGE = 4096


class Area(NamedTuple):
    start: int
    end: int


PAGES = st.one_of(
    st.integers(LOWEST // PAGE - 64, LOWEST // PAGE + 4096),
    st.integers(0x10, HIGHEST // PAGE),
)
AREAS = st.lists(st.builds(lambda page, count: Area(page * PAGE, (page + count) * PAGE), PAGES, st.integers(1, 2000)))
SIZES = st.integers(1, 600).map(lambda pages: pages * PAGE)


@given(AREAS, SIZES)
def test_a_hole_touches_nobody(areas: list[Area], size: int) -> None:
    """Areas come in any order, of several tasks, and overlap one another."""
    at = find_hole(areas, size)
    assert at % PAGE == 0
    assert LOWEST <= at <= HIGHEST - size
    assert not [area for area in areas if area.start < at + size and at < area.end]


def test_an_area_within_another_hides_nothing() -> None:
    outer, inner = Area(LOWEST, LOWEST + 100 * PAGE), Area(LOWEST + PAGE, LOWEST + 2 * PAGE)
    assert find_hole([outer, inner], PAGE) >= outer.end


def test_a_stack_above_keeps_room_to_grow() -> None:
    stack = Area(LOWEST + (1 << 20), LOWEST + (2 << 20))
    assert find_hole([stack], PAGE) >= stack.end


def test_no_room_is_an_error_that_says_so() -> None:
    with pytest.raises(AmberError, match="no hole of 4096 bytes"):
        find_hole([Area(PAGE, HIGHEST)], PAGE)
    with pytest.raises(AmberError, match="no hole"):
        find_hole([], HIGHEST - LOWEST + PAGE)
