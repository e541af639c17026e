"""The command `zdtm`: lists and runs tests."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import bench, compat, engines, suite, support
from .build import BuildError
from .description import Description, DescriptionError
from .engines import EngineMissing
from .report import Report, summary
from .results import Outcome
from .runner import Runner
from .settings import RUNS, Settings
from .suite import NoSuchTest


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 all well, 1 a test failed, 2 it could not be run, 130 interrupted."""
    options = _parser().parse_args(words)
    try:
        return int(options.command(options))
    except (BuildError, DescriptionError, EngineMissing, NoSuchTest) as error:
        print(f"zdtm: {error}", file=sys.stderr)
        return 2


def _list(options: argparse.Namespace) -> int:
    if options.rows:
        return _list_rows(options)
    for test in _chosen(options):
        modes = "all modes" if len(test.modes) == 4 else ",".join(test.modes)
        print(f"{test.name:28} {modes:12} {','.join(test.rows):24} {test.doc}")
    return 0


def _list_rows(options: argparse.Namespace) -> int:
    tests = _chosen(options)
    for row in support.in_order({row for test in tests for row in test.rows}):
        print(f"{row:6} {' '.join(test.name for test in tests if row in test.rows)}")
    return 0


def _run(options: argparse.Namespace) -> int:
    tests, settings = _chosen(options), settings_of(options)
    report = Report(len(tests), options.verbose)
    began = time.monotonic()
    try:
        results = Runner(settings, report).run_all(tests, options.parallel, options.keep_going)
    except KeyboardInterrupt:
        report.close()
        print("zdtm: interrupted; the runs were ended and cleaned up", file=sys.stderr)
        return 130
    report.close()
    print(summary(results, len(tests), time.monotonic() - began))
    return int(any(result.outcome is Outcome.FAILED for result in results) or len(results) < len(tests))


def _bench(options: argparse.Namespace) -> int:
    chosen = [engines.find(name) for name in options.engine or ["amber", "criu"]]
    try:
        found = bench.run(chosen, bench.chosen(options.rows), options.rounds, Path(options.place))
    except bench.BenchError as error:
        print(f"zdtm: {error}", file=sys.stderr)
        return 1
    print(bench.table(found))
    if options.json:
        Path(options.json).write_text(bench.as_json(found))
    return 0


def _compat(options: argparse.Namespace) -> int:
    tests, criu = _chosen(options), compat.find_criu()
    columns = compat.pairs(criu)
    rows = compat.run(tests, columns, options.parallel)
    print(compat.page(rows, columns, compat.version_of(criu)), end="")
    return int(any(result.outcome is Outcome.FAILED for row in rows for result in row.results))


def _chosen(options: argparse.Namespace) -> list[Description]:
    return suite.collect(options.test, options.tests, options.exclude)


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of a run; the names of the options are the same in the pytest plugin."""
    return Settings(
        engine=engines.find(options.engine),
        mode="norst" if options.norst else "stop" if options.stop else "plain",
        iters=options.iters,
        timeout=options.timeout,
        keep=options.keep,
        runs=Path(options.runs),
        restore_engine=engines.find(options.restore_engine) if options.restore_engine else None,
        step=options.step,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("zdtm", description="Runs programs that are checkpointed in the middle.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="name the tests")
    listing.set_defaults(command=_list)
    listing.add_argument("--rows", action="store_true", help="rows of the feature list, each with its tests")
    _add_choice(listing, required=False)
    measuring = commands.add_parser("bench", help="measure engines against one another")
    measuring.set_defaults(command=_bench)
    measuring.add_argument("--engine", action="append", metavar="NAME", help="amber, criu or a path; repeatable")
    measuring.add_argument("--rows", default="", metavar="REGEX", help="measure only these")
    measuring.add_argument("--rounds", type=_count, default=5, metavar="N", help="so many for each engine")
    measuring.add_argument("--place", default="/dev/shm", metavar="DIR", help="a memory file system for the images")
    measuring.add_argument("--json", metavar="FILE", help="write every sample there")
    comparing = commands.add_parser("compat", help="let Amber and criu restore each other's images")
    comparing.set_defaults(command=_compat)
    _add_choice(comparing, required=True)
    comparing.add_argument("-p", "--parallel", type=_count, default=1, metavar="N", help="so many at a time")
    running = commands.add_parser("run", help="run tests")
    running.set_defaults(command=_run)
    _add_choice(running, required=True)
    running.add_argument("-p", "--parallel", type=_count, default=1, metavar="N", help="so many at a time")
    running.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    running.add_argument("-v", "--verbose", action="store_true", help="print each step")
    for name, keywords in RUN_OPTIONS.items():
        running.add_argument(f"--{name}", **keywords)
    return parser


def _add_choice(parser: argparse.ArgumentParser, required: bool) -> None:
    choice = parser.add_mutually_exclusive_group(required=required)
    choice.add_argument("-a", "--all", action="store_true", help="all tests")
    repeated: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME"}
    choice.add_argument("-t", "--test", **repeated, help="this test (repeat)")
    choice.add_argument("-T", "--tests", default="", metavar="REGEX", help="tests whose names begin so")
    parser.add_argument("-x", "--exclude", **repeated, help="not this (repeat)")


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("a number above 0 is expected")
    return number


def _seconds(text: str) -> float:
    if not 0 < (number := float(text)) < math.inf:
        raise argparse.ArgumentTypeError("a number of seconds above 0 is expected")
    return number


# Also the options of the pytest plugin, as --zdtm-NAME.
RUN_OPTIONS: dict[str, dict[str, Any]] = {
    "engine": {"default": "amber", "metavar": "NAME", "help": "amber, criu, or a path"},
    "restore-engine": {"default": "", "metavar": "NAME", "help": "another engine for the restores"},
    "iters": {"type": _count, "default": 1, "metavar": "N", "help": "dump and restore N times"},
    "norst": {"action": "store_true", "help": "dump and let run, no restore"},
    "stop": {"action": "store_true", "help": "dump and restore leave the tree stopped"},
    "step": {"action": "store_true", "help": "plans go call by call, in dumps and restores (amber alone)"},
    "timeout": {"type": _seconds, "default": None, "metavar": "SECONDS", "help": "limit of each step"},
    "keep": {
        "choices": ("failed", "always", "never"),
        "default": "failed",
        "help": "which run directories stay (images, logs)",
    },
    "runs": {"default": str(RUNS), "metavar": "DIR", "help": "where run directories are made"},
}
