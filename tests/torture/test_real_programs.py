"""Real programs survive checkpoints at random moments, and what they make is what they make undisturbed."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .journey import FULL, Journey, Program, count

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def images() -> Iterator[Path]:
    """A directory in memory: what is tortured here is not the disk."""
    path = Path(f"/dev/shm/amber-torture-{os.getpid()}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def nothing(_: Path) -> None:
    """Not every program needs something prepared."""


def read_result(place: Path) -> str:
    """What the program wrote into its own file; what it complained of goes with it."""
    return (place / "result").read_text() + (place / "log").read_text()


def need(program: str) -> None:
    """Skips where a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")


def test_compression_in_a_pipeline(tmp_path: Path, images: Path) -> None:
    need("xz")
    size = count(16, 200)
    data = tmp_path / "data"
    _write_compressible(data, size << 20)
    options = "-T2 -9" if FULL else "-T2 -3"
    command = f"xz {options} < {data} | sha256sum > result"
    journey = Journey(Program(["bash", "-c", command], nothing, read_result), tmp_path, images, count(2, 20))
    assert len(journey.travel().split()[0]) == 64


def test_a_build_whose_tree_changes_all_the_time(tmp_path: Path, images: Path) -> None:
    need("make")
    need("gcc")
    program = Program(["make", "-s", "-j2"], lambda place: _write_project(place, count(50, 60)), _objects)
    Journey(program, tmp_path, images, count(3, 20)).travel()


def test_python_with_threads_a_database_and_a_subprocess(tmp_path: Path, images: Path) -> None:
    argv = [sys.executable, str(HERE / "threads.py"), str(count(800, 4000))]
    # in the middle of a transaction the database is locked, and locks are refused by name
    program = Program(argv, nothing, read_result, refusal="it holds file locks")
    Journey(program, tmp_path, images, count(3, 20)).travel()


def test_a_shell_with_traps_and_jobs(tmp_path: Path, images: Path) -> None:
    argv = ["bash", str(HERE / "loop.sh"), str(count(300, 1200))]
    Journey(Program(argv, nothing, read_result), tmp_path, images, count(3, 20)).travel()


def _write_compressible(path: Path, size: int) -> None:
    """Some noise, much repetition: there is something to find and something to carry."""
    chance = random.Random(7)
    block = 1 << 16
    with open(path, "wb") as file:
        for _ in range(size // block):
            file.write(chance.randbytes(block // 16))
            file.write(bytes(chance.choices(b"abcdefgh", k=64)) * (block // 64 - block // 1024))


def _write_project(place: Path, files: int) -> None:
    names = [f"part{number}" for number in range(files)]
    for number, name in enumerate(names):
        (place / f"{name}.c").write_text(_source(number))
    calls = "".join(f"x = {name}(x);" for name in names)
    declared = "".join(f"unsigned {name}(unsigned);" for name in names)
    body = f'unsigned x = 1; {calls} printf("%u\\n", x); return 0;'
    main = f"#include <stdio.h>\n{declared}\nint main(void) {{ {body} }}\n"
    (place / "main.c").write_text(main)
    objects = " ".join(f"{name}.o" for name in [*names, "main"])
    (place / "Makefile").write_text(
        f"result: program\n\t./program > $@\nprogram: {objects}\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n"
    )


def _source(number: int) -> str:
    chain = "".join(f"x = f{n}(x);" for n in range(20))
    functions = "".join(map(_function, range(20), range(number, number + 20)))
    headers = "#include <stdlib.h>\n#include <stdio.h>\n"
    return f"{headers}{functions}unsigned part{number}(unsigned x) {{ {chain} return x; }}\n"


def _function(name: int, seed: int) -> str:
    loop = f"for (int i = 0; i < {name + 3}; i++) x = x * {seed * 2 + 5}u + i;"
    return f"static unsigned f{name}(unsigned x) {{ {loop} return x; }}\n"


def _objects(place: Path) -> str:
    """Every object file counts, not only what the program prints."""
    digest = hashlib.sha256()
    for path in sorted(place.glob("*.o")):
        digest.update(path.name.encode() + path.read_bytes())
    return f"{digest.hexdigest()} {(place / 'result').read_text()} {(place / 'log').read_text()}"
