"""What becomes of another kernel's vdso: the records, the jumps, the calls in place of what this kernel lacks."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import time
from pathlib import Path
from typing import Any

import pytest

from engine.abi.syscalls import NR
from engine.errors import Refused
from engine.plan.ops import CALL, STORE
from engine.rebuild import NewTask, NewTree
from engine.resources import stages
from engine.resources.memory import contents, inherit, mappings, stand_in, symbols, vdso
from engine.resources.memory.contents import Piece
from engine.resources.memory.mappings import ANON_PRIVATE, REGULAR
from engine.resources.memory.stand_in import JUMP, stubs
from engine.resources.memory.symbols import Function
from tests.unit.resources.memory import made_up
from tests.unit.resources.task.trees import Born, tree, words

PAGE = 4096
OLD = 0x7F1234560000  # where the old code was
DATA = 4 * PAGE
OLD_FUNCTIONS = {
    "__vdso_clock_gettime": (0x800, 100), "clock_gettime": (0x800, 100), "__vdso_time": (0x880, 40),
    "__vdso_getcpu": (0x8C0, 30), "getcpu": (0x8C0, 30),
}  # fmt: skip
NEW_FUNCTIONS = {"__vdso_clock_gettime": (0x900, 100), "__vdso_getcpu": (0xA00, 30)}  # no time
MONOTONIC_COARSE = 6  # linux/time.h
NEW_DATA = 6 * PAGE
PLACE = 0x600000000000 + (OLD - DATA & 0xFFFFFFF000)  # where the new one goes


@pytest.fixture(autouse=True)
def another_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running kernel has a made-up vdso, too."""
    monkeypatch.setattr(vdso, "_known", [vdso.Own(NEW_DATA, bytes(made_up.vdso(NEW_FUNCTIONS)))])


def make(tmp_path: Path, *codes: bytes, data: int = DATA, ip: int = 0x400000) -> tuple[NewTree, dict[int, list[Piece]]]:
    """A process for each code, the first one the parent of the others; each has a page of memory too."""
    new = tree(*(Born(7 + i, parent=7 if i else 0) for i in range(len(codes))))
    pieces: dict[int, list[Piece]] = {}
    for task, code in zip(new.tasks, codes, strict=True):
        pages = tmp_path / f"pages-{task.pid}.img"
        pages.write_bytes(bytes(PAGE) + code)
        task.pages_path = str(pages)
        add = task.mm.vmas.add
        add(start=0x400000, end=0x401000, pgoff=0, shmid=0, prot=5, flags=0x22, status=513, fd=-1)
        if data:
            add(start=OLD - data, end=OLD, pgoff=0, shmid=0, prot=1, flags=0x22, status=513 | vdso.VVAR, fd=-1)
        add(start=OLD, end=OLD + PAGE, pgoff=0, shmid=0, prot=5, flags=0x22, status=513 | vdso.VDSO, fd=-1)
        task.vdso = [Piece(OLD, len(code), PAGE)] if code else []
        task.core.thread_info.gpregs.ip = ip
        pieces[task.pid] = [Piece(0x400000, PAGE, 0)]
    return new, pieces


def old(**changes: tuple[int, int]) -> bytes:
    return bytes(made_up.vdso({**OLD_FUNCTIONS, **changes}))


def refusal(new: NewTree, pieces: dict[int, list[Piece]]) -> str:
    with pytest.raises(Refused) as caught:
        stand_in.plan(new, pieces)
    return str(caught.value)


def areas(task: NewTask) -> list[tuple[int, int, int, int]]:
    return [(v.start, v.end - v.start, v.prot, v.status) for v in task.mm.vmas]


def lines(task: NewTask) -> list[str]:
    """What the task does to get its vdso, in order."""
    with task.step(stages.MAP, "") as step:
        vdso.restore(task, step)
    stand_in.restore(task)
    task.tree.graph.order()
    ops = task.leader.actor.ops
    assert {op.code for op in ops} <= {CALL, STORE}
    return [words(op) if op.code == CALL else f"store {op.args[0]:#x}" for op in ops]


