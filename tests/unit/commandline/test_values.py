"""Texts become values, and bad texts are refused with what would be right."""

from __future__ import annotations

import pytest

from engine.commandline import values


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("512", 512), ("3K", 3072), ("2M", 2 << 20), ("1G", 1 << 30)])
def test_size(text: str, expected: int) -> None:
    assert values.size(text) == expected


@pytest.mark.parametrize("text", ["", "K", "-1", "1k", "1KB", "1.5M", "²"])
def test_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        values.size(text)


@pytest.mark.parametrize("text", ["", "0", "-4", "four", "4x", "²", "+4", "2147483648", "9" * 5000])
def test_positive_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        values.positive(text)


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        ([None], 3),
        ([None, None], 4),
        (["v"], 4),
        (["vvv"], 6),
        (["v4"], 4),
        (["4"], 4),
        (["0"], 0),
        (["4", None], 5),
        (["erbosity=0"], 0),
        (["3x"], 3),
    ],
)
def test_verbosity(texts: list[str | None], level: object) -> None:
    value: object = 2
    for text in texts:
        value = values.louder(value, text)
    assert value == level


def test_every_occurrence_counts() -> None:
    fold = values.every(values.text)
    assert fold(fold((), "a"), "b") == ("a", "b")


def test_the_last_occurrence_counts_and_may_be_bare() -> None:
    fold = values.last(values.choice("soft", "full"), "soft")
    assert fold("soft", "full") == "full"
    assert fold("full", None) == "soft"
    with pytest.raises(ValueError, match="one of soft, full is expected"):
        fold("soft", "hard")
