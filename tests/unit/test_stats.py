"""Statistics: the clock, the counters, the report."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from engine.images import pb
from engine.log import Log
from engine.stats import DumpStats, RestoreStats, Timings, report, write

ROWS = ("L13",)


def test_spans_and_counters_add_up() -> None:
    timings = Timings()
    for _ in range(2):
        with timings.span("frozen_time"):
            time.sleep(0.01)
        timings.add("pages_written", 3)
    stats = timings.dump_stats()
    assert 20_000 <= stats.frozen_time < 2_000_000
    assert stats == DumpStats(frozen_time=stats.frozen_time, pages_written=6)


def test_a_span_that_fails_counts_too() -> None:
    timings = Timings()
    with pytest.raises(KeyError), timings.span("restore_time"):
        time.sleep(0.001)
        raise KeyError
    assert timings.restore_stats().restore_time >= 1000


def test_dumps_and_restores_have_fields_of_their_own() -> None:
    timings = Timings()
    timings.add("pages_restored", 1)
    assert timings.restore_stats() == RestoreStats(pages_restored=1)
    with pytest.raises(TypeError):
        timings.dump_stats()


def test_the_report_has_every_field_and_its_unit() -> None:
    lines = [line.split() for line in report(RestoreStats(1, 2, 3, 4, 5)).splitlines()]
    assert lines == [
        ["pages_compared", "1"],
        ["pages_skipped_cow", "2"],
        ["forking_time", "3", "us"],
        ["restore_time", "4", "us"],
        ["pages_restored", "5"],
    ]


@pytest.mark.parametrize(
    ("stats", "name"), [(DumpStats(frozen_time=7, pages_written=512), "dump"), (RestoreStats(5), "restore")]
)
def test_the_file_carries_every_field(tmp_path: Path, stats: DumpStats | RestoreStats, name: str) -> None:
    write(str(tmp_path), stats)
    content = (tmp_path / f"stats-{name}").read_bytes()
    assert content[:8] == bytes.fromhex("40591055 06330957")
    assert int.from_bytes(content[8:12], "little") == len(content) - 12
    entry = getattr(pb.stats_entry.FromString(content[12:]), name)
    assert {field: getattr(entry, field) for field in stats._fields} == stats._asdict()


def test_a_dump_of_hours_has_statistics_too(tmp_path: Path) -> None:
    write(str(tmp_path), DumpStats(frozen_time=2 * 3600 * 10**6, pages_written=1 << 40))
    entry = pb.stats_entry.FromString((tmp_path / "stats-dump").read_bytes()[12:]).dump
    assert (entry.frozen_time, entry.pages_written) == ((1 << 32) - 1, 1 << 40)


def test_losing_the_file_is_warned_of_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "stats-dump").mkdir()
    (tmp_path / "log").touch()
    log = Log(os.open(tmp_path / "log", os.O_WRONLY))
    write(str(tmp_path), DumpStats(), log)
    write(str(tmp_path / "none"), DumpStats(), log)
    log.flush()
    assert (tmp_path / "log").read_text().count("Warn (amber): the statistics are lost") == 2
