"""/proc/PID/maps, smaps and pagemap-free facts about mappings (proc_pid_maps(5), proc_pid_smaps(5))."""

from __future__ import annotations

import functools
import os

from engine.tuples import NamedTuple

# "rw-p" -> (PROT_READ | PROT_WRITE, False): all sixteen, so that parsing is one look-up.
_PERMISSIONS = {
    f"{'-r'[r]}{'-w'[w]}{'-x'[x]}{'ps'[s]}": (r | w << 1 | x << 2, bool(s))
    for r in (0, 1)
    for w in (0, 1)
    for x in (0, 1)
    for s in (0, 1)
}


class Mapping(NamedTuple):
    """One mapping. `name` is what the kernel shows: a path, "[heap]", or "" for plain anonymous memory.

    The name of a file is no proof: " (deleted)" may be part of it, and a newline is shown as `\\012`, like
    these four characters themselves (here it is a newline). To open the file, go through /proc/PID/map_files.
    """

    start: int
    end: int
    prot: int  # PROT_READ | PROT_WRITE | PROT_EXEC
    shared: bool
    offset: int  # bytes into the file
    device: int  # as in st_dev; 0 for anonymous memory
    inode: int
    name: str


class DetailedMapping(NamedTuple):
    """A mapping with the part of its smaps entry that a dump needs. Sizes in bytes."""

    mapping: Mapping
    flags: frozenset[str]  # two-letter mnemonics, see engine.abi.internal.VM_FLAGS
    page_size: int  # of the kernel: 4096, or a huge page's size in a hugetlbfs mapping
    resident: int
    anonymous: int  # pages that no file has, the resident ones
    swapped: int


def parse_mapping(line: str) -> Mapping:
    """One line of maps, or the first line of an entry of smaps."""
    span, permissions, offset, device, inode, *name = line.split(None, 5)
    start, _, end = span.partition("-")
    prot, shared = _PERMISSIONS[permissions]
    return Mapping(
        int(start, 16),
        int(end, 16),
        prot,
        shared,
        int(offset, 16),
        parse_device(device) if device != "00:00" else 0,
        int(inode),
        name[0].replace("\\012", "\n") if name else "",
    )


def parse_device(text: str) -> int:
    """ "fd:01" (hexadecimal) as a device number like st_dev's."""
    major, _, minor = text.partition(":")
    return os.makedev(int(major, 16), int(minor, 16))


def parse_maps(raw: bytes) -> list[Mapping]:
    """All of /proc/PID/maps, in the order of addresses. Empty for a kernel thread or a zombie."""
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    return [parse_mapping(line) for line in lines if line]


def parse_smaps(raw: bytes) -> list[DetailedMapping]:
    """All of /proc/PID/smaps. The kernel walks the page tables to make it: avoid it in a freeze."""
    # VmFlags ends every entry, and no name holds a newline: what follows its line is the next entry.
    entry, *rest = raw.decode("utf-8", "surrogateescape").split("\nVmFlags: ")
    found = []
    for part in rest:
        flags, _, following = part.partition("\n")
        found.append(_parse_entry(entry, flags))
        entry = following
    return found


@functools.lru_cache(1 << 13)  # most entries are what they were when somebody looked before the freeze
def _parse_entry(text: str, flags: str) -> DetailedMapping:
    return DetailedMapping(
        parse_mapping(text[: text.index("\n")]),
        frozenset(flags.split()),
        _bytes_behind(text, "\nKernelPageSize:"),
        _bytes_behind(text, "\nRss:"),
        _bytes_behind(text, "\nAnonymous:"),
        _bytes_behind(text, "\nSwap:"),
    )


def _bytes_behind(text: str, key: str) -> int:
    at = text.index(key) + len(key)
    return int(text[at : text.index("kB", at)]) * 1024
