"""Forms of numbers for people: what `--pretty` shows, in the words of CRIU's tool crit, and the way back.

Which field has which form, the .proto files say in the option `criu`.
"""

from __future__ import annotations

import os

from engine.images import pb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

FLAGS = {
    "mmap.prot": {"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4},
    "mmap.flags": {"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_ANON": 0x20, "MAP_GROWSDOWN": 0x100},
    "mmap.status": {
        "VMA_AREA_REGULAR": 1 << 0,
        "VMA_AREA_STACK": 1 << 1,
        "VMA_AREA_VSYSCALL": 1 << 2,
        "VMA_AREA_VDSO": 1 << 3,
        "VMA_AREA_HEAP": 1 << 5,
        "VMA_FILE_PRIVATE": 1 << 6,
        "VMA_FILE_SHARED": 1 << 7,
        "VMA_ANON_SHARED": 1 << 8,
        "VMA_ANON_PRIVATE": 1 << 9,
        "VMA_AREA_SYSVIPC": 1 << 10,
        "VMA_AREA_SOCKET": 1 << 11,
        "VMA_AREA_VVAR": 1 << 12,
        "VMA_AREA_AIORING": 1 << 13,
        "VMA_AREA_MEMFD": 1 << 14,
        "VMA_AREA_SHSTK": 1 << 15,
        "VMA_UNSUPP": 1 << 31,
    },
    "rfile.flags": {
        "O_WRONLY": 0o1,
        "O_RDWR": 0o2,
        "O_CREAT": 0o100,
        "O_EXCL": 0o200,
        "O_NOCTTY": 0o400,
        "O_TRUNC": 0o1000,
        "O_APPEND": 0o2000,
        "O_NONBLOCK": 0o4000,
        "O_DSYNC": 0o10000,
        "FASYNC": 0o20000,
        "O_DIRECT": 0o40000,
        "O_LARGEFILE": 0o100000,
        "O_DIRECTORY": 0o200000,
        "O_NOFOLLOW": 0o400000,
        "O_NOATIME": 0o1000000,
        "O_CLOEXEC": 0o2000000,
    },
    "pmap.flags": {"PE_PARENT": 1, "PE_LAZY": 2, "PE_PRESENT": 4},
    "seals.flags": {
        "F_SEAL_SEAL": 1,
        "F_SEAL_SHRINK": 2,
        "F_SEAL_GROW": 4,
        "F_SEAL_WRITE": 8,
        "F_SEAL_FUTURE_WRITE": 16,
    },
}

# By option and field. The words for task states are crit's, though 2 is a dead task and 3 a stopped one.
WORDS = {
    ("gen", "task_state"): {"Alive": 1, "Zombie": 3, "Stopped": 6},
    ("sk", "family"): {"UNIX": 1, "INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17},
    ("sk", "type"): {"STREAM": 1, "DGRAM": 2, "RAW": 3, "SEQPACKET": 5, "PACKET": 10},
    ("sk", "proto"): {"IP": 0, "TCP": 6, "UDP": 17, "UDPLITE": 136},
    ("sk", "state"): {
        "ESTABLISHED": 1,
        "SYN_SENT": 2,
        "SYN_RECV": 3,
        "FIN_WAIT1": 4,
        "FIN_WAIT2": 5,
        "TIME_WAIT": 6,
        "CLOSE": 7,
        "CLOSE_WAIT": 8,
        "LAST_ACK": 9,
        "LISTEN": 10,
    },
}

_options: dict[tuple[str, str], dict[str, Any]] = {}


def options_of(message: str, field: str) -> dict[str, Any]:
    """The options of a field by their names: {"hex": True} or {"dev": True, "odev": True} or nothing."""
    if not _options:
        _options.update(_all_options())
    return _options.get((message, field), {})


def show_number(value: int, field: str, options: dict[str, Any]) -> str | int:
    """A number as --pretty shows it."""
    if table := options.get("flags"):
        return _show_flags(value, FLAGS[table])
    if table := options.get("dict"):
        return _word(value, WORDS[table, field])
    if options.get("dev"):
        return _show_device(value, options)
    return f"{value:#x}" if options.get("hex") else value


def parse_number(text: str, field: str, options: dict[str, Any]) -> int:
    """A number from what `show_number` gave, or in Python's notation. ValueError when it is neither."""
    text = text.strip()
    if table := options.get("flags"):
        return _parse_flags(text, FLAGS[table])
    if (table := options.get("dict")) and text in WORDS[table, field]:
        return WORDS[table, field][text]
    if options.get("dev") and ":" in text:
        return _parse_device(text, options)
    return int(text, 0)


def show_address(words: Sequence[int]) -> str | None:
    """One word as an IPv4 address, four as an IPv6 address (network order); None for any other number of words."""
    import socket

    family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(len(words))
    if family is None:
        return None
    return socket.inet_ntop(family, b"".join(word.to_bytes(4, "little") for word in words))


def parse_address(text: str) -> list[int]:
    """The words of an address. ValueError when it is none."""
    import socket

    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        raise ValueError(f"{text!r} is no IP address") from None
    return [int.from_bytes(packed[at : at + 4], "little") for at in range(0, len(packed), 4)]


def _show_flags(value: int, bits: dict[str, int]) -> str:
    names = [name for name, bit in bits.items() if value & bit]
    rest = value & ~sum(bits.values())
    return " | ".join(names + [f"{rest:#x}"] * bool(rest))


def _parse_flags(text: str, bits: dict[str, int]) -> int:
    value = 0
    for name in filter(None, map(str.strip, text.split("|"))):
        value |= bits[name] if name in bits else int(name, 0)
    return value


def _word(value: int, words: dict[str, int]) -> str | int:
    return next((word for word, number in words.items() if number == value), value)


def _show_device(value: int, options: dict[str, Any]) -> str:
    if options.get("odev"):
        return f"{os.major(value)}:{os.minor(value)}"
    return f"{value >> 20}:{value & 0xFFFFF}"


def _parse_device(text: str, options: dict[str, Any]) -> int:
    major, minor = (int(part, 0) for part in text.split(":", 1))
    return os.makedev(major, minor) if options.get("odev") else major << 20 | minor


def _all_options() -> dict[tuple[str, str], dict[str, Any]]:
    pool = pb.pool()
    parse, extension = pool.message("google.protobuf.FileDescriptorProto").FromString, pool.extension("criu")
    return {
        (message.name, field.name): {o.name: v for o, v in field.options.Extensions[extension].ListFields()}
        for file in map(parse, pool.serialized_files())
        for message in file.message_type
        for field in message.field
        if field.options.HasExtension(extension)
    }
