"""Configuration files: one option per line, without dashes.

    log-file "name with blanks"   # a value may be in double quotes, \\" stands for a quote in it
    verbosity 4
    no-ghost-fiemap

The files count in this order, the command line last; a file that does not exist counts as empty:
/etc/criu/default.conf, $HOME/.criu/default.conf, $CRIU_CONFIG_FILE, --config FILE.
"""

from __future__ import annotations

from engine.commandline.getopt import Given, read
from engine.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROWS = {"G02": "configuration files"}

SYSTEM_FILE = "/etc/criu/default.conf"
USER_FILE = ".criu/default.conf"
_BLANKS = " \t"


def files(argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The configuration files that count for this command line, the strongest last."""
    named, defaults = _asked_for(argv)
    found = []
    if defaults and named is None:
        found.append(SYSTEM_FILE)
        if environ.get("HOME"):
            found.append(f"{environ['HOME']}/{USER_FILE}")
    if environ.get("CRIU_CONFIG_FILE"):
        found.append(environ["CRIU_CONFIG_FILE"])
    return found if named is None else [*found, named]


def _asked_for(argv: Sequence[str]) -> tuple[str | None, bool]:
    """What --config names, and whether the default files count: looked up before all else, as CRIU does."""
    named, defaults = None, True
    words = iter(argv)
    for word in words:
        if word == "--":
            break
        if word == "--no-default-config":
            defaults = False
        elif word == "--config":
            named = next(words, None)
        elif word.startswith("--config="):
            named = word.partition("=")[2]
    return named, defaults


def load(path: str) -> list[Given]:
    """The options in the file `path`; none when it does not exist. UsageError names the file and the line."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"configuration file {path}: {error.strerror}") from error
    return list(_options(path, lines))


def _options(path: str, lines: list[str]) -> Iterator[Given]:
    for number, line in enumerate(lines, 1):
        try:
            words = _words(line)
            if words:
                yield from _read(words)
        except UsageError as error:
            raise UsageError(f"configuration file {path}, line {number}: {error}") from error


def _read(words: list[str]) -> list[Given]:
    if len(words) > 2:
        raise UsageError(f"'{words[2]}' after the value")
    options, _ = read(["--" + "=".join(words)])
    if not options:  # a pair of quotes alone
        raise UsageError("an option is expected")
    return options


def _words(line: str) -> list[str]:
    """Split a line at blanks outside of quotes and cut its comment off."""
    words: list[str] = []
    rest = line.strip(_BLANKS)
    while rest and not rest.startswith("#"):
        if rest.startswith('"'):
            word, rest = _quoted(rest[1:])
        else:
            word, rest = _bare(rest)
        words.append(word)
        rest = rest.lstrip(_BLANKS)
    return words


def _bare(rest: str) -> tuple[str, str]:
    end = next((i for i, char in enumerate(rest) if char in " \t#"), len(rest))
    if '"' in rest[:end]:
        raise UsageError("a quote inside a word")
    return rest[:end], rest[end:]


def _quoted(rest: str) -> tuple[str, str]:
    """The text up to the quote that ends it, and what comes after that."""
    end = rest.find('"')
    while end > 0 and rest[end - 1] == "\\":
        end = rest.find('"', end + 1)
    if end < 0:
        raise UsageError("the quote at the end is missing")
    return rest[:end].replace('\\"', '"'), rest[end + 1 :]
