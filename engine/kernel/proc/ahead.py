"""Reading ahead: all small files of many processes in one crossing into C, by both cores.

While a tree is frozen its /proc does not change. What will be asked for anyway is read at once; a `ProcDir` then gives
each text to whoever asks for it first. Which files these are decides only how fast it goes: any other is read when it
is asked for, and so is one that found no room.
"""

from __future__ import annotations

import struct

from engine.kernel._native import ffi, lib
from engine.kernel.proc.directory import ProcDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FILES = ("stat", "status", "smaps", "limits", "auxv", "oom_score_adj", "personality", "timers", "coredump_filter")
LINKS = ("exe", "cwd", "root", *(f"ns/{kind}" for kind in (
    "pid", "net", "ipc", "uts", "mnt", "time", "user", "cgroup", "pid_for_children", "time_for_children")))  # fmt: skip
FIXED, PER_MAPPING, PER_THREAD, CHILDREN = 16384, 1024, 4096, 64  # bytes of texts
_ROW = struct.Struct("<iiQqQ")
"""struct text of native/many.c"""


class Reader:
    """Room for texts, made and touched before the freeze."""

    def __init__(self) -> None:
        self._texts = bytearray(FIXED)

    def expect(self, mappings: int, threads: int) -> None:
        """One more process will be read that has so many of each."""
        self._texts += bytes(2 * (FIXED + mappings * PER_MAPPING + threads * PER_THREAD))

    def read(self, processes: Iterable[tuple[ProcDir, Sequence[int]]]) -> None:
        """Everything about processes and those of their threads that are given by tid."""
        wanted: list[tuple[ProcDir, str, int]] = []
        for proc, tids in processes:
            wanted += [(proc, name, 0) for name in FILES]
            wanted += [(proc, name, 1) for name in LINKS]
            wanted += [(proc, f"task/{tid}/cgroup", 0) for tid in tids]
            wanted += [(proc, f"task/{tid}/status", 0) for tid in tids if tid != proc.pid]
        found = _read([(proc.fd, name, link) for proc, name, link in wanted], self._texts)
        for (proc, name, _), text in zip(wanted, found, strict=True):
            if text is not None:  # errors come again, and are explained, when somebody asks
                proc.held[name] = text


def hold_children(proc: ProcDir, tids: Sequence[int]) -> None:
    """The lists of children of many threads, which whoever freezes a tree reads again and again."""
    names = [f"task/{tid}/children" for tid in tids]
    room = bytearray(PER_THREAD + 2 * CHILDREN * len(tids))
    for name, text in zip(names, _read([(proc.fd, name, 0) for name in names], room), strict=True):
        if text is not None:
            proc.held[name] = text


def _read(wanted: Sequence[tuple[int, str, int]], room: bytearray) -> list[bytes | None]:
    """(directory, name, whether it is a link) -> the text, None if it cannot be had or found no room."""
    names = ffi.new("char[]", b"\0".join(name.encode() for _, name, _ in wanted) + b"\0")
    at = int(ffi.cast("uint64_t", names))
    raw = bytearray(_ROW.size * len(wanted))
    for i, (directory, name, link) in enumerate(wanted):
        _ROW.pack_into(raw, i * _ROW.size, directory, link, at, 0, 0)
        at += len(name) + 1
    lib.read_many(ffi.cast("struct text *", ffi.from_buffer(raw)), len(wanted), ffi.from_buffer(room), len(room))
    rows = _ROW.iter_unpack(raw)
    return [bytes(room[begin : begin + size]) if size >= 0 else None for _, _, _, size, begin in rows]
