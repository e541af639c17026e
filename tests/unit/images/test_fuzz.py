"""Damaged files give ImageError or are read; nothing else, and not slowly.

Mutations are those of accidents and of attackers: cut, flipped, stretched, swapped, and lengths that lie. All of
them are drawn from a seed, so that a failure can be had again.
"""

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from engine.errors import ImageError
from engine.images import crit
from engine.images.catalog import CATALOG, ImageType
from engine.images.directory import ImageDir
from engine.images.format import read_image
from tests.unit.images.messages import WITH_MESSAGES, sample_files

MAGICS = 8  # bytes in front of the first entry; mostly spared, else most mutants would be refused there
SAMPLES = 4  # files of each type
MUTANTS = 12  # of each file
LARGEST = 16 << 20  # bytes of memory, for files below 64 KiB

Mutation = Callable[[random.Random, bytes], bytes]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def flip(rng: random.Random, data: bytes) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 8))):
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def stretch(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 100, 60000))) + data[at:]


def lie(rng: random.Random, data: bytes) -> bytes:
    """A word, maybe a length, becomes a number that a reader may trip over."""
    at = rng.randrange(0, max(len(data) - 3, 1), 4)
    number = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data)))
    return data[:at] + number.to_bytes(4, "little") + data[at + 4 :]


def repeat(_: random.Random, data: bytes) -> bytes:
    return data + data


MUTATIONS: tuple[Mutation, ...] = (cut, flip, flip, stretch, lie, lie, repeat)


@pytest.fixture(scope="module")
def samples() -> dict[str, list[bytes]]:
    return {type_.kind: sample_files(type_, SAMPLES) for type_ in WITH_MESSAGES}


def mutants(samples: dict[str, list[bytes]], kind: str) -> Iterator[bytes]:
    rng = random.Random(kind)
    for data in samples[kind]:
        for _ in range(MUTANTS):
            spared = MAGICS if len(data) > MAGICS + 4 and rng.random() < 0.9 else 0
            yield data[:spared] + rng.choice(MUTATIONS)(rng, data[spared:])


def survives(work: Callable[[], object]) -> None:
    try:
        work()
    except ImageError as error:
        assert str(error)


@pytest.mark.parametrize("type_", WITH_MESSAGES, ids=[type_.kind for type_ in WITH_MESSAGES])
def test_damaged_files(type_: ImageType, samples: dict[str, list[bytes]]) -> None:
    started = time.process_time()
    tracemalloc.start()
    for mutant in mutants(samples, type_.kind):
        survives(lambda data=mutant: read_image(type_, data, "f", 2))  # type: ignore[misc]
        survives(lambda data=mutant: crit.decode_bytes(data, "f", pretty=True))  # type: ignore[misc]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LARGEST
    assert time.process_time() - started < 10


def test_what_is_read_can_be_written(samples: dict[str, list[bytes]]) -> None:
    """A mutant that passes for an image is one: it survives the way through JSON without loss of meaning."""
    for type_ in WITH_MESSAGES:
        for mutant in mutants(samples, type_.kind):
            try:
                image = crit.decode_bytes(mutant, "f")
            except ImageError:
                continue
            again = crit.encode(image, "f")
            assert crit.decode_bytes(again, "f") == image


def test_swapped_files(samples: dict[str, list[bytes]]) -> None:
    """Every type's file under every other type's name is refused, unless both have the same magic."""
    for type_ in WITH_MESSAGES:
        for kind, files in samples.items():
            if CATALOG[kind].magic != type_.magic:
                with pytest.raises(ImageError, match="magic"):
                    read_image(type_, files[0], "f", 2)


def test_damaged_directories(samples: dict[str, list[bytes]], tmp_path: Path) -> None:
    rng = random.Random(1)
    names = {type_.kind: type_.name("dump" if "%s" in type_.pattern else 1 if "%" in type_.pattern else None)
             for type_ in WITH_MESSAGES}  # fmt: skip
    for _ in range(60):
        for kind in [*rng.sample(list(names), 5), "INVENTORY"]:
            (tmp_path / names[kind]).write_bytes(rng.choice(MUTATIONS)(rng, rng.choice(samples[kind])))
        with ImageDir.open(str(tmp_path)) as images:
            for kind in names:
                ident = "dump" if kind == "STATS" else 1 if "%" in CATALOG[kind].pattern else None
                survives(lambda k=kind, i=ident: images.read_with_payload(k, i))  # type: ignore[misc]


@settings(max_examples=100, deadline=None)
@given(data=strategies.binary(max_size=200))
def test_noise(data: bytes) -> None:
    for head in (b"", bytes.fromhex("19435654"), bytes.fromhex("1943565432372156"), bytes.fromhex("16313158")):
        survives(lambda head=head: crit.decode_bytes(head + data, "f"))  # type: ignore[misc]
