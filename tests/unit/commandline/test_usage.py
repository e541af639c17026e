"""The help texts."""

from __future__ import annotations

from engine.commandline import usage
from engine.commandline.table import OPTIONS


def test_help_has_every_option_and_fits_a_terminal() -> None:
    text = usage.full()
    assert max(map(len, text.splitlines())) <= 100
    for option in OPTIONS:
        assert usage.forms(option) in text


def test_forms() -> None:
    by_name = {option.name: option for option in OPTIONS}
    assert usage.forms(by_name["tree"]) == "-t, --tree PID"
    assert usage.forms(by_name["verbosity"]) == "-v, --verbosity[=LEVEL]"
    assert usage.forms(by_name["shell-job"]) == "-j, --[no-]shell-job"
    assert usage.forms(by_name["all"]) == "--all"
