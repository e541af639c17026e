"""What the build makes of the .proto files, and when it has nothing to do."""

import ast
from pathlib import Path

import pytest

from engine.images import build, pb


@pytest.fixture(scope="module")
def stubs() -> dict[str, ast.ClassDef]:
    tree = ast.parse(build.STUBS.read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def members(node: ast.ClassDef) -> set[str]:
    variables = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return variables | {n.name for n in node.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}


def test_type_checkers_know_every_message_and_field(stubs: dict[str, ast.ClassDef]) -> None:
    for name in pb.pool().names():
        made = getattr(pb, name)
        fields = made.keys() if hasattr(made, "keys") else [field.name for field in made.DESCRIPTOR.fields]
        assert set(fields) <= members(stubs[name]), name


def test_a_field_named_like_its_message(stubs: dict[str, ast.ClassDef]) -> None:
    """Inside the class the name is the field's; mypy would refuse it as a type."""
    (field,) = (n for n in stubs["thread_core_entry"].body if isinstance(n, ast.FunctionDef) and n.name == "rseq_entry")
    assert isinstance(field.returns, ast.Name) and field.returns.id == "_rseq_entry"


def test_nothing_to_do_the_second_time() -> None:
    assert build.is_built(build.fingerprint())
    assert not build.build()


@pytest.fixture
def products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "DESCRIPTORS", tmp_path / "descriptors.bin")
    monkeypatch.setattr(build, "STUBS", tmp_path / "pb.pyi")
    return tmp_path


def test_what_is_missing_or_old_is_made(products: Path) -> None:
    assert build.build()
    assert sorted(path.name for path in products.iterdir()) == ["descriptors.bin", "pb.pyi"]
    assert not build.build()
    (products / "pb.pyi").write_text(build.MARK + "something else\n")
    assert build.build()
    (products / "descriptors.bin").unlink()
    assert build.build()


def test_a_wrong_proto_stops_the_build(products: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (products / "wrong.proto").write_text(
        'syntax = "proto2";\nmessage m { required int32 x = 1; required int32 y = 1; }'
    )
    with pytest.raises(SystemExit, match="protoc failed"):
        build.compile_protos(products)
    assert "wrong.proto:2:" in capfd.readouterr().err
    assert sorted(path.name for path in products.iterdir()) == ["wrong.proto"]
