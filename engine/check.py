"""`amber check`: what this kernel can do, and what stands in the way of dumping one tree.

amber check                  the features that every dump and restore needs
amber check --extra          those that some programs need as well; --experimental, --all
amber check --feature NAME   one of them
amber check PID              all obstacles of the tree, the tree left as it is
"""

from __future__ import annotations

from engine.commandline.settings import dump_options
from engine.commandline.values import positive
from engine.errors import UsageError
from engine.kernel import features
from engine.kernel.features import catalog
from engine.kernel.features.catalog import EXPERIMENTAL, EXTRA, REQUIRED
from engine.surroundings import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commandline.settings import Settings
    from engine.log import Log
    from engine.workplace import Workplace

ROWS = {"G25": "amber check"}

GOOD = "Looks good.\n"
MAYBE = "Looks good but some features are missing: dumps or restores of programs that need them will fail.\n"
BAD = "Does not look good.\n"


def run(settings: Settings, place: Workplace) -> int:
    """Check what was asked for; return the command's status. Raise Refused with the obstacles of a tree."""
    pid = _pid(settings)
    if pid:
        return _check_tree(settings._replace(values={**settings.values, "tree": pid}), place)
    if settings.values["feature"]:
        return _check_feature(settings.values["feature"], place.log)
    return _check_kernel(_categories(settings), place.log)


def _pid(settings: Settings) -> int:
    """The root of the tree to check, 0 for none."""
    if len(settings.words) > 2:
        raise UsageError(f"check takes one pid at most, but was given '{settings.words[2]}' too")
    try:
        return positive(settings.words[1]) if len(settings.words) > 1 else settings.values["tree"] or 0
    except ValueError as error:
        raise UsageError(f"check {settings.words[1]}: the pid of a tree's root is expected") from error


def _check_tree(settings: Settings, place: Workplace) -> int:
    """By explaining the dump: the tree is frozen and looked at, but nothing runs in it and nothing is written."""
    from engine.dumper import dump

    dump(dump_options(settings)._replace(explain=True, **place.options()))
    say(GOOD)
    return 0


def _check_feature(name: str, log: Log) -> int:
    works, reason = features.verdict(name)
    if not works:
        log.error(f"{name}: {reason}")
    return 0 if works else 1


def _categories(settings: Settings) -> list[str]:
    values = settings.values
    optional = {EXTRA: values["extra"], EXPERIMENTAL: values["experimental"]}
    return [category for category, wanted in optional.items() if wanted or values["all"]]


def _check_kernel(optional: list[str], log: Log) -> int:
    """Required features first: without one of them nothing else matters."""
    if _missing([REQUIRED], log, log.error):
        say(BAD)
        return 1
    if _missing(optional, log, log.warning):
        say(MAYBE)
        return 1
    say(GOOD)
    return 0


def _missing(categories: list[str], log: Log, complain: Callable[[str], None]) -> list[str]:
    """The features of these categories that do not work here, each complained about."""
    wanted = [feature for feature in catalog.features().values() if feature.category in categories]
    verdicts = features.verdicts([feature.name for feature in wanted])
    missing = [feature for feature in wanted if not verdicts[feature.name].works]
    for feature in missing:
        complain(f"{feature.name}: {verdicts[feature.name].reason} ({feature.doc})")
    log.info(f"tried: {', '.join(verdicts)}")
    return [feature.name for feature in missing]
