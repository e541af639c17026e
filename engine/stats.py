"""How long a dump or restore took and how much it moved.

Times are in microseconds, amounts in pages of 4096 bytes. The work collects them in a `Timings`; the files
`stats-dump` and `stats-restore` carry them in CRIU's format.
"""

from __future__ import annotations

import time

from engine.errors import AmberError
from engine.log import SILENT
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from engine.log import Log

ROWS = {"L13": "statistics: times and numbers of pages"}


_LONGEST = (1 << 32) - 1  # microseconds that the files have room for: 71 minutes


class DumpStats(NamedTuple):
    """Fields of dump_stats_entry (stats.proto), with its names."""

    freezing_time: int = 0  # from the first stop asked for until the last task stopped
    frozen_time: int = 0  # from then on until the tree ran again or was killed
    memdump_time: int = 0  # finding the pages to save
    memwrite_time: int = 0  # writing them
    pages_scanned: int = 0
    pages_skipped_parent: int = 0
    pages_written: int = 0
    irmap_resolve: int = 0
    pages_lazy: int = 0
    page_pipes: int = 0
    page_pipe_bufs: int = 0
    shpages_scanned: int = 0
    shpages_skipped_parent: int = 0
    shpages_written: int = 0


class RestoreStats(NamedTuple):
    """Fields of restore_stats_entry (stats.proto), with its names."""

    pages_compared: int = 0
    pages_skipped_cow: int = 0
    forking_time: int = 0  # until all tasks of the tree exist
    restore_time: int = 0  # the whole of it
    pages_restored: int = 0


def write(directory: str | int, stats: DumpStats | RestoreStats, log: Log = SILENT) -> None:
    """Write the file stats-dump or stats-restore, as CRIU does, into the work directory.

    A failure is only warned of: the dump or restore itself is done, and well.
    """
    try:
        _write(directory, stats)
    except (AmberError, OSError) as error:
        log.warning(f"the statistics are lost: {error}")


def _write(directory: str | int, stats: DumpStats | RestoreStats) -> None:
    from engine.images import pb
    from engine.images.directory import ImageDir

    which = "dump" if isinstance(stats, DumpStats) else "restore"
    message = pb.stats_entry()
    for field, value in stats._asdict().items():
        setattr(getattr(message, which), field, min(value, _LONGEST) if field.endswith("_time") else value)
    ImageDir.create(directory).write("STATS", which, [message])


def report(stats: DumpStats | RestoreStats) -> str:
    """The text of --display-stats: one field per line, with its unit."""
    lines = [f"{field:<24}{value:>12}{_unit(field)}\n" for field, value in zip(stats._fields, stats, strict=True)]
    return "".join(lines)


def _unit(field: str) -> str:
    return " us" if field.endswith("_time") else ""


class Timings:
    """Clock and counters of one dump or restore.

    timings = Timings()
    with timings.span("freezing_time"):
        ...
    timings.add("pages_written", 512)
    timings.dump_stats()
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, int] = {}

    def add(self, field: str, amount: int) -> None:
        self._values[field] = self._values.get(field, 0) + amount

    def span(self, field: str) -> _Span:
        """A context whose duration is added to `field`."""
        return _Span(self, field)

    def dump_stats(self) -> DumpStats:
        """Raise TypeError for a field that dumps do not have."""
        return DumpStats(**self._values)

    def restore_stats(self) -> RestoreStats:
        """Raise TypeError for a field that restores do not have."""
        return RestoreStats(**self._values)


class _Span:
    __slots__ = ("_field", "_since", "_timings")

    def __init__(self, timings: Timings, field: str) -> None:
        self._timings, self._field = timings, field

    def __enter__(self) -> None:
        self._since = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timings.add(self._field, (time.perf_counter_ns() - self._since) // 1000)
