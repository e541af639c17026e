"""What this kernel can do, by trying it: `works("pagemap_scan")`.

Never by the kernel's version number: distributions backport, configurations leave out, containers forbid.
What works is tried once per boot and kept in a file (engine/kernel/features/cache.py), so asking costs one small
read. What does not is tried anew by every process: a module may be loaded meanwhile, a program installed, and a probe
can fail for want of memory. The probes themselves are imported only when a verdict is missing.
"""

from __future__ import annotations

from engine.kernel.features import cache
from engine.tuples import NamedTuple


class Verdict(NamedTuple):
    """Whether a feature works here, and else why not."""

    works: bool
    reason: str = ""


_known: dict[str, Verdict] = {}


def verdict(name: str) -> Verdict:
    """The verdict on one feature. UsageError when there is no feature of that name."""
    return verdicts([name])[name]


def works(name: str) -> bool:
    """Whether the feature works here. UsageError when there is no feature of that name."""
    return verdict(name).works


def verdicts(names: list[str]) -> dict[str, Verdict]:
    """The verdicts on several features, tried now where nobody has before."""
    if not _known:
        _known.update(dict.fromkeys(cache.load(), Verdict(True)))
    if missing := [name for name in names if name not in _known]:
        from engine.kernel.features.catalog import find

        for name in missing:
            reason = find(name).attempt()
            _known[name] = Verdict(not reason, reason)
        cache.store(name for name, known in _known.items() if known.works)
    return {name: _known[name] for name in names}


def forget() -> None:
    """Drops what this process knows; the file stays. For tests."""
    _known.clear()
