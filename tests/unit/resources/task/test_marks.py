"""Marks in the plan."""

from __future__ import annotations

import pytest

from engine.abi.prctl import PR_SET_THP_DISABLE
from engine.resources.memory import mm
from engine.resources.task import marks
from tests.unit.resources.task.trees import calls, task, words


@pytest.mark.parametrize("answer, disabled, flags", [(-22, False, 0), (0, False, 0), (1, True, 0), (3, True, 2)])
def test_flags_of_thp_disable(answer: int, disabled: bool, flags: int) -> None:
    """What PR_GET_THP_DISABLE answers goes into the image, and from there into PR_SET_THP_DISABLE."""
    one = task()
    mm._note_huge_pages(one.mm, answer)
    assert (one.mm.thp_disabled, one.mm.thp_disable_flags) == (disabled, flags)
    assert f"prctl {PR_SET_THP_DISABLE} {int(disabled)} {flags} 0 0" in map(words, calls(one, marks.restore))
