"""Bytes behind the entries: each type's rule, and what happens when there are too few or too many."""

import stat
from typing import Any

import pytest

from engine.errors import ImageError
from engine.images import pb
from engine.images.catalog import CATALOG
from engine.images.cursor import Cursor
from engine.images.format import image_bytes, read_image
from engine.images.payload import join_queue, padded, split_queue

DESC = pb.ipc_desc_entry(key=1, uid=0, gid=0, cuid=0, cgid=0, mode=0o600, id=7)
STREAM = pb.tcp_stream_entry(inq_len=2, inq_seq=1, outq_len=3, outq_seq=1, opt_mask=0, snd_wscale=0, mss_clamp=1460)
QUEUE = join_queue([(pb.ipc_msg(mtype=1, msize=5), b"hello"), (pb.ipc_msg(mtype=2, msize=0), b"")])

CASES: list[tuple[str, Any, bytes]] = [
    ("PIPES_DATA", pb.pipe_data_entry(pipe_id=5, bytes=3, size=65536), b"abc"),
    ("FIFO_DATA", pb.pipe_data_entry(pipe_id=5, bytes=0), b""),
    ("SK_QUEUES", pb.sk_packet_entry(id_for=1, length=4), b"ping"),
    ("TCP_STREAM", STREAM, b"inout"),
    ("BPFMAP_DATA", pb.bpfmap_data_entry(map_id=1, keys_bytes=4, values_bytes=8, count=1), b"k" * 4 + b"v" * 8),
    ("IPCNS_SEM", pb.ipc_sem_entry(desc=DESC, nsems=3), b"\1\0\2\0\3\0\0\0"),
    ("IPCNS_MSG", pb.ipc_msg_entry(desc=DESC, qbytes=16384, qnum=2), QUEUE),
    ("IPCNS_SHM", pb.ipc_shm_entry(desc=DESC, size=5), b"12345\0\0\0"),
    ("IPCNS_SHM", pb.ipc_shm_entry(desc=DESC, size=5, in_pagemaps=True), b""),
    ("GHOST_FILE", pb.ghost_file_entry(uid=0, gid=0, mode=stat.S_IFIFO | 0o600), b""),
    ("PSTREE", pb.pstree_entry(pid=5, ppid=1, pgid=5, sid=5), b""),
]


@pytest.mark.parametrize(("kind", "message", "payload"), CASES)
def test_round_trip(kind: str, message: Any, payload: bytes) -> None:
    entries = [(message, payload)] * (1 if CATALOG[kind].single or kind == "GHOST_FILE" else 2)
    assert read_image(CATALOG[kind], image_bytes(CATALOG[kind], entries, "f"), "f") == entries


@pytest.mark.parametrize(("kind", "message", "payload"), [case for case in CASES if case[2]])
def test_a_cut_payload_is_refused(kind: str, message: Any, payload: bytes) -> None:
    data = image_bytes(CATALOG[kind], [(message, payload)], "f")
    with pytest.raises(ImageError, match=r"entry 0, .* but the file ends after"):
        read_image(CATALOG[kind], data[:-1], "f")


@pytest.mark.parametrize(("kind", "message", "payload"), CASES)
def test_a_payload_must_fit_when_it_is_written(kind: str, message: Any, payload: bytes) -> None:
    with pytest.raises(ImageError, match="does not fit"):
        image_bytes(CATALOG[kind], [(message, payload + b"+")], "f")


def ghost(**fields: Any) -> pb.ghost_file_entry:
    return pb.ghost_file_entry(uid=0, gid=0, mode=stat.S_IFREG | 0o644, **fields)


def test_contents_of_a_ghost_are_all_that_is_left() -> None:
    entries = [(ghost(), b"contents\0\xff")]
    assert read_image(CATALOG["GHOST_FILE"], image_bytes(CATALOG["GHOST_FILE"], entries, "f"), "f") == entries


def test_chunks_of_a_sparse_ghost() -> None:
    entries = [
        (ghost(chunks=True, size=8192), b""),
        (pb.ghost_chunk_entry(len=3, off=0), b"abc"),
        (pb.ghost_chunk_entry(len=2, off=4096), b"de"),
    ]
    data = image_bytes(CATALOG["GHOST_FILE"], entries, "f")
    assert read_image(CATALOG["GHOST_FILE"], data, "f") == entries
    with pytest.raises(ImageError, match=r"entry 2, .*the chunk should have 2 bytes, but the file ends after 1"):
        read_image(CATALOG["GHOST_FILE"], data[:-1], "f")


def test_nothing_follows_a_ghost_without_contents() -> None:
    fifo = pb.ghost_file_entry(uid=0, gid=0, mode=stat.S_IFIFO | 0o600)
    data = image_bytes(CATALOG["GHOST_FILE"], [fifo], "f")
    with pytest.raises(ImageError, match="3 bytes follow the last entry"):
        read_image(CATALOG["GHOST_FILE"], data + b"abc", "f")


def test_queued_messages_are_bounded() -> None:
    message = pb.ipc_msg_entry(desc=DESC, qbytes=16384, qnum=0xFFFFFFFF)
    head = image_bytes(CATALOG["IPCNS_MSG"], [], "f")
    body = message.SerializeToString()
    with pytest.raises(ImageError, match="length of a queued message"):
        read_image(CATALOG["IPCNS_MSG"], head + len(body).to_bytes(4, "little") + body + QUEUE, "f")


def test_queues_come_apart() -> None:
    assert [(m.mtype, text) for m, text in split_queue(Cursor(QUEUE, "f"))] == [(1, b"hello"), (2, b"")]
    assert [padded(n, 8) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
