"""inventory.img: what a dump is. It is written last; a directory without it holds no dump."""

from __future__ import annotations

import time

from engine.errors import ImageError, Refused
from engine.images import pb
from engine.resources import cgroups, namespaces
from engine.resources.task.ids import OWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.frozen import FrozenTree
    from engine.rebuild import NewTree

V1_1 = 2
NETWORK_LOCK_SKIP = 2


def collect(tree: FrozenTree) -> pb.inventory_entry:
    """Format version, and the namespaces of the engine itself: equal ids mean that a task shares them."""
    own = namespaces.number(pb.task_kobj_ids_entry(vm_id=OWN, files_id=OWN, fs_id=OWN, sighand_id=OWN))
    with open("/proc/sys/kernel/random/uuid", encoding="ascii") as source:
        run = source.read().strip()
    entry = pb.inventory_entry(
        img_version=V1_1, fdinfo_per_id=True, ns_per_id=True, root_ids=own, lsmtype=pb.lsmtype.NO_LSM,
        dump_uptime=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, dump_criu_run_id=run,
        tcp_close=tree.options.tcp_close, network_lock_method=NETWORK_LOCK_SKIP,
    )  # fmt: skip
    if tree.cgroup_sets:
        entry.root_cg_set = cgroups.OWN
    return entry


def check(tree: NewTree) -> None:
    """Refuses dumps of another make, and trees that lived elsewhere."""
    entry = tree.inventory
    if entry.img_version not in (1, V1_1):
        raise ImageError(f"inventory.img: image version {entry.img_version} is not supported (1 and 2 are)")
    if not entry.fdinfo_per_id:
        raise ImageError("inventory.img: dumps without fdinfo_per_id are too old to be restored")
    if obstacles := namespaces.check(tree):
        raise Refused(obstacles)
