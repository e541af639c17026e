"""The messages of the image format as classes: `pb.core_entry(mtype=pb.core_entry.X86_64)`.

Flat names as in the .proto files. Enums hold their values (`pb.fd_types.REG`, `pb.fd_types.Name(1)`), and
values of top-level enums are found without their enum too (`pb.REG`). What there is, and of which types, says
pb.pyi, which `python -m engine.images.build` writes beside the descriptors.
"""

from __future__ import annotations

from engine.images.pool import Pool

TYPE_CHECKING = False  # as in pool.py
if TYPE_CHECKING:
    from typing import Any

_pool: Pool | None = None


def pool() -> Pool:
    """The descriptors behind the classes."""
    global _pool
    if _pool is None:
        _pool = Pool()
    return _pool


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        found = globals()[name] = pool().find(name)
    except KeyError:
        raise AttributeError(f"the image format has no message, enum or value {name!r}") from None
    return found


def __dir__() -> list[str]:
    return [*globals(), *pool().names()]