# ---- the records


def test_the_old_code_becomes_memory_and_the_new_one_gets_a_place(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old())
    stand_in.plan(new, pieces)
    task = new.root
    place = PLACE
    assert areas(task) == [
        (0x400000, PAGE, 5, 513),
        (place, NEW_DATA, 1, 513 | vdso.VVAR),
        (place + NEW_DATA, PAGE, 5, 513 | vdso.VDSO),
        (OLD - DATA, DATA, 1, REGULAR | ANON_PRIVATE),
        (OLD, PAGE, 5, REGULAR | ANON_PRIVATE),
    ]
    assert pieces[7] == [Piece(0x400000, PAGE, 0), Piece(OLD, PAGE, PAGE)]
    assert [v.madv >> 16 & 1 for v in task.mm.vmas] == [0, 0, 0, 1, 0]  # the old data stay out of core dumps
    task.fill = pieces[7]
    assert lines(task) == [
        f"arch_prctl {0x2003} {place}", f"msync {place} {NEW_DATA + PAGE} 1",
        f"store {OLD + 0x800:#x}", f"store {OLD + 0x808:#x}", f"store {OLD + 0x880:#x}", f"store {OLD + 0x8C0:#x}",
        f"store {OLD + 0x8C8:#x}",
    ]  # fmt: skip


def test_the_very_same_code_goes_where_it_was(tmp_path: Path) -> None:
    code = vdso.own().code
    new, pieces = make(tmp_path, code, data=NEW_DATA)
    before = areas(new.root)
    stand_in.plan(new, pieces)
    assert areas(new.root) == before
    assert not new.root.patches and pieces[7] == [Piece(0x400000, PAGE, 0)]
    assert lines(new.root) == [f"arch_prctl {0x2003} {OLD - NEW_DATA}", f"msync {OLD - NEW_DATA} {NEW_DATA + PAGE} 1"]


def test_other_data_beside_the_same_code_are_another_kernel(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, vdso.own().code, data=NEW_DATA - PAGE)
    stand_in.plan(new, pieces)
    assert new.root.patches


def test_other_code_of_the_same_size_is_another_kernel(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, vdso.own().code[:-1] + b"\1", data=NEW_DATA)
    stand_in.plan(new, pieces)
    assert new.root.patches


def test_criu_marks_the_kernels_own(tmp_path: Path) -> None:
    """It is the same; and on another kernel the ELF header is put back."""
    marked = vdso.MARK + bytes(32) + vdso.own().code[40:]
    new, pieces = make(tmp_path, marked, data=NEW_DATA)
    stand_in.plan(new, pieces)
    assert not new.root.patches
    new, pieces = make(tmp_path, vdso.MARK + bytes(32) + old()[40:])
    stand_in.plan(new, pieces)
    assert new.root.patches[0] == (OLD, old()[:40])


def test_without_a_vdso_there_is_none(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old())
    del new.root.mm.vmas[1:]
    stand_in.plan(new, pieces)
    assert areas(new.root) == [(0x400000, PAGE, 5, 513)]
    assert lines(new.root) == []


def test_data_without_code_are_zeros(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, b"")
    del new.root.mm.vmas[2]
    stand_in.plan(new, pieces)
    assert areas(new.root) == [(0x400000, PAGE, 5, 513), (OLD - DATA, DATA, 1, 513)]
    assert lines(new.root) == []


def test_a_kernel_without_a_vdso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vdso, "_known", [vdso.Own(0, b"")])
    new, pieces = make(tmp_path, old())
    stand_in.plan(new, pieces)
    assert [v.status for v in new.root.mm.vmas] == [513, 513, 513]
    assert all(not content.startswith(JUMP) for _, content in new.root.patches)


