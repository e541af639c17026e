"""Test descriptions: the YAML beside a test program. docs/writing-a-test.md explains the schema."""

from __future__ import annotations

import datetime
import difflib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from .facts import ASPECTS

MODES = ("plain", "iters", "norst", "stop")
STEPS = ("build", "start", "dump", "unharmed", "gone", "restore", "state", "verdict", "leftovers")
DEFAULT_TIMEOUT = 30.0  # seconds

T = TypeVar("T")


class DescriptionError(Exception):
    """A description that does not follow the schema; names file, key, cause and what is allowed."""


class Options(NamedTuple):
    """Further words of the engine's command line."""

    dump: tuple[str, ...]
    restore: tuple[str, ...]


class Needs(NamedTuple):
    """Without these the test is skipped."""

    features: tuple[str, ...]
    root: bool
    commands: tuple[str, ...]
    libraries: tuple[str, ...]
    alone: bool


class Expectation(NamedTuple):
    """A failure that is known."""

    engine: str  # amber, criu, any
    kernel: str  # "< 6.12, >= 5.10"; empty = every kernel
    step: str  # one of STEPS
    reason: str
    until: datetime.date  # last day
    modes: tuple[str, ...]  # some of MODES
    always: bool  # false: a pass is no surprise


class Description(NamedTuple):
    """One test."""

    path: Path
    doc: str
    rows: tuple[str, ...]
    program: Path
    arguments: tuple[str, ...]
    cflags: tuple[str, ...]
    ldlibs: tuple[str, ...]
    options: Options
    needs: Needs
    user: bool
    terminal: bool
    modes: tuple[str, ...]
    changes: tuple[str, ...]
    expect_fail: tuple[Expectation, ...]
    timeout: float  # seconds, for each step

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def transition(self) -> bool:
        return self.path.parent.name == "transition"


Reader = Callable[[Any], Any]  # returns the value or raises ValueError with what was expected


class Field(NamedTuple):
    read: Reader
    default: Any = None
    required: bool = False


def load(path: Path) -> Description:
    """Reads and checks one description. Raises DescriptionError."""
    try:
        raw = yaml.load(path.read_text(), Loader=_Loader)
        values = read_mapping(raw, _TEST)
        program = _program(path, values.pop("program"))
    except (ValueError, yaml.YAMLError) as error:
        raise DescriptionError(f"{path}: {error}") from None
    return Description(path=path, program=program, **values)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that comes twice, where YAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"the key {', '.join(sorted(twice))} comes twice")
        return dict(super().construct_mapping(node, deep=deep))


def _program(path: Path, name: str) -> Path:
    candidates = [path.with_name(name)] if name else [path.with_suffix(".c"), path.with_suffix(".py")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ValueError(f"there is no program {' or '.join(c.name for c in candidates)} beside it")


# ---- readers


def read_mapping(raw: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Values of a mapping whose keys are closed. Raises ValueError naming the key and what is allowed."""
    if not isinstance(raw, dict):
        raise ValueError(f"a mapping with the keys {', '.join(fields)} is expected, not {raw!r}")
    for key in raw:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"unknown key {key!r}; {hint}allowed are {', '.join(fields)}")
    return {key: _read_field(key, raw, field) for key, field in fields.items()}


def _read_field(key: str, raw: dict[str, Any], field: Field) -> Any:
    if key not in raw:
        if field.required:
            raise ValueError(f"the key {key!r} is missing")
        return field.default
    try:
        return field.read(raw[key])
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"text is expected, not {raw!r}")
    return " ".join(raw.split())


def _truth(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError(f"true or false is expected, not {raw!r}")
    return raw


def _seconds(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw < math.inf:
        raise ValueError(f"a number of seconds above 0 is expected, not {raw!r}")
    return float(raw)


def _day(raw: Any) -> datetime.date:
    if not isinstance(raw, datetime.date) or isinstance(raw, datetime.datetime):
        raise ValueError(f"a day like 2027-06-30 is expected, not {raw!r}")
    return raw


def _words(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(word, str | int) for word in raw):
        raise ValueError(f"a list of words is expected, not {raw!r}")
    if any(isinstance(word, bool) for word in raw):
        raise ValueError(f"a list of words is expected, but {raw!r} has yes or no without quotes")
    return tuple(str(word) for word in raw)


def _some_words(raw: Any) -> tuple[str, ...]:
    words = _words(raw)
    if not words:
        raise ValueError("the list is empty")
    return words


def _one_of(allowed: tuple[str, ...]) -> Reader:
    def read(raw: Any) -> str:
        if raw not in allowed:
            raise ValueError(f"{raw!r} is not one of {', '.join(allowed)}")
        return str(raw)

    return read


def _some_of(allowed: tuple[str, ...]) -> Reader:
    one = _one_of(allowed)
    return lambda raw: tuple(one(word) for word in _some_words(raw))


def _kernel(raw: Any) -> str:
    text = _text(raw)
    for part in text.split(","):
        operator, _, number = part.strip().partition(" ")
        parts = number.split(".")
        if operator not in ("<", "<=", ">", ">=", "==") or not all(part.isdecimal() for part in parts):
            raise ValueError(f"comparisons like '< 6.12, >= 5.10' are expected, not {raw!r}")
    return text


def _options(raw: Any) -> Options:
    values = read_mapping(raw, _OPTIONS)
    return Options(values["both"] + values["dump"], values["both"] + values["restore"])


def _needs(raw: Any) -> Needs:
    return Needs(**read_mapping(raw, _NEEDS))


def _expectations(raw: Any) -> tuple[Expectation, ...]:
    if not isinstance(raw, list):
        raise ValueError(f"a list of mappings is expected, not {raw!r}")
    return tuple(Expectation(**read_mapping(each, _EXPECTATION)) for each in raw)


# ---- the schema

_OPTIONS = {"both": Field(_words, ()), "dump": Field(_words, ()), "restore": Field(_words, ())}

_NEEDS = {
    "features": Field(_words, ()),
    "root": Field(_truth, True),
    "commands": Field(_words, ()),
    "libraries": Field(_words, ()),
    "alone": Field(_truth, False),
}

_EXPECTATION = {
    "engine": Field(_one_of(("amber", "criu", "any")), required=True),
    "kernel": Field(_kernel, ""),
    "step": Field(_one_of(STEPS), required=True),
    "reason": Field(_text, required=True),
    "until": Field(_day, required=True),
    "modes": Field(_some_of(MODES), MODES),
    "always": Field(_truth, True),
}

_TEST = {
    "doc": Field(_text, required=True),
    "rows": Field(_some_words, required=True),
    "program": Field(_text, ""),
    "arguments": Field(_words, ()),
    "cflags": Field(_words, ()),
    "ldlibs": Field(_words, ()),
    "options": Field(_options, Options((), ())),
    "needs": Field(_needs, Needs((), True, (), (), False)),
    "user": Field(_truth, False),
    "terminal": Field(_truth, False),
    "modes": Field(_some_of(MODES), MODES),
    "changes": Field(_some_of(ASPECTS), ()),
    "expect_fail": Field(_expectations, ()),
    "timeout": Field(_seconds, DEFAULT_TIMEOUT),
}
