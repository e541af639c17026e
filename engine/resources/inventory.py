"""inventory.img: what a dump is. It is written last; a directory without it holds no dump."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.errors import ImageError
from engine.images import pb

if TYPE_CHECKING:
    from engine.frozen import FrozenTree

V1_1 = 2
NETWORK_LOCK_SKIP = 2


def collect(tree: FrozenTree) -> pb.inventory_entry:
    """Format version and the namespaces of the engine itself: equal ids mean that a task shares them."""
    return pb.inventory_entry(
        img_version=V1_1, fdinfo_per_id=True, ns_per_id=True, root_ids=pb.task_kobj_ids_entry(
            vm_id=1, files_id=1, fs_id=1, sighand_id=1),
        dump_uptime=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000,
        network_lock_method=NETWORK_LOCK_SKIP,
    )  # fmt: skip


def check(entry: pb.inventory_entry) -> None:
    """Refuses dumps of another make."""
    if entry.img_version not in (1, V1_1):
        raise ImageError(f"inventory.img: image version {entry.img_version} is not supported (1 and 2 are)")
    if not entry.fdinfo_per_id:
        raise ImageError("inventory.img: dumps without fdinfo_per_id are too old to be restored")