def test_all_tasks_have_the_new_one_at_one_place(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old(), vdso.own().code, old())
    new.tasks[1].mm.vmas[1].start = OLD - NEW_DATA  # the same as this kernel's
    in_the_way = {"start": PLACE, "end": PLACE + PAGE, "pgoff": 0, "shmid": 0, "prot": 3, "flags": 0x22}
    new.tasks[2].mm.vmas.add(**in_the_way, status=513, fd=-1)
    stand_in.plan(new, pieces)
    places = [next(v.start for v in task.mm.vmas if v.status & vdso.VDSO) for task in new.tasks]
    assert places == [PLACE + PAGE + NEW_DATA, OLD, PLACE + PAGE + NEW_DATA]


# ---- relatives


def test_an_heir_has_what_its_parent_prepared(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old(), old())
    stand_in.plan(new, pieces)
    child = new.tasks[1]
    child.kept = {v.start for v in child.mm.vmas}
    assert lines(child) == []
    child.fill = [Piece(OLD, PAGE, PAGE)]  # a page of its own
    assert [line for line in lines(child) if line.startswith("store")]


def test_a_vdso_of_the_parents_is_no_memory_to_inherit(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, vdso.own().code, old(), data=NEW_DATA)
    stand_in.plan(new, pieces)
    parent, child = new.tasks
    assert [v.start for v in parent.mm.vmas] == [0x400000, OLD - NEW_DATA, OLD]
    assert inherit.common(inherit.shape_of(child), inherit.shape_of(parent)) == {0x400000}


def test_pieces_of_the_code_are_read_from_the_image(tmp_path: Path) -> None:
    """Whatever way the pages are listed."""
    new, _ = make(tmp_path, old())
    task = new.root
    task.vdso = []
    task.mm.vmas[2].end = OLD + 2 * PAGE
    kept = contents._clip(task, [Piece(OLD + PAGE, PAGE, 2 * PAGE), Piece(OLD, PAGE, PAGE), Piece(0x400000, PAGE, 0)])
    assert kept == [Piece(0x400000, PAGE, 0)]
    assert task.vdso == [Piece(OLD, PAGE, PAGE), Piece(OLD + PAGE, PAGE, 2 * PAGE)]


# ---- what cannot be


@pytest.mark.parametrize("code, reason", [
    (b"", "the image does not hold its code"),
    (b"\x7fELF" + bytes(PAGE - 4), "does not begin with the ELF header"),
    (old(__vdso_teleport=(0x900, 40)), "this one lacks its function __vdso_teleport"),
    (old(__vdso_clock_getres=(0x904, 7)), "__vdso_clock_getres has no room"),
    (old(__vdso_clock_getres=(0x8C8, 40)), "__vdso_getcpu has no room"),
])  # fmt: skip
def test_refusals_name_the_reason(code: bytes, reason: str, tmp_path: Path) -> None:
    said = refusal(*make(tmp_path, code))
    assert said.startswith("pid 7: its vdso is another kernel's, and") and reason in said
    assert "restore it on the kernel that it was dumped on" in said


def test_code_in_pieces_is_refused(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old())
    new.root.mm.vmas.add(start=OLD + PAGE, end=OLD + 2 * PAGE, pgoff=0, shmid=0, prot=7, flags=0x22, status=521, fd=-1)
    assert "several pieces" in refusal(new, pieces)


def test_a_size_that_no_kernel_has_is_refused_unread(tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old())
    new.root.mm.vmas[2].end = OLD + (1 << 40)
    new.root.vdso = [Piece(OLD, 1 << 40, 0)]
    assert "does not hold" in refusal(new, pieces)


@pytest.mark.parametrize("offset, stands", [(0x800, False), (0x801, True), (0x860, True), (PAGE, False), (-1, False)])
def test_a_thread_in_an_old_function_is_refused(offset: int, stands: bool, tmp_path: Path) -> None:
    new, pieces = make(tmp_path, old(), ip=OLD + offset)
    if stands:
        assert "pid 7 stands in one of its functions" in refusal(new, pieces)
    else:
        stand_in.plan(new, pieces)


def test_everybody_who_is_refused_is_named(tmp_path: Path) -> None:
    said = refusal(*make(tmp_path, b"", old(), b""))
    assert "pid 7: " in said and "pid 9: " in said and "pid 8: " not in said


