"""Messages as dictionaries for JSON, and back: in crit's form, and without any loss.

Only fields that are set appear, under their names. Enums are names; bytes are base64, but names of Unix sockets
are quoted-printable. With `pretty`, numbers have the forms of display.py; `from_dict` takes both forms.

Beyond crit: text that is not UTF-8 keeps its bytes as lone surrogates, and fields that no .proto file knows are
kept together, as base64 under the key UNKNOWN.
"""

from __future__ import annotations

import base64
import binascii

from engine.errors import ImageError
from engine.images.display import options_of, parse_address, parse_number, show_address, show_number
from engine.images.text import as_text, set_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

UNKNOWN = "unknown fields"


def to_dict(message: Any, pretty: bool = False, hexadecimal: bool = False) -> dict[str, Any]:
    """A message as a dictionary; with `hexadecimal`, all of its plain numbers are shown so."""
    result: dict[str, Any] = {}
    for field, value in message.ListFields():
        options = options_of(message.DESCRIPTOR.name, field.name)
        if hexadecimal:
            options = {"hex": True, **options}
        if is_repeated(field):
            result[field.name] = _show_list(field, value, options, pretty)
        else:
            result[field.name] = _show(field, value, options, pretty)
    if unknown := _unknown_bytes(message):
        result[UNKNOWN] = show_bytes(unknown)
    return result


def from_dict(values: Any, message: Any, where: str) -> Any:
    """Fill a message from a dictionary and return it. ImageError, with the place as `where`, when it does not fit."""
    if not isinstance(values, dict):
        _refuse(where, f"{values!r:.60} is no {message.DESCRIPTOR.name}")
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if name == UNKNOWN:
            _merge_unknown(message, value, f"{where}.{name}")
        elif field is None:
            _refuse(f"{where}.{name}", f"{message.DESCRIPTOR.name} has no such field")
        else:
            _set(message, field, value, f"{where}.{name}")
    return message


def is_repeated(field: Any) -> bool:
    """Whether a field descriptor is that of a repeated field, with old and new versions of protobuf."""
    try:
        return bool(field.is_repeated)
    except AttributeError:
        return bool(field.label == field.LABEL_REPEATED)


def show_bytes(value: bytes) -> str:
    """Bytes as base64, in lines as crit has them."""
    return base64.encodebytes(value).decode()


def parse_bytes(text: Any, where: str) -> bytes:
    """Bytes from base64. ImageError when it is none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError):
        _refuse(where, f"{text!r:.60} is no base64")


def _show_list(field: Any, values: Any, options: dict[str, Any], pretty: bool) -> list[Any]:
    if pretty and options.get("ipadd") and (address := show_address(values)):
        return [address]
    return [_show(field, value, options, pretty) for value in values]


def _show(field: Any, value: Any, options: dict[str, Any], pretty: bool) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return to_dict(value, pretty, bool(options.get("hex")))
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == field.TYPE_BYTES:
        return _show_name(value) if options.get("conv") == "unix_name" else show_bytes(value)
    if field.type == field.TYPE_STRING:
        return as_text(value)
    if field.type == field.TYPE_BOOL or not pretty:
        return value
    return show_number(value, field.name, options)


def _show_name(name: bytes) -> str:
    """A socket's name as quoted-printable text, line ends as they are if that can be undone."""
    text = binascii.b2a_qp(name)
    if binascii.a2b_qp(text) != name:
        text = binascii.b2a_qp(name, istext=False)
    return text.decode()


def _merge_unknown(message: Any, value: Any, where: str) -> None:
    from google.protobuf.message import DecodeError

    try:
        message.MergeFromString(parse_bytes(value, where))
    except DecodeError:
        _refuse(where, f"{value!r:.60} are no fields of a message")


def _set(message: Any, field: Any, value: Any, where: str) -> None:
    if is_repeated(field):
        _check(value, list, where)
        for number, item in enumerate(value):
            _put(message, field, item, f"{where}[{number}]")
    else:
        _put(message, field, value, where)


def _put(message: Any, field: Any, value: Any, where: str) -> None:
    """Set a field, or append to a repeated one."""
    repeated, present = is_repeated(field), getattr(message, field.name)
    if field.type == field.TYPE_MESSAGE:
        child = present.add() if repeated else present
        child.SetInParent()
        from_dict(value, child, where)
        return
    try:
        if field.type == field.TYPE_STRING:
            set_text(message, field.name, _check(value, str, where))
        elif repeated:
            present.extend(_parse_item(message, field, value, where))
        else:
            setattr(message, field.name, _parse(message, field, value, where))
    except (TypeError, ValueError, OverflowError) as error:
        _refuse(where, f"{value!r:.60} does not fit: {error}")


def _parse_item(message: Any, field: Any, value: Any, where: str) -> list[Any]:
    """What an item of a list stands for: an address for several numbers."""
    address = isinstance(value, str) and not value.strip().isalnum()
    if address and options_of(message.DESCRIPTOR.name, field.name).get("ipadd"):
        return parse_address(value.strip())
    return [_parse(message, field, value, where)]


def _parse(message: Any, field: Any, value: Any, where: str) -> Any:
    """A number, enum or bytes from JSON. ValueError or TypeError when it does not fit."""
    options = options_of(message.DESCRIPTOR.name, field.name)
    if field.type == field.TYPE_BYTES:
        name = options.get("conv") == "unix_name" and isinstance(value, str)
        return binascii.a2b_qp(value) if name else parse_bytes(value, where)
    if field.type == field.TYPE_ENUM and isinstance(value, str):
        if value not in field.enum_type.values_by_name:
            raise ValueError(f"{field.enum_type.name} has no such value")
        return field.enum_type.values_by_name[value].number
    if field.type == field.TYPE_BOOL:
        return _check(value, bool, where)
    if isinstance(value, str):
        return parse_number(value, field.name, options)
    return _check(value, int, where)


def _check(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _refuse(where, f"{value!r:.60} is no {kind.__name__}")
    return value


def _unknown_bytes(message: Any) -> bytes:
    """The encoding of fields that the .proto files do not have, of this message alone."""
    rest = message.__class__()
    rest.CopyFrom(message)
    for field, _ in message.ListFields():
        rest.ClearField(field.name)
    return bytes(rest.SerializePartialToString())


def _refuse(where: str, cause: str) -> NoReturn:
    raise ImageError(f"{where}: {cause}")
