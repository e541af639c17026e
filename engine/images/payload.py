"""What follows some entries: bytes that are no message, whose number the message before tells."""

from __future__ import annotations

import stat

from engine.images import pb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.images.cursor import Cursor


def read_payload(kind: str, message: Any, cursor: Cursor) -> bytes:
    """The bytes that belong to `message`, taken from the cursor behind it; none for most types."""
    rule = RULES.get(kind)
    return rule(message, cursor) if rule else b""


def is_last(kind: str, message: Any) -> bool:
    """Whether no entry can follow this one in a file that may have several."""
    return kind == "GHOST_FILE" and message.DESCRIPTOR.name == "ghost_file_entry" and not message.chunks


def padded(size: int, step: int) -> int:
    """`size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def _pipe(entry: pb.pipe_data_entry, cursor: Cursor) -> bytes:
    return cursor.take(entry.bytes, "the pipe's contents")


def _packet(entry: pb.sk_packet_entry, cursor: Cursor) -> bytes:
    return cursor.take(entry.length, "the queued packet")


def _stream(entry: pb.tcp_stream_entry, cursor: Cursor) -> bytes:
    return cursor.take(entry.inq_len, "the receive queue") + cursor.take(entry.outq_len, "the send queue")


def _map(entry: pb.bpfmap_data_entry, cursor: Cursor) -> bytes:
    return cursor.take(entry.keys_bytes, "the map's keys") + cursor.take(entry.values_bytes, "the map's values")


def _ghost(entry: pb.ghost_file_entry | pb.ghost_chunk_entry, cursor: Cursor) -> bytes:
    """Contents of a regular file: all that is left of the image, or one chunk."""
    if isinstance(entry, pb.ghost_chunk_entry):
        return cursor.take(entry.len, "the chunk")
    if entry.chunks or not stat.S_ISREG(entry.mode):
        return b""
    return cursor.take(cursor.left, "the file's contents")


def _semaphores(entry: pb.ipc_sem_entry, cursor: Cursor) -> bytes:
    return cursor.take(padded(2 * entry.nsems, 8), "the semaphores' values")


def _segment(entry: pb.ipc_shm_entry, cursor: Cursor) -> bytes:
    return b"" if entry.in_pagemaps else cursor.take(padded(entry.size, 4), "the segment's contents")


def _queue(entry: pb.ipc_msg_entry, cursor: Cursor) -> bytes:
    """All messages of a queue as they are in the file; `split_queue` takes them apart."""
    start = cursor.at
    for _ in range(entry.qnum):
        _queued(cursor)
    return cursor.since(start)


def _queued(cursor: Cursor) -> tuple[pb.ipc_msg, bytes]:
    message: pb.ipc_msg = cursor.message("ipc_msg", "a queued message")
    text = cursor.take(padded(message.msize, 8), "the text of a queued message")
    return message, text[: message.msize]


def split_queue(payload: Cursor) -> list[tuple[pb.ipc_msg, bytes]]:
    """The messages of a queue's payload with their texts, padding left out."""
    messages = []
    while payload.left:
        messages.append(_queued(payload))
    return messages


def join_queue(messages: list[tuple[pb.ipc_msg, bytes]]) -> bytes:
    """The payload of a queue with these messages."""
    parts = []
    for message, text in messages:
        body = message.SerializeToString()
        parts += [len(body).to_bytes(4, "little"), body, text.ljust(padded(len(text), 8), b"\0")]
    return b"".join(parts)


RULES: dict[str, Callable[[Any, Cursor], bytes]] = {
    "PIPES_DATA": _pipe,
    "FIFO_DATA": _pipe,
    "SK_QUEUES": _packet,
    "TCP_STREAM": _stream,
    "BPFMAP_DATA": _map,
    "GHOST_FILE": _ghost,
    "IPCNS_SEM": _semaphores,
    "IPCNS_SHM": _segment,
    "IPCNS_MSG": _queue,
}
