"""Our NamedTuple is typing's, but for the time that importing it takes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import typing

import pytest

from engine.tuples import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        return self.x + self.y

    def __str__(self) -> str:
        return f"({self.x}, {self.y})"


class Model(typing.NamedTuple):
    """A place."""

    x: int
    y: int = 2


def test_it_behaves_like_that_of_typing() -> None:
    ours, theirs = Point(1), Model(1)
    assert tuple(ours) == tuple(theirs) == (1, 2)
    assert Point._fields == Model._fields
    assert tuple(ours._replace(y=3)) == tuple(theirs._replace(y=3))
    assert ours._asdict() == theirs._asdict()
    assert repr(ours) == repr(theirs).replace("Model", "Point")
    assert Point.__doc__ == Model.__doc__
    assert Point.__module__ == Model.__module__


def test_methods_and_properties_stay() -> None:
    assert Point(1).sum == 3
    assert str(Point(1)) == "(1, 2)"


def test_it_cannot_be_changed_and_takes_no_wrong_fields() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Point(1).z = 2  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Point(z=1)  # type: ignore[call-arg]


def test_it_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)


def test_typing_is_not_imported() -> None:
    code = "import sys; sys.path.insert(0, '.'); import engine.tuples; sys.exit('typing' in sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code], timeout=30, check=False)
    assert done.returncode == 0
