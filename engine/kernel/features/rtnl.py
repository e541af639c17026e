"""Netlink in a few lines: a request out, answers back (netlink(7))."""

from __future__ import annotations

import os
import socket

from engine.abi.netlink import (
    NETLINK_ROUTE,
    NLATTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSGERR,
    NLMSGHDR,
)
from engine.tuples import NamedTuple

_BUFFER = 65536


class Message(NamedTuple):
    """One message from the kernel."""

    kind: int
    payload: bytes

    def attributes(self, header: int) -> dict[int, bytes]:
        """The attributes behind the first `header` bytes, by type."""
        found, at = {}, header
        while at + NLATTR.size <= len(self.payload):
            length, kind = NLATTR.struct.unpack_from(self.payload, at)
            found[kind & 0x3FFF] = self.payload[at + NLATTR.size : at + length]
            at += _aligned(max(length, NLATTR.size))
        return found


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = NLATTR.size + len(payload)
    return NLATTR.struct.pack(length, kind) + payload + bytes(_aligned(length) - length)


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """One request."""
    size = NLMSGHDR.size + len(payload)
    return NLMSGHDR.struct.pack(size, kind, flags | NLM_F_REQUEST, 1, 0) + payload + bytes(_aligned(size) - size)


def ask(request: bytes, protocol: int = NETLINK_ROUTE) -> list[Message]:
    """Sends it and returns the kernel's first datagram of answers. OSError when that is an error."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as link:
        link.settimeout(1)
        link.send(request)
        answers = _split(link.recv(_BUFFER))
    for answer in answers:
        # Both begin with a negative errno or zero: NLMSG_DONE when a dump failed that had already begun.
        if answer.kind in (NLMSG_ERROR, NLMSG_DONE) and (error := -NLMSGERR.get(answer.payload, "error")) > 0:
            raise OSError(error, os.strerror(error))
    return [answer for answer in answers if answer.kind not in (NLMSG_ERROR, NLMSG_DONE)]


def _split(raw: bytes) -> list[Message]:
    found, at = [], 0
    while at + NLMSGHDR.size <= len(raw):
        length, kind = NLMSGHDR.struct.unpack_from(raw, at)[:2]
        found.append(Message(kind, raw[at + NLMSGHDR.size : at + length]))
        at += _aligned(max(length, NLMSGHDR.size))
    return found


def _aligned(length: int) -> int:
    return length + 3 & ~3
