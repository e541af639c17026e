"""No garbage collection while somebody waits."""

from __future__ import annotations

import gc


class NoCollection:
    """A context in which the cycle collector does not run: it would walk all objects again and again, for nothing,
    while a tree is frozen or about to run."""

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            gc.enable()
