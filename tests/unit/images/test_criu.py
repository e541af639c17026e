"""Files that criu 4.1.1 has written, with the JSON that its crit made of them: a small Python program with threads,
sockets with queued messages, a pipe with data, an unlinked file, a memfd, epoll, timers, a child and a zombie.

AMBER_CRIU_IMAGES=DIR adds the files of another dump, without JSON.
"""

import json
import os
from pathlib import Path

import pytest

from engine.images import crit
from engine.images.catalog import RAW, type_of_file
from engine.images.directory import ImageDir

HERE = Path(__file__).parent / "criu-4.1.1"
MORE = os.environ.get("AMBER_CRIU_IMAGES")


def is_image(path: Path) -> bool:
    type_ = type_of_file(path.name)
    return type_ is not None and type_.magic != RAW


IMAGES = [path for path in sorted(HERE.iterdir()) if is_image(path)]
OTHERS = [path for path in sorted(Path(MORE).iterdir()) if is_image(path)] if MORE else []
KNOWN = [path for path in IMAGES if Path(f"{path}.json").exists()]


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("path", IMAGES + OTHERS, ids=lambda path: path.name)
def test_identical_after_decode_and_encode(path: Path, pretty: bool) -> None:
    image = crit.decode(str(path), pretty)
    assert crit.encode(json.loads(json.dumps(image)), str(path)) == path.read_bytes()


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_json_is_crits(path: Path) -> None:
    assert json.dumps(crit.decode(str(path))) == Path(f"{path}.json").read_text()
    assert json.dumps(crit.decode(str(path), pretty=True), indent=4) == Path(f"{path}.pretty").read_text()


def test_the_set_is_whole() -> None:
    assert len(KNOWN) >= 17


def test_read_as_a_directory() -> None:
    with ImageDir.open(str(HERE)) as images:
        assert images.read_one("INVENTORY").img_version == 2
        assert len(images.read("FILES")) > 10
        assert images.read_one("CORE", 21).tc.exit_code == 3 << 8
        assert [entry.payload for entry in images.read_with_payload("PIPES_DATA")] == [b"hello pipe"]
        head, *runs = images.read("PAGEMAP", 15)
        assert head.pages_id and all(run.compat_nr_pages or run.nr_pages for run in runs)
