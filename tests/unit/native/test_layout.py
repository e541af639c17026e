"""What Python writes is what C reads: numbers and structures, held together by the compiler."""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING

import pytest

from engine.abi import syscalls
from engine.plan import builder, ops
from native.build import BLOB_FLAGS, HERE

if TYPE_CHECKING:
    import struct
    from pathlib import Path

OP = "code policy nr dst from_slot allowed expect arg".split()  # noqa: SIM905
CONTROL = "pc ops slots error error_pc result on_error frame halt".split()  # noqa: SIM905
CODES = "CALL STORE LOAD FULL_IO WAIT POST SPAWN REPEAT HALT END".split()  # noqa: SIM905
POLICIES = "ANY MUST EQUAL MAY".split()  # noqa: SIM905
CALLS = "rt_sigreturn pause getpid gettid futex tgkill clone3 pread64 pwrite64".split()  # noqa: SIM905


def accepts(work: Path, claims: list[str]) -> subprocess.CompletedProcess[str]:
    """Compiles the interpreter with static assertions behind it."""
    asserts = "\n".join(f'_Static_assert({claim}, "{claim}");' for claim in claims)
    source = work / "claims.c"
    source.write_text(f'#include "{HERE}/interp.c"\n{asserts}\n')
    command = ["gcc", *BLOB_FLAGS, "-fsyntax-only", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def offsets(structure: struct.Struct, fields: list[str], kind: str) -> list[str]:
    """One claim per field, from the letters of a format without padding."""
    sizes = {"B": 1, "H": 2, "I": 4, "Q": 8, "q": 8}
    letters = structure.format.lstrip("<").replace("6Q", "Q")
    claims, at = [], 0
    for field, letter in zip(fields, letters, strict=False):
        claims.append(f"__builtin_offsetof(struct {kind}, {field}) == {at}")
        at += sizes[letter]
    return claims


def test_numbers(tmp_path: Path) -> None:
    claims = [f"{name} == {getattr(ops, name)}" for name in CODES + POLICIES]
    claims += [f"NR_{name.upper()} == {getattr(syscalls.NR, name)}" for name in CALLS]
    claims += [f"{ops.UNEXPECTED} == 4095", f"EINTR == {errno.EINTR}", f"ENODATA == {errno.ENODATA}"]
    done = accepts(tmp_path, claims)
    assert not done.returncode, done.stderr


def test_structures(tmp_path: Path) -> None:
    claims = [f"sizeof(struct op) == {ops.LAYOUT.size}", f"sizeof(struct control) == {ops.CONTROL.size}"]
    claims += offsets(ops.LAYOUT, OP, "op") + offsets(ops.CONTROL, CONTROL, "control")
    claims.append(f"sizeof(struct control) <= {builder.CONTROL_SIZE}")
    done = accepts(tmp_path, claims)
    assert not done.returncode, done.stderr


LIES = ["CALL == 2", "sizeof(struct op) == 80", "__builtin_offsetof(struct control, halt) == 0"]


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_claim_is_seen(tmp_path: Path, lie: str) -> None:
    assert "static assertion failed" in accepts(tmp_path, [lie]).stderr


def test_every_code_has_a_name() -> None:
    assert {number: name for name in CODES if (number := getattr(ops, name))} == ops.NAMES
