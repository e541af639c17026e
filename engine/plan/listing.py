"""The listing of a plan: what a reviewer reads, much like an strace.

    === pid 812
    # pid 812, fd 77 (eventfd)
    r0 = eventfd2(count=5, O_NONBLOCK)
    r1 = dup3(r0, 77, 0)                                         == 77
    r2 = close(r0)                                               may fail: EINTR
    wait for "pid 813, process group"

A comment begins what is done for one object; `r0` is the result of a call, `== 77` what it must be. Who waits for
another task names the step that it waits for.
"""

from __future__ import annotations

import struct

from engine.abi.sched import CLONE_ARGS
from engine.abi.syscalls import NAMES as SYSCALLS
from engine.plan.names import errno_name, name, number
from engine.plan.ops import (
    ANY,
    CALL,
    CONTROL_SIZE,
    EQUAL,
    FIRST_BYTES,
    FIRST_DATA,
    FULL_IO,
    HALT,
    LOAD,
    MAY,
    POST,
    REPEAT,
    SPAWN,
    STORE,
    WAIT,
    Ref,
    Slot,
)  # fmt: skip
from engine.plan.signatures import COMMANDS, MAKING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.plan.builder import Actor, Plan
    from engine.plan.ops import Op, Value
    from engine.plan.signatures import Parameter, Signature

WIDTH = 60  # columns before the expected result
SHOWN_VECTORS = 3
SHOWN_BYTES = 16


def listing(plan: Plan) -> Iterator[str]:
    """All actors one after the other."""
    steps = posters(plan)
    for actor in plan.actors:
        yield f"=== {actor.name}"
        why = ""
        for op in actor.ops:
            if op.why != why:
                why = op.why
                yield f"# {why}"
            yield line(plan, actor, op, steps)


def line(plan: Plan, actor: Actor, op: Op, steps: dict[Value, str] | None = None) -> str:
    """One op, with where its result goes and what it must be. `steps` has the names of futex words, if known."""
    result = f"r{op.dst} = " if op.code in (CALL, FULL_IO, SPAWN, LOAD) else ""
    return _judged(result + brief(plan, op, steps), op)


def brief(plan: Plan, op: Op, steps: dict[Value, str] | None = None) -> str:
    """What an op does, as error messages say it."""
    if op.code in (CALL, FULL_IO):
        return ("full " if op.code == FULL_IO else "") + _call(plan, op)
    if op.code == SPAWN:
        return _spawn(plan, op)
    if op.code == LOAD:
        return f"load{8 * op.nr}({_plain(plan, op.args[0])})"
    if op.code == STORE:
        return f"store{8 * op.nr}({_plain(plan, op.args[0])}, {_plain(plan, op.args[1])})"
    if op.code in (WAIT, POST):
        return _meeting(plan, op, steps or {})
    if op.code == REPEAT:
        return _repeat(plan, op)
    return "halt" if op.code == HALT else f"op {op.code}"


def _judged(text: str, op: Op) -> str:
    """What comes behind a call: what its result must be."""
    if op.policy == EQUAL:
        return f"{text.ljust(WIDTH)} == {number(op.expect)}"
    if op.policy == MAY:
        return f"{text.ljust(WIDTH)} may fail: {', '.join(map(errno_name, op.allowed))}"
    if op.policy == ANY and op.code == CALL:
        return f"{text.ljust(WIDTH)} may fail"
    return text


def _call(plan: Plan, op: Op) -> str:
    signature = _signature(op)
    args = []
    for i, value in enumerate(op.args):
        parameter = signature[i] if i < len(signature) else None
        if parameter is not None or value != 0:  # zeros beyond what the call takes
            args.append(_argument(plan, op, value, parameter))
    return f"{SYSCALLS.get(op.nr, f'syscall {op.nr}')}({', '.join(args)})"


def _signature(op: Op) -> Signature:
    at = COMMANDS.get(SYSCALLS.get(op.nr, ""), -1)
    command = op.args[at] if 0 <= at < len(op.args) else 0
    return MAKING.find(op.nr, command if isinstance(command, int) else 0) or ()


