"""The command `amber image`: image files as JSON and back, with the words of CRIU's tool crit.

    amber image decode [-i FILE] [-o FILE] [--pretty]
    amber image encode [-i FILE] [-o FILE]
    amber image show FILE [--nopl]
    amber image info FILE

Without FILE: standard input and output.
"""

from __future__ import annotations

import json
import sys

from engine.errors import AmberError, ImageError, KernelError
from engine.images import crit
from engine.surroundings import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def run(argv: list[str]) -> int:
    """Run `amber image` with these arguments; return the exit status (0, 1, or 2 for wrong arguments)."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed the help or the usage
        return int(stop.code or 0)
    try:
        options.work(options)
    except AmberError as error:
        sys.stderr.write(f"amber: {error}\n")
        return 1
    return 0


def _parser() -> ArgumentParser:
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="amber image", description="Image files as JSON and back.")
    commands = parser.add_subparsers(required=True, metavar="decode|encode|show|info")
    decode = commands.add_parser("decode", help="an image as JSON")
    encode = commands.add_parser("encode", help="JSON as an image")
    show = commands.add_parser("show", help="an image for people")
    info = commands.add_parser("info", help="type and number of entries")
    for command, work in ((decode, _decode), (encode, _encode), (show, _show), (info, _info)):
        command.set_defaults(work=work)
        command.add_argument("file", nargs="?", help="the same as -i")
        command.add_argument("-i", "--in", dest="input", metavar="FILE", help="input (default: standard input)")
        command.add_argument("-o", "--out", metavar="FILE", help="output (default: standard output)")
    decode.add_argument("--pretty", action="store_true", help="indented, numbers in forms for people")
    show.add_argument("--pretty", action="store_true", help="nothing: it always is")
    show.add_argument("--nopl", action="store_true", help="sizes in place of payloads")
    return parser


def _decode(options: Namespace) -> None:
    _write_json(options, crit.decode(_source(options), options.pretty), 4 if options.pretty else None)


def _encode(options: Namespace) -> None:
    source = _source(options)
    try:
        image = json.loads(_text(source))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{source}: no JSON: {error}") from None
    _write(options, crit.encode(image, source))


def _show(options: Namespace) -> None:
    _write_json(options, crit.show(_source(options), payloads=not options.nopl), 4)


def _info(options: Namespace) -> None:
    _write_json(options, crit.info(_source(options)), 4)


def _source(options: Namespace) -> str:
    return str(options.input or options.file or crit.STDIN)


def _text(source: str) -> bytes:
    if source == crit.STDIN:
        return sys.stdin.buffer.read()
    try:
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        raise KernelError("open", error.errno or 0, source) from None


def _write_json(options: Namespace, image: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(image, indent=indent)
    _write(options, (text if options.out else text + "\n").encode())


def _write(options: Namespace, data: bytes) -> None:
    if not options.out:
        say(data)
        return
    try:
        with open(options.out, "wb") as file:  # blocking: it may be a pipe, such as /dev/stdout
            file.write(data)
    except OSError as error:
        raise KernelError("write", error.errno or 0, options.out) from None
