"""Messages as dictionaries for JSON, and back: in crit's form, and without any loss.

Only fields that are set appear, under their names. Enums are names; bytes are base64, but names of Unix sockets
are quoted-printable. With `pretty`, numbers have the forms of display.py; `from_dict` takes both forms.

Beyond crit: text that is not UTF-8 keeps its bytes as lone surrogates, and fields that no .proto file knows are
kept together, as base64 under the key UNKNOWN.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from engine.errors import ImageError
from engine.images.display import options_of, parse_address, parse_number, show_address, show_number
from engine.images.text import as_text, set_text

if TYPE_CHECKING:
    from typing import NoReturn

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
        result[UNKNOWN] = base64.encodebytes(unknown).decode()
    return result


def from_dict(values: Any, message: Any, where: str) -> Any:
    """Fill a message from a dictionary and return it. ImageError, with the place as `where`, when it does not fit."""
    if not isinstance(values, dict):
        _refuse(where, f"{values!r:.60} is no {message.DESCRIPTOR.name}")
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if name == UNKNOWN:
            message.MergeFromString(parse_bytes(value, f"{where}.{name}"))
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


def _set(message: Any, field: Any, value: Any, where: str) -> None:
    options = options_of(message.DESCRIPTOR.name, field.name)
    if is_repeated(field):
        _set_list(message, field, value, options, where)
    elif field.type == field.TYPE_MESSAGE:
        getattr(message, field.name).SetInParent()
        from_dict(value, getattr(message, field.name), where)
    elif field.type == field.TYPE_STRING:
        _check(value, str, where)
        set_text(message, field.name, value)
    else:
        try:
            setattr(message, field.name, _parse(field, value, options, where))
        except (TypeError, ValueError) as error:
            _refuse(where, f"{value!r:.60} does not fit: {error}")


def _set_list(message: Any, field: Any, values: Any, options: dict[str, Any], where: str) -> None:
    _check(values, list, where)
    for number, value in enumerate(values):
        place = f"{where}[{number}]"
        if field.type == field.TYPE_MESSAGE:
            from_dict(value, getattr(message, field.name).add(), place)
        elif field.type == field.TYPE_STRING:
            _check(value, str, place)
            set_text(message, field.name, value)
        else:
            try:
                getattr(message, field.name).extend(_parse_item(field, value, options, place))
            except (TypeError, ValueError) as error:
                _refuse(place, f"{value!r:.60} does not fit: {error}")


def _parse_item(field: Any, value: Any, options: dict[str, Any], where: str) -> list[Any]:
    if options.get("ipadd") and isinstance(value, str) and not value.strip().isalnum():
        return parse_address(value.strip())
    return [_parse(field, value, options, where)]


def _parse(field: Any, value: Any, options: dict[str, Any], where: str) -> Any:
    """A number, enum or bytes from JSON. ValueError or TypeError when it does not fit."""
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
    known = message.__class__()
    known.CopyFrom(message)
    for field, _ in message.ListFields():
        known.ClearField(field.name)
    return bytes(known.SerializePartialToString())


def _refuse(where: str, cause: str) -> NoReturn:
    raise ImageError(f"{where}: {cause}")
