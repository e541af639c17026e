"""The interpreter as bytes, and where it is entered. Made by `python -m native.build`."""

from __future__ import annotations

import os

from engine.errors import AmberError

_HERE = os.path.dirname(__file__)
SKELETON = os.path.join(_HERE, "skeleton")
"""Path of the static ELF that waits to be given an arena."""

ENTER = 0
"""Offset of the entry that takes a control block in rdi and a stack in rsp; the linker script puts it first."""


def _read(name: str) -> bytes:
    try:
        with open(os.path.join(_HERE, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise AmberError(f"{name} is missing: the native part was not built; run `make setup`") from None


CODE = _read("interp.bin")
IDLE = 64
"""Offset of the skeleton's waiting loop: `mov $34, %eax; syscall; jmp` (native/blob.lds)."""

SKELETON_CODE = 0x11000
"""Where the skeleton ELF has the interpreter."""
