"""What the user asked for, as typed immutable objects.

    engine.dump(engine.DumpOptions(pid=812, images_dir="/var/tmp/images"))

The command line makes them from argv and configuration files; a library user writes them directly. Names,
defaults and meaning are those of CRIU's options (docs/cli.md). A directory is a path or an open descriptor;
the caller keeps its descriptors.
"""

from __future__ import annotations

from engine.log import SILENT, Log, Progress
from engine.stats import DumpStats, RestoreStats
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Notify = Callable[[str, int], int]
    """Called at each stage with its name ("pre-dump") and the root's pid (0: none yet); not 0 is an error."""


class DumpOptions(NamedTuple):
    """One dump. Only `pid` is needed."""

    pid: int  # the root of the tree
    images_dir: str | int = "."  # must exist
    work_dir: str | int | None = None  # statistics; None: the image directory
    leave_running: bool = False  # else the tree is killed when its images are complete
    leave_stopped: bool = False
    shell_job: bool = False  # the session and the terminal may belong to somebody outside of the tree
    timeout: int = 10  # seconds to freeze the tree in
    freeze_cgroup: str | None = None  # freezer cgroup that holds exactly the tree
    ghost_limit: int = 1 << 20  # bytes of the largest unlinked file that is saved with its contents
    ghost_fiemap: bool = True
    link_remap: bool = False
    file_locks: bool = False
    evasive_devices: bool = False
    file_validation: str = "buildid"  # or "filesize"
    tcp_established: bool = False
    tcp_close: bool = False
    skip_in_flight: bool = False
    network_lock: str = "iptables"  # or "nftables", "skip"
    ext_unix_sk: bool = False
    manage_cgroups: str = "soft"  # none, props, soft, full, strict, ignore
    external: tuple[str, ...] = ()
    action_scripts: tuple[str, ...] = ()
    notify: Notify | None = None
    explain: bool = False  # make and show the plan, change nothing
    step: bool = False  # run plans call by call through ptrace
    log: Log = SILENT
    progress: Progress = Progress()


class DumpResult(NamedTuple):
    """What a dump did. `script_status` is not 0 when a post-dump script refused it: the tree runs on."""

    root_pid: int
    stats: DumpStats
    script_status: int = 0
    listing: str = ""  # of the plan, with `explain`


class RestoreOptions(NamedTuple):
    """One restore. Everything has a default."""

    images_dir: str | int = "."
    work_dir: str | int | None = None
    pidfile: str | None = None  # engine.pidfile.write() it before the tasks run, while all can be undone
    detached: bool = False  # the tree outlives its restorer
    sibling: bool = False  # the root becomes a child of the caller's parent
    leave_stopped: bool = False
    shell_job: bool = False
    root: str | None = None  # new root of a restored mount namespace
    link_remap: bool = False
    file_locks: bool = False
    evasive_devices: bool = False
    file_validation: str = "buildid"
    skip_file_rwx_check: bool = False
    tcp_established: bool = False
    tcp_close: bool = False
    ext_unix_sk: bool = False
    manage_cgroups: str = "soft"
    cgroup_root: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    inherit_fd: tuple[str, ...] = ()
    weak_sysctls: bool = False
    exec_cmd: tuple[str, ...] = ()  # the caller becomes this program afterwards, as the parent of the tree
    action_scripts: tuple[str, ...] = ()
    notify: Notify | None = None
    explain: bool = False
    step: bool = False
    log: Log = SILENT
    progress: Progress = Progress()


class RestoreResult(NamedTuple):
    """What a restore did; the tree runs (or is stopped, as asked)."""

    root_pid: int  # as its restorer sees it
    stats: RestoreStats
    listing: str = ""
