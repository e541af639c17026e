"""`amber image` from its arguments to files, standard output and exit status."""

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.images import pb
from engine.images.catalog import CATALOG
from engine.images.command import run
from engine.images.format import image_bytes

TASK = pb.pstree_entry(pid=5, ppid=1, pgid=5, sid=5, threads=[5])
PLAIN = '{"magic": "PSTREE", "entries": [{"pid": 5, "ppid": 1, "pgid": 5, "sid": 5, "threads": [5]}]}'


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "pstree.img"
    path.write_bytes(image_bytes(CATALOG["PSTREE"], [TASK], "f"))
    return path


def test_decode_to_a_file(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert run(["decode", "-i", str(image), "-o", str(out)]) == 0
    assert out.read_text() == PLAIN
    assert run(["decode", "-i", str(image), "-o", str(out), "--pretty"]) == 0
    assert out.read_text() == json.dumps(json.loads(PLAIN), indent=4)


def test_decode_to_standard_output(image: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["decode", "--in", str(image)]) == 0
    assert capfdbinary.readouterr().out == PLAIN.encode() + b"\n"


def test_encode(image: Path, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(PLAIN)
    assert run(["encode", "-i", str(tmp_path / "in.json"), "-o", str(tmp_path / "out.img")]) == 0
    assert (tmp_path / "out.img").read_bytes() == image.read_bytes()


def test_pipes(image: Path) -> None:
    word = [sys.executable, "-c", "import sys; from engine.images.command import run; sys.exit(run(sys.argv[1:]))"]
    shown = subprocess.run([*word, "decode"], input=image.read_bytes(), capture_output=True, check=True).stdout
    again = subprocess.run([*word, "encode"], input=shown, capture_output=True, check=True).stdout
    assert again == image.read_bytes()


def test_show_and_info(image: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["show", str(image)]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads(PLAIN)
    assert run(["info", str(image)]) == 0
    assert json.loads(capfd.readouterr().out) == {"magic": "PSTREE", "count": 1}


def test_show_without_payloads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pipes-data.img"
    pipe = (pb.pipe_data_entry(pipe_id=1, bytes=3), b"abc")
    path.write_bytes(image_bytes(CATALOG["PIPES_DATA"], [pipe], "f"))
    assert run(["show", "-i", str(path), "--nopl"]) == 0
    assert '"extra": "... <3B>"' in capfd.readouterr().out


def test_statistics(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stats-restore"
    stats = pb.stats_entry(
        restore=pb.restore_stats_entry(pages_compared=1, pages_skipped_cow=2, forking_time=3, restore_time=4)
    )
    path.write_bytes(image_bytes(CATALOG["STATS"], [stats], "f"))
    assert run(["show", str(path)]) == 0
    assert json.loads(capfd.readouterr().out)["entries"][0]["restore"]["restore_time"] == 4


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["decode", "-i", "nowhere/core-1.img"], 1, "amber: nowhere/core-1.img: there is no such file\n"),
        (["encode", "-i", "nowhere"], 1, "amber: nowhere: open failed: ENOENT"),
        (["decode", "-i", "/dev/null"], 1, "amber: /dev/null: not a regular file\n"),
        (["decode", "--frobnicate"], 2, "usage: amber image"),
        ([], 2, "usage: amber image"),
        (["--help"], 0, ""),
    ],
)
def test_failures(words: list[str], status: int, complaint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(words) == status
    assert capfd.readouterr().err.startswith(complaint)


@pytest.mark.parametrize("text", ["", "{", '{"magic": "PSTREE"}', "[" * 100000, "\xff"])
def test_no_json(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").write_bytes(text.encode("latin-1"))
    assert run(["encode", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert capfd.readouterr().err.startswith(f"amber: {tmp_path}/in: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("depth", "complaint"), [(150, "MaxDepth"), (800, "too deep|no JSON")])
def test_deep_json(
    depth: int, complaint: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    namespace = '{"name": "x", "namespaces": [' * depth + "]}" * depth
    text = f'{{"magic": "APPARMOR", "entries": [{{"namespaces": [{namespace}]}}]}}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(["encode", "-o", "/dev/null"]) == 1
    assert re.search(complaint, capfd.readouterr().err)


def test_output_to_a_pipe_that_is_read_slowly(tmp_path: Path) -> None:
    """A pipe holds 64 KiB."""
    path = tmp_path / "pipes-data.img"
    pipe = (pb.pipe_data_entry(pipe_id=1, bytes=1 << 18), bytes(1 << 18))
    path.write_bytes(image_bytes(CATALOG["PIPES_DATA"], [pipe], "f"))
    code = "import sys; from engine.images.command import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "decode", "-i", str(path), "-o", "/dev/stdout"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        time.sleep(0.3)
        shown = process.stdout.read()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert len(json.loads(shown)["entries"][0]["extra"]) > 1 << 18


def test_full_disk(image: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["decode", "-i", str(image), "-o", "/dev/full"]) == 1
    assert "/dev/full: write failed: ENOSPC" in capfd.readouterr().err
