"""The mappings of a process, as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .facts import Numbers
from .proc import Mapping

# The flags that a program asks for by mmap, mlock and madvise (proc_pid_smaps(5)); the others follow from the
# permissions, from the kind of memory, or, like soft-dirty, from what happened to it.
_ASKED_FLAGS = frozenset(("gd", "lo", "lf", "nr", "dc", "dd", "sr", "rr", "hg", "nh", "mg", "wf", "dp"))


def mapping_facts(mappings: Iterable[Mapping], numbers: Numbers) -> dict[str, str]:
    """Address range to a description of the mapping; neighbours that differ in nothing count as one.

    The kernel merges neighbours when it can and splits them when it must: the seams are no part of a state.
    """
    facts = {}
    for mapping in _merged(mappings):
        asked = " ".join(sorted(mapping.flags & _ASKED_FLAGS))
        words = mapping.permissions, _memory_object(mapping, numbers), asked
        facts[f"{mapping.start:x}-{mapping.end:x}"] = " ".join(word for word in words if word)
    return facts


def _merged(mappings: Iterable[Mapping]) -> Iterator[Mapping]:
    last: Mapping | None = None
    for mapping in mappings:
        if last and _continues(last, mapping):
            last = last._replace(end=mapping.end)
            continue
        if last:
            yield last
        last = mapping
    if last:
        yield last


def _continues(last: Mapping, mapping: Mapping) -> bool:
    follows = last._replace(start=last.end, end=mapping.end, flags=mapping.flags)
    if mapping.inode:
        follows = follows._replace(offset=last.offset + last.end - last.start)
    return follows == mapping and last.flags & _ASKED_FLAGS == mapping.flags & _ASKED_FLAGS


# What the kernel calls memory of MAP_SHARED | MAP_ANONYMOUS. A restore may make it with memfd_create(), whose
# name the kernel puts after /memfd: - both are nameless files of the same tmpfs.
_SHARED_ANONYMOUS = "/dev/zero (deleted)"


def _memory_object(mapping: Mapping, numbers: Numbers) -> str:
    if not mapping.inode:
        return mapping.name
    name = _SHARED_ANONYMOUS if mapping.name == f"/memfd:{_SHARED_ANONYMOUS}" else mapping.name
    if name.endswith(" (deleted)"):
        name += f" {numbers.name('object', (mapping.device, mapping.inode))}"
    return f"{name} at {mapping.offset:#x}"
