"""The command `amber`: from argv to the engine and back to an exit status.

CRIU's commands, options and statuses: 0 done, 1 failed, 1 to 255 from a post-dump script, 255 for a command
that CRIU has removed. The engine itself is imported only by the commands that need it.
"""

from __future__ import annotations

import os
import sys

import engine
from engine import stats
from engine.commandline.settings import dump_options, restore_options, settle
from engine.commandline.table import COMMANDS
from engine.errors import AmberError, KernelError, UsageError
from engine.surroundings import put_right, say, use_default_signals
from engine.version import CRIU_VERSION, VERSION
from engine.workplace import complain, working

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commandline.settings import Settings
    from engine.options import DumpResult, RestoreResult
    from engine.workplace import Workplace

ROWS = {"G19": "the restored tree's parent becomes a program (--exec-cmd)"}

REMOVED = ("exec", "show")
NOT_YET = ("pre-dump", "page-server", "lazy-pages", "service", "swrk", "dedup", "cpuinfo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    put_right()
    if argv[:1] == ["image"]:
        from engine.images import command

        return command.run(list(argv[1:]))
    try:
        if _asks_for_help(argv):
            from engine.commandline import usage

            say(usage.full())
            return 0
        return _run(settle(argv, os.environ))
    except UsageError as error:
        from engine.commandline import usage

        sys.stderr.write(f"amber: {error}\n{usage.SHORT}")
    except Exception as error:
        complain(error)
    except KeyboardInterrupt:
        sys.stderr.write("amber: interrupted\n")
    return 1


def _asks_for_help(argv: Sequence[str]) -> bool:
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "-h" in options or "--help" in options


def _run(settings: Settings) -> int:
    if settings.values["version"]:
        say(f"Version: {CRIU_VERSION}\nAmber: {VERSION}\n")
        return 0
    command = settings.command
    if command in REMOVED:
        sys.stderr.write(f"amber: CRIU removed the command {command} long ago\n")
        return 255
    if command in NOT_YET:
        raise AmberError(f"the command {command} is not supported yet")
    if command not in COMMANDS:
        raise UsageError(f"unknown command '{command}'")
    _close(settings.values["close"])
    return working(settings, {"dump": _dump, "restore": _restore, "check": _check}[command])


def _dump(settings: Settings, place: Workplace) -> int:
    _no_more_words(settings)
    options = dump_options(settings)._replace(**place.options())
    place.progress.show(f"dumping the tree of pid {options.pid}")
    result = engine.dump(options)
    _report(settings, place, result)
    return result.script_status


def _restore(settings: Settings, place: Workplace) -> int:
    options = restore_options(settings)._replace(**place.options())
    if not options.exec_cmd:
        _no_more_words(settings)
    if settings.values["tree"] is not None:
        place.log.warning("--tree is obsolete for restore: the images know the pid")
    place.progress.show("restoring")
    result = engine.restore(options)
    _report(settings, place, result)
    if options.explain:
        return 0
    if options.exec_cmd:
        _become(options.exec_cmd)
    if not options.detached:
        _wait_for(result.root_pid)
    return 0


def _report(settings: Settings, place: Workplace, result: DumpResult | RestoreResult) -> None:
    place.progress.clear()
    place.log.flush()
    if result.listing:
        say(result.listing.rstrip("\n") + "\n")
        return
    if settings.values["display_stats"]:
        say(stats.report(result.stats))


def _check(settings: Settings, place: Workplace) -> int:
    from engine import check

    return check.run(settings, place)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        try:
            os.close(fd)
        except OSError as error:
            raise KernelError("close", error.errno or 0, f"--close {fd}") from error


def _no_more_words(settings: Settings) -> None:
    if len(settings.words) > 1:
        raise UsageError(f"{settings.command} takes no further words, but was given '{settings.words[1]}'")


def _become(program: tuple[str, ...]) -> None:
    """The program takes Amber's place as the parent of the restored tree."""
    use_default_signals()
    try:
        os.execvp(program[0], program)
    except OSError as error:
        raise KernelError("execve", error.errno or 0, f"--exec-cmd {program[0]}") from error


def _wait_for(root_pid: int) -> None:
    """Reap what the tree leaves behind until its root has ended."""
    while True:
        try:
            if os.waitpid(-1, 0)[0] == root_pid:
                return
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
