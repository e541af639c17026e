"""Images as if they came from another kernel: their vdso has another build id, and its functions may be wrecked."""

from __future__ import annotations

import os
from pathlib import Path

from engine.images.directory import ImageDir
from engine.options import RestoreOptions
from engine.resources.memory.symbols import functions
from engine.resources.memory.vdso import VDSO
from engine.restorer import restore

PAGE = 4096
BREAKPOINT = b"\xcc"  # who runs into old code ends by SIGTRAP
NOTE = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"  # of the build id, 20 bytes


def move(images: Path, wreck: bool) -> int:
    """Changes a set of images; how many tasks have a vdso."""
    directory = ImageDir.open(str(images))
    tasks = [item.pid for item in directory.read("PSTREE") if directory.exists("MM", item.pid)]
    found = [place for pid in tasks if (place := _code(directory, pid))]
    for path, offset, size in found:
        with open(path, "r+b") as file:
            file.seek(offset)
            code = bytearray(file.read(size))
            file.seek(offset)
            file.write(_another(code, wreck))
    return len(found)


def _code(directory: ImageDir, pid: int) -> tuple[str, int, int] | None:
    """Which file holds the code of its vdso, where, and how long it is."""
    area = next((v for v in directory.read_one("MM", pid).vmas if v.status & VDSO), None)
    head, *entries = directory.read("PAGEMAP", pid)
    offset = 0
    for entry in entries:
        size = (entry.nr_pages or entry.compat_nr_pages) * PAGE
        if area and entry.vaddr <= area.start < entry.vaddr + size:
            path = directory.path(f"pages-{head.pages_id}.img")
            return path, offset + area.start - entry.vaddr, area.end - area.start
        offset += size
    return None


def _another(code: bytearray, wreck: bool) -> bytearray:
    # by what it says of itself, so that relatives, whose pages are equal, stay alike
    at = code.index(NOTE) + len(NOTE)
    code[at : at + 20] = bytes(byte + 1 & 255 for byte in code[at : at + 20])
    for function in functions(bytes(code)).values() if wreck else ():
        code[function.start : function.start + function.size] = BREAKPOINT * function.size
    return code


def run(amber: str, words: list[str], wreck: bool) -> None:
    """In place of `amber`: what it is to restore is changed before, and every vdso must get a stand-in, but those that
    are inherited."""
    if words[0] == "restore":
        images = words[words.index("--images-dir") + 1]
        moved = move(Path(images), wreck)
        explained = restore(RestoreOptions(images_dir=images, explain=True)).listing
        if bool(moved) != ("stand-in for its vdso" in explained):
            raise SystemExit(f"{moved} tasks have a vdso of another kernel, but:\n{explained}")
    os.execv(amber, [amber, *words])
