"""`NamedTuple` without the module `typing`, whose import takes 10 ms: a sixth of what saving a small process takes.

    from engine.tuples import NamedTuple

Type checkers see typing's own. For the same reason modules of the engine write `TYPE_CHECKING = False` (PEP 484 lets
every checker take that name for true) and import what only annotations need below it.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:

    class _Maker(type):
        """Turns the annotations of a class into the fields of a tuple."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = list(body.get("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            base = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            return type(name, (base,), {**body, "__slots__": ()})

    class NamedTuple(metaclass=_Maker):
        """Base of classes whose annotations are the fields of a tuple, as typing.NamedTuple is."""
