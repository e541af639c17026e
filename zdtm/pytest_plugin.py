"""Makes every test description a pytest item: `pytest tests/static -k pipe -n 2 --zdtm-engine criu`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .cli import RUN_OPTIONS, settings_of
from .description import Description, load
from .report import explain
from .results import Outcome, Result
from .runner import Runner


class RunFailed(Exception):
    """A run failed; carries its result."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.message)
        self.result = result


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("zdtm", "checkpoint tests")
    for name, keywords in RUN_OPTIONS.items():
        group.addoption(f"--zdtm-{name}", dest=f"zdtm_{name.replace('-', '_')}", **keywords)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix == ".yaml" and file_path.parent.name in ("static", "transition"):
        return DescriptionFile.from_parent(parent, path=file_path)
    return None


class DescriptionFile(pytest.File):
    """One YAML file holds one test."""

    def collect(self) -> Iterable[pytest.Item]:
        yield RunItem.from_parent(self, name=self.path.stem, test=load(self.path))


class RunItem(pytest.Item):
    """A run of one test with the settings of the command line."""

    def __init__(self, test: Description, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.test = test

    def runtest(self) -> None:
        names = [name.replace("-", "_") for name in RUN_OPTIONS]
        options = argparse.Namespace(**{name: self.config.getoption(f"zdtm_{name}") for name in names})
        result = Runner(settings_of(options), Silent()).run(self.test)
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(result.message)
        if result.outcome is Outcome.EXPECTED:
            pytest.xfail(result.message)
        if result.outcome is Outcome.FAILED:
            raise RunFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, RunFailed):
            return explain(excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.test.name


class Silent:
    """A runner tells its listener how it goes; pytest has its own ways to show that."""

    def started(self, test: Description) -> None: ...
    def reached(self, test: Description, step: str) -> None: ...
    def finished(self, result: Result) -> None: ...
