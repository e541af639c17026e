"""maps and smaps of several kernels, and of ourselves."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from engine.kernel.proc import ProcDir, parse_maps, parse_smaps

# 5.10: a program with a deleted library, a name with blanks, a device-less memfd.
MAPS_5_10 = b"""\
555555554000-555555556000 r--p 00000000 08:01 1835082                    /usr/bin/sleep
555555579000-55555559a000 rw-p 00000000 00:00 0                          [heap]
7ffff7d00000-7ffff7d01000 rw-s 00000000 00:01 3072                       /memfd:ring (deleted)
7ffff7d02000-7ffff7d03000 r-xp 00001000 103:05 4294967299                /srv/my app/lib one.so (deleted)
7ffff7d04000-7ffff7d05000 ---p 00000000 00:00 0\x20
7ffff7fca000-7ffff7fce000 r--p 00000000 00:00 0                          [vvar]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""

# 6.1 with anonymous names, an uprobe, SysV memory, a newline in a name, a name of blanks at the end.
MAPS_6_1 = b"""\
7f0000000000-7f0000021000 rw-p 00000000 00:00 0                          [anon:malloc arena]
7f0000030000-7f0000031000 rw-s 00000000 00:00 0                          [anon_shmem:shared pool]
7f0000040000-7f0000041000 rw-s 00000000 00:01 32769                      /SYSV0000002a (deleted)
7f0000050000-7f0000051000 r--p 00000000 fd:00 77                         /tmp/two\\012lines
7f0000060000-7f0000061000 r--p 00000000 fd:00 78                         /tmp/ends in blanks\x20\x20
7fffffffe000-7ffffffff000 --xp 00000000 00:00 0                          [uprobes]
"""


def test_a_5_10_kernel() -> None:
    maps = parse_maps(MAPS_5_10)
    assert len(maps) == 8
    first, heap, memfd, library, guard = maps[:5]
    assert (first.start, first.end, first.name) == (0x555555554000, 0x555555556000, "/usr/bin/sleep")
    assert (first.prot, first.shared, first.device) == (mmap.PROT_READ, False, os.makedev(8, 1))
    assert (heap.name, heap.device, heap.inode) == ("[heap]", 0, 0)
    assert memfd.shared and memfd.prot == mmap.PROT_READ | mmap.PROT_WRITE
    assert library.name == "/srv/my app/lib one.so (deleted)"
    assert (library.offset, library.device, library.inode) == (0x1000, os.makedev(0x103, 5), 4294967299)
    assert (guard.prot, guard.name) == (0, "")
    assert maps[-1].end == 0xFFFFFFFFFF601000


def test_odd_names() -> None:
    names = [mapping.name for mapping in parse_maps(MAPS_6_1)]
    assert names == [
        "[anon:malloc arena]",
        "[anon_shmem:shared pool]",
        "/SYSV0000002a (deleted)",
        "/tmp/two\nlines",
        "/tmp/ends in blanks  ",
        "[uprobes]",
    ]


@pytest.mark.parametrize("permissions", ["---p", "r--s", "rw-p", "rwxs", "--xp", "-w-s"])
def test_permissions(permissions: str) -> None:
    (mapping,) = parse_maps(f"1000-2000 {permissions} 00000000 00:00 0 \n".encode())
    shown = "".join(letter if mapping.prot & bit else "-" for letter, bit in (("r", 1), ("w", 2), ("x", 4)))
    assert shown + ("s" if mapping.shared else "p") == permissions


def test_no_memory_at_all() -> None:
    assert parse_maps(b"") == []
    assert parse_smaps(b"") == []


def entry(header: str, *, page: int, rss: int, extra: str = "", flags: str) -> bytes:
    return (
        f"{header}\nSize:  {page} kB\nKernelPageSize:   {page} kB\nMMUPageSize:  {page} kB\nRss:  {rss} kB\n"
        f"Pss: 0 kB\n{extra}Anonymous:   {rss} kB\nLazyFree: 0 kB\nSwap:     12 kB\nSwapPss: 0 kB\n"
        f"Locked: 0 kB\nTHPeligible:    0\nVmFlags: {flags} \n"
    ).encode()


def test_smaps_of_two_kernels() -> None:
    raw = entry("1000-2000 rw-p 00000000 00:00 0 ", page=4, rss=4, flags="rd wr mr mw me ac sd")
    raw += entry(
        "7f0000000000-7f0000200000 rw-s 00000000 00:10 5    /anon_hugepage (deleted)",
        page=2048,
        rss=0,
        extra="Pss_Dirty: 0 kB\nKSM: 0 kB\n",  # 6.1 and 6.6
        flags="rd wr sh ht dd",
    )
    small, huge = parse_smaps(raw)
    assert small.flags == {"rd", "wr", "mr", "mw", "me", "ac", "sd"}
    assert (small.page_size, small.resident, small.anonymous, small.swapped) == (4096, 4096, 4096, 12288)
    assert (huge.mapping.name, huge.page_size, huge.resident) == ("/anon_hugepage (deleted)", 2 << 20, 0)
    assert "ht" in huge.flags


def test_our_own_mappings(tmp_path: Path) -> None:
    path = tmp_path / "a b\nc (deleted)"
    path.write_bytes(b"x" * 8192)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ, offset=4096):
        with ProcDir(os.getpid()) as ours:
            plain, detailed = ours.maps(), ours.smaps()
        (mapping,) = (m for m in plain if m.name == str(path))
        assert mapping.end - mapping.start == mapping.offset == 4096
        assert (mapping.device, mapping.inode) == (path.stat().st_dev, path.stat().st_ino)
        (detail,) = (d for d in detailed if d.mapping == mapping)
        assert {"rd", "ms"} <= detail.flags  # not "sh": the descriptor cannot write