def _argument(plan: Plan, op: Op, value: Value, parameter: Parameter | None) -> str:
    if parameter is None or isinstance(value, Slot):
        return _plain(plan, value)
    if isinstance(value, int):
        text = name(parameter.kind, value)
        if text is not None:
            return text
        return f"{parameter.name}={number(value)}" if parameter.kind == "number" else number(value)
    if parameter.kind in ("iov", "put_iov"):
        return _vector(plan, value)
    if parameter.kind in ("out", "io", "mem"):
        return f"&{value.block}" + (f"+{value.offset}" if value.offset else "")
    return _reference(plan, value)


def _plain(plan: Plan, value: Value) -> str:
    if isinstance(value, Slot):
        return f"r{value.index}"
    return _reference(plan, value) if isinstance(value, Ref) else number(value)


def _reference(plan: Plan, ref: Ref) -> str:
    """A text if it is one, few bytes as they are, else where it is and how long."""
    if not FIRST_DATA <= ref.block < len(plan.blocks):
        return f"&{ref.block}+{ref.offset}"
    content = bytes(plan.blocks[ref.block][ref.offset :])
    text, end, _ = content.partition(b"\0")
    decoded = text.decode("utf-8", "replace")
    if end and text and decoded.isprintable():
        return f'"{decoded}"' if len(text) <= FIRST_BYTES else f'"{decoded[:FIRST_BYTES]}"…'
    if len(content) <= SHOWN_BYTES and any(content):
        return f"&{ref.block}{{{content.hex()}}}"
    return f"&{ref.block}{{{len(content)} bytes}}"


def _vector(plan: Plan, ref: Ref) -> str:
    """The first few iovecs; where one leads into the plan's data, its length alone is known."""
    raw = plan.blocks[ref.block][ref.offset :]
    pairs = list(struct.iter_unpack("<QQ", raw[: len(raw) & -16]))
    parts = [f"{base:#x}+{length:#x}" if base else f"{length} bytes" for base, length in pairs[:SHOWN_VECTORS]]
    more = [f"… {len(pairs) - SHOWN_VECTORS} more"] if len(pairs) > SHOWN_VECTORS else []
    return f"[{', '.join(parts + more)}]"


def _spawn(plan: Plan, op: Op) -> str:
    args, _, control = op.args
    index = control.offset // CONTROL_SIZE if isinstance(control, Ref) else len(plan.actors)
    child = plan.actors[index].name if index < len(plan.actors) else "nobody"
    if not isinstance(args, Ref):
        return f"clone3({_plain(plan, args)}) -> {child}"
    fields = CLONE_ARGS.unpack(plan.blocks[args.block], args.offset)
    return f"clone3({name('clone', fields['flags'])}, {name('signal', fields['exit_signal'])}) -> {child}"


def _repeat(plan: Plan, op: Op) -> str:
    back, slot, value, most = op.args
    distance = (1 << 64) - back if isinstance(back, int) else 0
    return f"repeat the last {distance} ops until r{slot} == {_plain(plan, value)}, at most {most} times"


def _meeting(plan: Plan, op: Op, steps: dict[Value, str]) -> str:
    word, count = op.args
    if op.code == POST:
        return "post" + (f" {_plain(plan, count)} times" if count != 1 else "") + f' "{op.why}"'
    return f"wait for {steps.get(word, 'nobody')}" + (f" ({_plain(plan, count)} posts)" if count != 1 else "")


def posters(plan: Plan) -> dict[Value, str]:
    """Futex word -> the steps that post it."""
    found: dict[Value, dict[str, None]] = {}
    for actor in plan.actors:
        for op in actor.ops:
            if op.code == POST:
                found.setdefault(op.args[0], {})[op.why] = None
    return {word: _several(list(whys)) for word, whys in found.items()}


def _several(whys: list[str]) -> str:
    return f'"{whys[0]}"' + (f" and {len(whys) - 1} more steps" if len(whys) > 1 else "")
