"""From argv, configuration files and environment to one immutable set of settings."""

from __future__ import annotations

from engine.commandline import config, getopt
from engine.commandline.table import COMMANDS, OPTIONS
from engine.errors import Obstacle, Refused, UsageError
from engine.options import DumpOptions, RestoreOptions
from engine.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from engine.commandline.getopt import Given

_SAME = {"daemon": "restore_detached"}  # two names of one setting in CRIU: the last one counts
_NONE = "none"  # as a value it asks for nothing: --cpu-cap=none


class Settings(NamedTuple):
    """What was asked for. `values` has every option by its field name, defaults included."""

    words: tuple[str, ...]  # the command and what follows it
    values: Mapping[str, Any]  # typed by the table; the classes of engine.options are the typed face of it

    @property
    def command(self) -> str:
        """The command; UsageError when there is none."""
        if not self.words:
            raise UsageError("a command is expected")
        return self.words[0]


def settle(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read argv (without the program's name), the configuration files and the environment. UsageError."""
    given: list[Given] = []
    for path in config.files(argv, environ):
        given += config.load(path)
    options, words = getopt.read(argv)
    values = _fold([*given, *options])
    if environ.get("CRIU_DEPRECATED"):
        values["deprecated"] = True
    return Settings(tuple(words), values)


def _fold(given: Iterable[Given]) -> dict[str, Any]:
    values = {option.field: option.default for option in OPTIONS}
    for one in given:
        field = _SAME.get(one.option.field, one.option.field)
        values[field] = one.value(values[field])
    return values


def refuse(settings: Settings) -> None:
    """Raise Refused with every option that is set, matters to the command and is not supported."""
    letter = COMMANDS[settings.command]
    obstacles = [
        Obstacle(f"--{option.name}", f"not supported yet: {option.reason}")
        for option in OPTIONS
        if letter in option.refused and settings.values[option.field] not in (option.default, _NONE)
    ]
    if obstacles:
        raise Refused(obstacles)


def dump_options(settings: Settings) -> DumpOptions:
    """UsageError when options contradict one another or no pid was given."""
    if settings.values["tree"] is None:
        raise UsageError("dump needs the pid of the tree's root: --tree PID")
    return DumpOptions(pid=settings.values["tree"], **_shared(settings, DumpOptions._fields))


def restore_options(settings: Settings) -> RestoreOptions:
    """UsageError when options contradict one another."""
    values = settings.values
    options = RestoreOptions(**_shared(settings, RestoreOptions._fields))
    options = options._replace(
        detached=values["restore_detached"],
        sibling=values["restore_sibling"],
        exec_cmd=settings.words[1:] if values["exec_cmd"] else (),
    )
    _check_restore(options, values["exec_cmd"])
    return options


def _check_restore(options: RestoreOptions, exec_cmd: bool) -> None:
    if exec_cmd and not options.exec_cmd:
        raise UsageError("--exec-cmd needs a program: restore … --exec-cmd -- PROGRAM ARGUMENTS")
    if exec_cmd and options.detached:
        raise UsageError("--exec-cmd and --restore-detached exclude one another")
    if options.sibling and not options.detached:
        raise UsageError("--restore-sibling needs --restore-detached")


def _shared(settings: Settings, fields: Iterable[str]) -> dict[str, Any]:
    """The settings that a class of options has under the same name."""
    shared = {field: settings.values[field] for field in fields if field in settings.values}
    shared.pop("exec_cmd", None)  # there a switch, here the program
    return {**shared, "action_scripts": settings.values["action_script"]}