def test_the_plan_may_do_it(tmp_path: Path) -> None:
    """The records after the change allow the calls and stores, and those of nobody else."""
    new, pieces = make(tmp_path, old())
    stand_in.plan(new, pieces)
    spaces = mappings.areas(new.root)
    for address, content in new.root.patches:
        assert any(a.start <= address and address + len(content) <= a.end for a in spaces)


# ---- the stubs


def test_names_of_one_function_share_a_jump() -> None:
    functions = {name: Function(*place) for name, place in OLD_FUNCTIONS.items()}
    found = dict(stubs(functions, {"__vdso_clock_gettime": 0x1122334455, "getcpu": 0x66, "time": 0x77}))
    assert found.keys() == {0x800, 0x880, 0x8C0}
    assert found[0x800] == JUMP + (0x1122334455).to_bytes(8, "little") + b"\xcc\xcc"
    assert found[0x8C0] == JUMP + (0x66).to_bytes(8, "little") + b"\xcc\xcc"
    assert found[0x880] == b"\xb8" + NR.time.to_bytes(4, "little") + b"\x0f\x05\xc3"


@pytest.mark.parametrize("start, size, fits", [
    (0x800, 16, True), (0x800, 10, True), (0x800, 0, False), (0x808, 16, True), (0x808, 15, False),
])  # fmt: skip
def test_a_jump_needs_sixteen_bytes(start: int, size: int, fits: bool) -> None:
    """Behind a short function there is padding, if it is aligned."""
    functions = {"f": Function(start, size)}
    if fits:
        assert len(stubs(functions, {"f": 1})[0][1]) == 16
    else:
        with pytest.raises(symbols.Damaged, match="no room"):
            stubs(functions, {"f": 1})


Argument = int | ctypes.Array[Any] | ctypes.c_uint


class Machine:
    """Code of ours, mapped and called."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def call(self, name: str, *args: Argument, targets: dict[str, int] | None = None) -> int:
        """What a stub of that function returns."""
        ((_, stub),) = stubs({name: Function(0x800, 200)}, targets or {})
        self.memory[0x800 : 0x800 + len(stub)] = stub
        values = [a if isinstance(a, int) else ctypes.addressof(a) for a in args]
        kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * len(values))
        return int(kind(self.base + 0x800)(*values))


def test_stubs_make_the_system_calls() -> None:
    machine, pair = Machine(), (ctypes.c_long * 2)()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert machine.call("__vdso_clock_gettime", time.CLOCK_MONOTONIC, pair) == 0
    assert before <= pair[0] * 10**9 + pair[1] <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert machine.call("clock_getres", MONOTONIC_COARSE, pair) == 0
    assert pair[0] == 0 and pair[1] > 0
    assert machine.call("gettimeofday", pair, 0) == 0 and abs(pair[0] - time.time()) < 2
    assert abs(machine.call("__vdso_time", 0) - time.time()) < 2
    cpu = ctypes.c_uint(9999)
    assert machine.call("__vdso_getcpu", cpu, 0, 0) == 0 and cpu.value < (os.cpu_count() or 1)
    assert machine.call("clock_gettime", 999, pair) == -errno.EINVAL


def test_random_bytes_without_a_state() -> None:
    machine, filled = Machine(), (ctypes.c_char * 64)()
    assert machine.call("__vdso_getrandom", filled, 64, 0, 0, 144) == 64
    assert filled.raw != bytes(64)
    assert machine.call("__vdso_getrandom", 0, 0, 0, filled, -1) == -errno.ENOSYS  # how large a state must be


def test_no_enclave_is_entered() -> None:
    assert Machine().call("__vdso_sgx_enter_enclave", 0, 0, 0) == -errno.ENOSYS


def test_a_jump_arrives_with_every_argument() -> None:
    library = ctypes.CDLL(None)
    target = ctypes.cast(library.labs, ctypes.c_void_p).value
    assert target is not None
    assert Machine().call("__vdso_time", -(1 << 40), targets={"__vdso_time": target}) == 1 << 40
