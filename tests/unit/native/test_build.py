"""The build: what is there is replaced whole, and a build that failed is done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from native import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of our own for all products."""
    for name, variable in (("plan", "PLAN"), ("kernel", "KERNEL")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(build, variable, tmp_path / name)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


def test_who_uses_the_old_product_keeps_it(tmp_path: Path) -> None:
    """A library that is mapped somewhere must not be cut and written anew in its place."""
    (tmp_path / "work").mkdir()
    product, old = tmp_path / "work" / "_native.so", tmp_path / "_native.so"
    product.write_bytes(b"new")
    product.chmod(0o755)
    old.write_bytes(b"old")
    with old.open("rb") as user:
        build.install(product, tmp_path)
        assert user.read() == b"old"
    assert (old.read_bytes(), old.stat().st_mode & 0o777) == (b"new", 0o755)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_native.so", "work"]


def test_a_build_that_failed_half_way_is_not_taken_for_an_earlier_one(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the old sources back, what the new ones made must not count as theirs."""
    monkeypatch.setattr(build, "build_extension", lambda work: build.products()[-1].touch())
    build.main()
    first = build.products()[0].read_bytes()
    stamp = places / "build" / "native" / "stamp"
    assert stamp.exists()

    def fail(work: Path) -> None:
        build.products()[0].write_bytes(b"of other sources")
        raise SystemExit("no compiler")

    with monkeypatch.context() as changed:
        changed.setattr(build, "digest", lambda: "other sources")
        changed.setattr(build, "build_extension", fail)
        with pytest.raises(SystemExit, match="no compiler"):
            build.main()
    build.main()
    assert build.products()[0].read_bytes() == first
