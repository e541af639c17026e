"""Forms: one for all processes with as many threads, and answers that reach who asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine import questions
from engine.errors import EngineBug
from engine.plan.listing import listing
from engine.plan.ops import CONTROL
from engine.questions import Form, Forms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from engine.plan.builder import Emitter
    from engine.plan.ops import Slot

FRAME = 1024


class Module:
    """A resource that asks for ids, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def ask(self, ask: Emitter) -> Slot:
        return ask.call("getpid")

    def ask_thread(self, ask: Emitter) -> Slot:
        return ask.call("gettid")

    def hear(self, task: Any, asked: Slot) -> None:
        self.heard.append((task.name, asked))

    def hear_thread(self, thread: str, asked: Slot) -> None:
        self.heard.append((thread, asked))


class Special(Module):
    """One that asks only some."""

    def ask_of(self, task: Any) -> Any:
        return (lambda ask: ask.call("getppid")) if task.name == "special" else None


@pytest.fixture(autouse=True)
def no_other_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_forms", {})


def modules(*some: Module) -> Sequence[ModuleType]:
    return cast("Sequence[ModuleType]", some)


def task(name: str, threads: int) -> Any:
    home = SimpleNamespace(frame_size=FRAME)
    return SimpleNamespace(
        name=name, leader=SimpleNamespace(home=home), threads=[f"{name}, thread {i}" for i in range(threads)]
    )


def test_the_leader_is_asked_for_the_process() -> None:
    form = Form(modules(Module()), ["one", "two"], {}, FRAME)
    text = [line for line in listing(form.plan) if not line.startswith("#")]
    assert text == ["=== one", "r0 = getpid()", "r1 = gettid()", "halt", "=== two", "r0 = gettid()", "halt"]


def test_answers_reach_who_asked() -> None:
    module = Module()
    Form(modules(module), ["one", "two"], {}, FRAME).heard_by(task("it", 2))
    assert module.heard == [("it", (0, 0)), ("it, thread 0", (0, 1)), ("it, thread 1", (1, 0))]


def test_processes_alike_have_one_form() -> None:
    forms = Forms(modules(Module()))
    one, two, three = (forms.form_for(task("it", count)) for count in (2, 2, 3))
    assert one is two and one is not three
    assert len(three.actors) == 3


def test_who_is_asked_more_has_a_form_of_its_own() -> None:
    module = Special()
    forms = Forms(modules(module))
    common, special = forms.form_for(task("it", 1)), forms.form_for(task("special", 1))
    assert common is forms.form_for(task("it", 1)) and special is not common
    assert [op.nr for op in special.actors[0].ops[:-1]] != [op.nr for op in common.actors[0].ops[:-1]]
    special.heard_by(task("special", 1))
    assert [name for name, _ in module.heard] == ["special", "special", "special, thread 0"]


def test_a_form_is_prepared_when_a_frame_is_known() -> None:
    forms = Forms(modules(Module()))
    forms.prepare(5)
    assert not questions._forms
    forms.form_for(task("it", 1))
    forms.prepare(5)
    assert (5, FRAME) in questions._forms
    assert questions._forms[5, FRAME] is forms.form_for(task("it", 5))


def test_the_image_has_the_signal_to_halt_by() -> None:
    form = Form(modules(Module()), ["one"], {}, FRAME)
    at = form.plan.offset(form.actors[0].control)
    for halt in (23, 28, 0):
        assert CONTROL.unpack_from(form.image(0x10000, halt), at)[-1] == halt
    assert form.image(0x10000, 23) is form.image(0x10000, 23)


def test_a_form_that_changes_something_is_a_bug() -> None:
    class Bad(Module):
        def ask(self, ask: Emitter) -> Slot:
            return ask.call("setsid")

    with pytest.raises(EngineBug, match="may call"):
        Form(modules(Bad()), ["one"], {}, FRAME)
