"""The table agrees with CRIU's numbers, with the engine's options, and with the documentation."""

from __future__ import annotations

import pytest

from engine.commandline.option import NO_VALUE, Option
from engine.commandline.table import ANY, NOW, OPTIONS
from engine.options import DumpOptions, RestoreOptions

BY_FIELD = {option.field: option for option in OPTIONS}


def test_the_numbers_of_criu() -> None:
    criu = [option for option in OPTIONS if not option.own]
    assert len(criu) == 85
    assert sum(option.negatable for option in criu) == 27
    assert sorted(option.letter for option in criu if option.letter) == sorted("dsSRthDovxVrjJlWLM")


def test_names_and_letters_are_unique() -> None:
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    assert len({option.letter for option in OPTIONS} - {""}) == 18


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_row_is_consistent(option: Option) -> None:
    assert set(option.applies) <= set(ANY)
    assert not set(option.works) & set(option.refused)
    assert set(option.refused) <= set(option.applies)
    unsaid = (set(option.applies) & set(NOW)) - set(option.works)
    assert option.reason or not unsaid, "an option without effect needs its reason"
    assert bool(option.metavar) == (option.argument is not NO_VALUE)
    assert option.meaning


@pytest.mark.parametrize("options", [DumpOptions(pid=1), RestoreOptions()], ids=["dump", "restore"])
def test_defaults_are_those_of_the_engine(options: DumpOptions | RestoreOptions) -> None:
    for field, default in options._asdict().items():
        if field in BY_FIELD and field != "exec_cmd":
            assert default == BY_FIELD[field].default, field


@pytest.mark.parametrize(("options", "letter"), [(DumpOptions, "D"), (RestoreOptions, "R")])
def test_an_option_that_works_reaches_the_engine(options: type[DumpOptions | RestoreOptions], letter: str) -> None:
    elsewhere = {
        "tree": "pid",
        "action_script": "action_scripts",
        "restore_detached": "detached",
        "daemon": "detached",
        "restore_sibling": "sibling",
    }
    here = {
        "close",
        "display_stats",
        "log_file",
        "verbosity",
        "version",
        "help",
        "config",
        "no_default_config",
    }
    for option in OPTIONS:
        if letter in option.works and option.field not in here:
            assert elsewhere.get(option.field, option.field) in options._fields, option.name
