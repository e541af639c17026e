"""Payloads in JSON: the key "extra" of an entry, in crit's form for each type.

When a payload cannot be had back from that form (padding that is not zero), all of it is kept under PAYLOAD too.
"""

from __future__ import annotations

from engine.errors import ImageError
from engine.images import pb
from engine.images.convert import from_dict, parse_bytes, show_bytes, to_dict
from engine.images.cursor import Cursor
from engine.images.payload import RULES, join_queue, padded, split_queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXTRA = "extra"
PAYLOAD = "payload"


def show_extra(kind: str, message: Any, payload: bytes) -> dict[str, Any]:
    """What an entry's dictionary has beside the message's own fields."""
    if not has_extra(kind, message):
        return {}
    shown = {EXTRA: _show(kind, message, payload)}
    if _parse(kind, message, shown[EXTRA], kind) != payload:
        shown[PAYLOAD] = show_bytes(payload)
    return shown


def parse_extra(kind: str, message: Any, values: dict[str, Any], where: str) -> bytes:
    """The payload from an entry's dictionary. ImageError when it makes no sense."""
    if PAYLOAD in values:
        return parse_bytes(values[PAYLOAD], f"{where}.{PAYLOAD}")
    if not has_extra(kind, message):
        return b""
    if EXTRA not in values:
        raise ImageError(f"{where}: {EXTRA} is missing")
    return _parse(kind, message, values[EXTRA], f"{where}.{EXTRA}")


def has_extra(kind: str, message: Any) -> bool:
    """Whether entries of this type have the key. A ghost file with chunks has it in the chunks alone."""
    if kind == "GHOST_FILE" and message.DESCRIPTOR.name == "ghost_file_entry":
        return not message.chunks
    return kind in RULES


def summary(payload: bytes) -> str:
    """The size of a payload, shown in its place."""
    size, unit = float(len(payload)), "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"... <{size:.1f}{unit}>" if size % 1 else f"... <{size:.0f}{unit}>"


def _show(kind: str, message: Any, payload: bytes) -> Any:
    if kind == "TCP_STREAM":
        return {"inq": show_bytes(payload[: message.inq_len]), "outq": show_bytes(payload[message.inq_len :])}
    if kind == "IPCNS_SEM":
        return [int.from_bytes(payload[2 * n : 2 * n + 2], "little") for n in range(message.nsems)]
    if kind == "IPCNS_MSG":
        queue = split_queue(Cursor(payload, kind))
        return [part for queued, text in queue for part in (to_dict(queued), show_bytes(text))]
    if kind == "IPCNS_SHM":
        return show_bytes(payload[: message.size])
    return show_bytes(payload)


def _parse(kind: str, message: Any, extra: Any, where: str) -> bytes:
    if kind == "TCP_STREAM":
        parts = extra if isinstance(extra, dict) else {}
        return b"".join(parse_bytes(parts.get(name), f"{where}.{name}") for name in ("inq", "outq"))
    if kind == "IPCNS_SEM":
        return _parse_semaphores(extra, where)
    if kind == "IPCNS_MSG":
        return _parse_queue(extra, where)
    payload = parse_bytes(extra, where)
    return payload.ljust(padded(len(payload), 4), b"\0") if kind == "IPCNS_SHM" else payload


def _parse_semaphores(extra: Any, where: str) -> bytes:
    try:
        values = b"".join(int(value).to_bytes(2, "little") for value in extra)
    except (TypeError, ValueError, OverflowError):
        raise ImageError(f"{where}: {extra!r:.60} is no list of 16-bit numbers") from None
    return values.ljust(padded(len(values), 8), b"\0")


def _parse_queue(extra: Any, where: str) -> bytes:
    if not isinstance(extra, list) or len(extra) % 2:
        raise ImageError(f"{where}: {extra!r:.60} is no list of messages and their texts in turn")
    queue = []
    for number in range(0, len(extra), 2):
        place = f"{where}[{number}]"
        message = from_dict(extra[number], pb.ipc_msg(), place)
        if not message.IsInitialized():
            raise ImageError(f"{place}: ipc_msg lacks {', '.join(message.FindInitializationErrors())}")
        queue.append((message, parse_bytes(extra[number + 1], f"{where}[{number + 1}]")))
    return join_queue(queue)
