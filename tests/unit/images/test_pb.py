"""Classes made when they are asked for, and what that costs."""

import subprocess
import sys

import pytest

from engine.errors import AmberError
from engine.images import pb
from engine.images.pool import Pool

HEAVY = {"re", "typing", "datetime", "json", "google.protobuf.descriptor_pool", "google.protobuf.descriptor"}


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_messages() -> None:
    entry = pb.file_entry(type=pb.fd_types.PIPE, id=7)
    entry.pipe.CopyFrom(pb.pipe_entry(id=7, pipe_id=8, flags=0, fown=FOWN))
    again = pb.file_entry.FromString(entry.SerializeToString())
    assert again == entry and again.HasField("pipe") and not again.HasField("reg")
    assert isinstance(again.pipe, pb.pipe_entry)
    assert pb.pipe_entry is pb.pipe_entry


def test_enums_are_found_with_and_without_their_name() -> None:
    assert (pb.fd_types.REG, pb.REG, pb.core_entry.X86_64) == (1, 1, 1)
    assert pb.fd_types.Name(2) == "PIPE" and pb.fd_types.Value("PIPE") == 2


def test_defaults() -> None:
    assert pb.reg_file_entry().mnt_id == -1
    assert pb.criu_opts().log_level == 2


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no message, enum or value 'eventfd_entry'"):
        pb.eventfd_entry  # type: ignore[attr-defined]  # noqa: B018


def test_everything_is_listed() -> None:
    assert {"core_entry", "fd_types", "CRIU_Opts"} <= set(dir(pb))
    assert "FileDescriptorSet" not in dir(pb)


def test_unbuilt() -> None:
    with pytest.raises(AmberError, match=r"python -m engine\.images\.build"):
        Pool("/nowhere/descriptors.bin")


def test_only_light_modules_are_imported() -> None:
    code = "from engine.images import pb; pb.core_entry(mtype=1).SerializeToString(); import sys; print(*sys.modules)"
    assert HEAVY & set(run_python(code).split()) == set()


def test_other_users_of_protobuf_see_no_difference() -> None:
    code = """
from engine.images import pb
pb.core_entry()
from google.protobuf.timestamp_pb2 import Timestamp
now = Timestamp()
now.FromSeconds(5)
print(now.ToSeconds())
"""
    assert run_python(code) == "5"


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_public_modules_do_as_well(implementation: str) -> None:
    code = "from engine.images import pb; print(pb.pstree_entry(pid=5, ppid=1, pgid=5, sid=5, threads=[5, 6]))"
    text = run_python(code, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation)
    assert text.split() == ["pid:", "5", "ppid:", "1", "pgid:", "5", "sid:", "5", "threads:", "5", "threads:", "6"]


def test_where_the_short_cut_fails_the_public_modules_serve() -> None:
    """With types of their own: the stand-in for them must not stay."""
    code = """
from engine.images import pool
spare = pool._spare_well_known_types
pool._spare_well_known_types = lambda make: spare(lambda: pool.missing)
from engine.images import pb
print(pb.core_entry(mtype=1).mtype)
from google.protobuf.timestamp_pb2 import Timestamp
now = Timestamp()
now.FromSeconds(5)
print(now.ToSeconds())
"""
    assert run_python(code) == "1\n5"


FOWN = pb.fown_entry(uid=0, euid=0, signum=0, pid_type=0, pid=0)
