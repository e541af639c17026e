"""Damage to image sets: each a function of the set's files and of chance, and says what it did."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from engine.images.format import guess_type, image_bytes, read_image

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    Mutation = Callable[[list[Path], random.Random], str]

NUMBERS = (0, 1, 2, 31, 32, 63, 64, 65, 255, 4095, 4096, 4097, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 32, (1 << 47) - 4096, 1 << 47, (1 << 63) - 4096, (1 << 63) - 1, 1 << 63, (1 << 64) - 4096,
           (1 << 64) - 1, -1, -2, -4096, -(1 << 31), -(1 << 63))  # fmt: skip
TEXTS = ("", "/", ".", "..", "../../../etc/passwd", "/etc/shadow", "/dev/zero", "/nonexistent/path", "a" * 255,
         "a" * 5000, "/" + "d/" * 3000, "with\0nul", "line\nbreak", "\u00e9\u4e2d", "%s%n", "[vdso]",
         "/proc/self/mem")  # fmt: skip
SIGNED_64, UNSIGNED_64, SIGNED_32, UNSIGNED_32 = (
    (-(1 << 63), 1 << 63),
    (0, 1 << 64),
    (-(1 << 31), 1 << 31),
    (0, 1 << 32),
)
RANGES = {3: SIGNED_64, 16: SIGNED_64, 18: SIGNED_64, 4: UNSIGNED_64, 6: UNSIGNED_64, 5: SIGNED_32, 15: SIGNED_32,
          17: SIGNED_32, 14: SIGNED_32, 7: UNSIGNED_32, 13: UNSIGNED_32}  # fmt: skip
"""By the number of the type: google/protobuf/descriptor.proto, FieldDescriptorProto.Type."""
MOST_COPIES = 2000


def truncate(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    data = path.read_bytes()
    size = chance.choice([0, 1, 4, 8, 12, len(data) // 2, max(len(data) - 1, 0), chance.randrange(len(data) + 1)])
    path.write_bytes(data[:size])
    return f"{path.name} cut to {size} of {len(data)} bytes"


def flip(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    data = bytearray(path.read_bytes())
    at = chance.randrange(min(len(data), chance.choice([16, 64, 1 << 30])) or 1)
    bit = 1 << chance.randrange(8)
    if data:
        data[at] ^= bit
    path.write_bytes(data)
    return f"{path.name} byte {at} bit {bit:#x} flipped"


def overwrite(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    data = bytearray(path.read_bytes())
    at, noise = chance.randrange(len(data) or 1), chance.randbytes(chance.choice([4, 16, 256]))
    data[at : at + len(noise)] = noise
    path.write_bytes(data)
    return f"{path.name} has noise of {len(noise)} bytes at {at}"


def lengthen(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    data = path.read_bytes()
    more = chance.choice([b"\0", bytes(4096), data, chance.randbytes(100), b"\xff" * 4])
    path.write_bytes(data + more)
    return f"{path.name} is longer by {len(more)} bytes"


def inflate(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    size = 1 << chance.choice([29, 33, 40])
    with open(path, "r+b") as file:
        file.truncate(size)  # sparse
    return f"{path.name} is {size} bytes long"


def remove(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    path.unlink()
    return f"{path.name} is missing"


def swap(files: list[Path], chance: random.Random) -> str:
    first, second = _some(files, chance), _some(files, chance)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    return f"{first.name} and {second.name} are swapped"


def replace(files: list[Path], chance: random.Random) -> str:
    path = _some(files, chance)
    kind = chance.choice(["text", "elf", "directory", "fifo", "link to itself", "link to /dev/zero"])
    path.unlink()
    if kind == "text":
        path.write_text("this is no image\n" * 100)
    elif kind == "elf":
        path.write_bytes(open("/bin/true", "rb").read())
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "link to itself" else "/dev/zero")
    return f"{path.name} is a foreign file: {kind}"


def set_field(files: list[Path], chance: random.Random) -> str:
    """One field of one message becomes what it can be at most, at least, or in another one."""
    path = _some([path for path in files if not path.name.startswith("pages-") and path.is_file()], chance)
    try:
        type_ = guess_type(path.read_bytes(), path.name)
        entries = read_image(type_, path.read_bytes(), path.name)
    except Exception:  # another mutation was here first
        return f"{path.name} cannot be read any more"
    number = chance.randrange(len(entries)) if entries else 0
    if not entries:
        return f"{path.name} is empty"
    said = _change(entries[number].message, chance)
    payload = entries[number].payload
    pairs = [tuple(entry) for entry in entries]
    try:
        data = image_bytes(type_, pairs, path.name)
    except Exception:  # a length no longer fits its payload: written nevertheless, as a foe would
        data = _written_anyway(path.read_bytes(), type_, entries)
    path.write_bytes(data)
    return f"{path.name} entry {number}: {said}" + (f" (payload of {len(payload)})" if payload else "")


def _written_anyway(old: bytes, type_: Any, entries: list[Any]) -> bytes:
    parts = [magic.to_bytes(4, "little") for magic in (type_.head_magic, type_.magic) if magic]
    for entry in entries:
        body = entry.message.SerializePartialToString()
        parts += [len(body).to_bytes(4, "little"), body, entry.payload]
    return b"".join(parts) or old


def _change(message: Any, chance: random.Random) -> str:
    """Walks down to some field and changes it."""
    fields = [field for field, _ in message.ListFields()]
    if not fields:
        fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return "it has no fields"
    field = chance.choice(fields)
    value = getattr(message, field.name)
    if _is_repeated(field):
        return f"{field.name}: {_change_list(message, field, value, chance)}"
    if field.message_type:
        if chance.random() < 0.1:
            message.ClearField(field.name)
            return f"{field.name} is missing"
        return f"{field.name}.{_change(value, chance)}"
    if chance.random() < 0.1:
        message.ClearField(field.name)
        return f"{field.name} is missing"
    new = _other(field, value, chance)
    try:
        setattr(message, field.name, new)
    except (ValueError, TypeError, UnicodeError):
        return f"{field.name} cannot be {new!r:.40}"
    return f"{field.name} is {new!r:.60}, was {value!r:.60}"


def _change_list(message: Any, field: Any, values: Any, chance: random.Random) -> str:
    how = chance.choice(["change", "change", "change", "clear", "drop", "double", "shuffle", "many"])
    if not values or how == "clear":
        message.ClearField(field.name)
        return "cleared"
    at = chance.randrange(len(values))
    if how == "change":
        if field.message_type:
            return f"[{at}].{_change(values[at], chance)}"
        new = _other(field, values[at], chance)
        try:
            values[at] = new
        except (ValueError, TypeError, UnicodeError):
            return f"[{at}] cannot be {new!r:.40}"
        return f"[{at}] is {new!r:.60}"
    items = list(values)
    if how == "drop":
        del items[at]
    elif how == "shuffle":
        chance.shuffle(items)
    else:
        items[at:at] = [items[at]] * (1 if how == "double" else chance.choice([100, MOST_COPIES]))
    copies = [_copy(item) for item in items]
    message.ClearField(field.name)
    getattr(message, field.name).extend(copies)
    return f"{how} [{at}]"


def _copy(item: Any) -> Any:
    if not hasattr(item, "CopyFrom"):
        return item
    new = type(item)()
    new.CopyFrom(item)
    return new


def _other(field: Any, value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = (value + 1, value - 1, value ^ 1 << chance.randrange(64), value * 2, value + 4096, ~value)
        fits = [n for n in (*NUMBERS, *near) if _fits(field, n)]
        return chance.choice(fits)
    if isinstance(value, str):
        return chance.choice((*TEXTS, value + "x", value[:-1]))
    if isinstance(value, bytes):
        return chance.choice(
            (b"", bytes(len(value)), chance.randbytes(len(value)), value * 1000, value[:-1], b"\xff" * 8)
        )
    return value * -1e300 if isinstance(value, float) else value


def _fits(field: Any, number: int) -> bool:
    low, high = RANGES.get(field.type, (0, 2))
    return low <= number < high


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _some(files: list[Path], chance: random.Random) -> Path:
    return chance.choice([path for path in files if path.is_file() and not path.is_symlink()])


MUTATIONS: tuple[tuple[Mutation, int], ...] = (
    (truncate, 10), (flip, 14), (overwrite, 5), (lengthen, 5), (inflate, 2), (remove, 4), (swap, 5), (replace, 5),
    (set_field, 50),
)  # fmt: skip


def mutate(directory: Path, chance: random.Random) -> str:
    """One to three of them, mostly one; what was done, in words."""
    said = []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        mutation = chance.choices([m for m, _ in MUTATIONS], [weight for _, weight in MUTATIONS])[0]
        said.append(mutation(sorted(directory.iterdir()), chance))
    return "; ".join(said)
