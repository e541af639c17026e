"""The help texts."""

from __future__ import annotations

from engine.commandline.option import MAY_HAVE_VALUE, NEEDS_VALUE, NO_VALUE, Option
from engine.commandline.table import HEADS

SHORT = """\
usage: amber dump -t PID [options]
       amber restore [options] [--exec-cmd -- PROGRAM ARGUMENTS]
       amber check [PID | --all | --feature NAME]
       amber image decode|encode|show|info [-i FILE] [-o FILE]
       amber --help | --version
"""
_COLUMN = 32
_WIDTH = 100


def full() -> str:
    """The text of --help."""
    lines = [SHORT]
    for head, options in HEADS.items():
        lines += [f"{head}:", *(_entry(option) for option in options), ""]
    return "\n".join(lines)


def forms(option: Option) -> str:
    """How the option is written: `-t, --tree PID`."""
    short = f"-{option.letter}, " if option.letter else ""
    no = "[no-]" if option.negatable else ""
    value = {
        NO_VALUE: "",
        NEEDS_VALUE: f" {option.metavar}",
        MAY_HAVE_VALUE: f"[={option.metavar}]",
    }
    return f"{short}--{no}{option.name}{value[option.argument]}"


def _entry(option: Option) -> str:
    head = "  " + forms(option)
    note = " (not supported yet)" if option.refused and not option.works else ""
    text = f"\n{' ' * _COLUMN}".join(_wrap(option.meaning + note, _WIDTH - _COLUMN))
    gap = " " * (_COLUMN - len(head)) if len(head) < _COLUMN else "\n" + " " * _COLUMN
    return head + gap + text


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines
