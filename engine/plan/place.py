"""Where an arena can lie: a hole in all address spaces that it must share."""

from __future__ import annotations

from engine.errors import AmberError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.resources.memory.mappings import Area

LOWEST = 0x10000000  # well above vm.mmap_min_addr and the skeleton ELF
HIGHEST = 0x7FF000000000  # below the stack and the vdso of a fresh task
MARGIN = 1 << 20  # room for a stack above to grow


def find_hole(areas: Iterable[Area], size: int, lowest: int = LOWEST) -> int:
    """The lowest page-aligned address, not below `lowest`, from which `size` bytes are free of all areas."""
    at = lowest
    for area in sorted(areas):
        if area.start - MARGIN >= at + size:
            break
        at = max(at, area.end)
    if at + size > HIGHEST:
        raise AmberError(f"the mappings of the tree leave no hole of {size} bytes for what the restore needs")
    return at
