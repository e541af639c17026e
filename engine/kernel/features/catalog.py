"""The list of features: what each is, since when Linux has it, and the function that tries it.

    @feature(EXTRA, "5.6, commit 8649c322f75c")
    def pidfd_store() -> None:
        \"\"\"pidfd_getfd: …\"\"\"

A probe simply does the thing. It returns when that works; OSError, KernelError or Missing say why not.
Names are those of CRIU's `check --feature` where CRIU has one for it.
"""

from __future__ import annotations

from importlib import import_module

from engine.errors import KernelError, UsageError
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Probe = Callable[[], None]

ROWS = {"G26": "names of features for amber check --feature"}

REQUIRED = "required"  # no dump or restore without it
EXTRA = "extra"  # needed for some programs, or only makes things faster
EXPERIMENTAL = "experimental"

_MODULES = ("memory", "tasks", "files", "network", "namespaces")


class Missing(Exception):
    """The feature does not work; the text says what happened instead."""


class Feature(NamedTuple):
    """One ability of a kernel."""

    name: str
    doc: str  # what it is for
    since: str  # the first Linux that has it, and the commit
    category: str
    alone: bool  # tried in a forked child: it changes the process that tries it
    probe: Probe

    def attempt(self) -> str:
        """Tries it: "" when it works, else why not."""
        if self.alone:
            from engine.kernel.features.child import run_alone

            return run_alone(self.trial)
        return self.trial()

    def trial(self) -> str:
        """Tries it in this very process."""
        try:
            self.probe()
        except (Missing, KernelError) as error:
            return str(error)
        except OSError as error:
            return f"{error.strerror or error}"
        return ""


_features: dict[str, Feature] = {}


def feature(category: str, since: str, *, name: str = "", alone: bool = False) -> Callable[[Probe], Probe]:
    """Puts a probe on the list, under its function's name."""

    def register(probe: Probe) -> Probe:
        called = name or probe.__name__
        doc = " ".join((probe.__doc__ or "").split())
        assert doc and called not in _features, called
        _features[called] = Feature(called, doc, since, category, alone, probe)
        return probe

    return register


def features() -> dict[str, Feature]:
    """All features by name, in the order in which they are listed."""
    for module in _MODULES:
        import_module(f"engine.kernel.features.{module}")
    return _features


def find(name: str) -> Feature:
    """The feature of that name. UsageError when there is none."""
    found = features().get(name)
    if found is None:
        raise UsageError(f"unknown feature '{name}': one of {', '.join(sorted(_features))}")
    return found
