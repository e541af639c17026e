"""Trees that are restored again and again, each time as if on another kernel: every call through an old pointer into
the vdso must lead to this kernel's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from zdtm import compat, engines, suite
from zdtm.pytest_plugin import Silent
from zdtm.report import explain
from zdtm.results import Outcome
from zdtm.runner import Runner
from zdtm.settings import Settings

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ("calls_exact", "fork_tree", "memory_cow", "threads_tree", "tree_deep", "vdso", "vdso_busy", "vdso_pointers",
            "vdso_unmapped")  # fmt: skip
UNDISTURBED = {"vdso_busy": ["--interval=0"]}  # a handler that returns into a wrecked function would fail
SCRIPT = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.torture.elsewhere import run
run({amber!r}, sys.argv[1:], {wreck!r})
"""



@pytest.mark.parametrize("iters", [1, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_call_runs_into_old_code(name: str, iters: int, tmp_path: Path) -> None:
    _run(name, iters, tmp_path, UNDISTURBED.get(name, []), wreck=True)


@pytest.mark.parametrize("iters", [1, 3])
def test_an_interrupted_function_ends_without_its_data(iters: int, tmp_path: Path) -> None:
    _run("vdso_busy", iters, tmp_path, [], wreck=False)


@pytest.mark.parametrize("name", ["vdso", "vdso_pointers"])
def test_criu_saves_stand_ins_as_it_saves_memory(name: str, tmp_path: Path) -> None:
    try:
        criu = compat.find_criu()
    except engines.EngineMissing as error:
        pytest.skip(f"no criu: {error}")
    _run(name, 3, tmp_path, [], wreck=True, dumper=criu)


def _run(
    name: str, iters: int, tmp_path: Path, arguments: list[str], wreck: bool, dumper: engines.Engine | None = None
) -> None:
    """One of the programs, its restores elsewhere. The stand-in is one more mapping, or several."""
    (known,) = suite.collect([name])
    beside = tmp_path / known.path.parent.name
    beside.mkdir()
    content = yaml.safe_load(known.path.read_text())
    content["changes"] = [*{*content.get("changes", ()), "mappings"}]
    content["arguments"] = [*content.get("arguments", ()), *arguments]
    content["program"] = known.program.name
    (beside / known.path.name).write_text(yaml.safe_dump(content))
    shutil.copy(known.program, beside)
    (test,) = suite.collect([name], directories=[beside])
    restorer = _elsewhere(tmp_path, wreck)
    settings = Settings(dumper or engines.find("amber"), iters=iters, keep="never", restore_engine=restorer)
    result = Runner(settings, Silent()).run(test)
    assert result.outcome is Outcome.PASSED, explain(result)


def _elsewhere(tmp_path: Path, wreck: bool) -> engines.Engine:
    """An engine that restores on another kernel than it dumps on."""
    script = tmp_path / "amber-elsewhere"
    amber = engines.find("amber")
    script.write_text(SCRIPT.format(python=sys.executable, root=str(ROOT), amber=str(amber.command), wreck=wreck))
    script.chmod(0o755)
    return engines.find(str(script))
