"""Builds the image format: `python -m engine.images.build`.

proto/*.proto become descriptors.bin, from which pb.py makes the classes, and pb.pyi, which tells type
checkers about them. Nothing is done when neither the .proto files nor the code that builds changed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO = HERE / "proto"
DESCRIPTORS = HERE / "descriptors.bin"
STUBS = HERE / "pb.pyi"
MARK = "# built from "


def fingerprint() -> str:
    """A hash of everything that the products depend on."""
    digest = hashlib.sha256()
    for path in [HERE / "build.py", HERE / "stubs.py", *sorted(PROTO.glob("*.proto"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_built(state: str) -> bool:
    """Whether the products are there and belong to the inputs of this fingerprint."""
    return DESCRIPTORS.exists() and STUBS.exists() and STUBS.read_text().startswith(MARK + state)


def compile_protos(directory: Path = PROTO) -> bytes:
    """Run protoc over all files of a directory; return the serialised FileDescriptorSet, imports first."""
    import grpc_tools  # type: ignore[import-untyped]
    from grpc_tools import protoc

    bundled = Path(grpc_tools.__file__).parent / "_proto"
    names = sorted(path.name for path in directory.glob("*.proto"))
    target = DESCRIPTORS.with_suffix(f".new{os.getpid()}")
    paths = [f"-I{directory}", f"-I{bundled}", f"--descriptor_set_out={target}"]
    try:
        if protoc.main(["protoc", *paths, "--include_imports", *names]):
            sys.exit("engine.images.build: protoc failed, see above")
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def build() -> bool:
    """Make the products when they are missing or old; return whether there was anything to do."""
    state = fingerprint()
    if is_built(state):
        return False
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from engine.images.stubs import write_stubs

    descriptors = compile_protos()
    files = [file for file in FileDescriptorSet.FromString(descriptors).file if not file.package]
    _replace(DESCRIPTORS, descriptors)
    _replace(STUBS, f"{MARK}{state}\n{write_stubs(files)}".encode())
    return True


def _replace(path: Path, contents: bytes) -> None:
    """Processes that read the old file at this moment keep it whole."""
    new = path.with_suffix(f".new{os.getpid()}")
    new.write_bytes(contents)
    new.replace(path)


if __name__ == "__main__":
    build()
