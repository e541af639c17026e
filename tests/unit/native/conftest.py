"""The interpreter, built once for all tests into a directory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from native import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with interp.o, interp.elf, interp.bin and skeleton."""
    work = tmp_path_factory.mktemp("native")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "PLAN", work)
        build.build_blob(work)
    return work
