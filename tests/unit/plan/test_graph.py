"""The order of steps: needs, stages and births are kept, and nobody waits for ever."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.abi.syscalls import NR
from engine.errors import EngineBug
from engine.plan.builder import Actor, Plan
from engine.plan.graph import Graph, Milestone, Step
from engine.plan.ops import CALL, CONTROL_SIZE, POST, SPAWN, WAIT, Ref


class Tree(NamedTuple):
    """Actors of which each was spawned by an earlier one, and their steps; step i calls close(i)."""

    graph: Graph
    actors: list[Actor]
    steps: list[Step]
    meeting: Milestone


class Sketch(NamedTuple):
    """One step to be: in a list of them, needs lead backwards and stages of an actor only rise."""

    actor: int
    stage: int
    needs: list[int]
    reaches: bool
    meets: bool
    child: int | None = None


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A drawn life of a tree, handed to the graph in another order than it was lived in."""
    count = draw(st.integers(1, 4))
    sketches: list[Sketch] = []
    born, stages = {0: 0}, [0] * count
    for number in range(draw(st.integers(1, 16)) + count - 1):
        actor = draw(st.sampled_from(sorted(born)))
        stages[actor] += draw(st.integers(0, 2))
        needs = draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        child = min(set(range(count)) - set(born), default=None) if draw(st.booleans()) else None
        if child is not None:
            born[child] = number
        sketches.append(Sketch(actor, stages[actor], needs, draw(st.booleans()), False, child))
    met = draw(st.integers(0, len(sketches)))
    sketches = [s._replace(reaches=s.reaches and i < met, meets=i >= met and not i % 3) for i, s in enumerate(sketches)]
    return build(sketches, count, draw(st.permutations(range(len(sketches)))))


def build(sketches: list[Sketch], count: int, creation: list[int]) -> Tree:
    plan = Plan()
    graph = Graph(plan)
    meeting = graph.milestone("everybody")
    actors = [plan.actor(f"actor {i}") for i in range(count)]
    steps: dict[int, Step] = {}
    for i in creation:
        steps[i] = graph.step(actors[sketches[i].actor], f"step {i}", sketches[i].stage)
        steps[i].call("close", i)
        if (child := sketches[i].child) is not None:
            steps[i].spawn(actors[child], 0)
    for i, sketch in enumerate(sketches):
        steps[i].needs += [steps[need] for need in sketch.needs] + [meeting] * sketch.meets
        steps[i].reaches += [meeting] * sketch.reaches
    return Tree(graph, actors, [steps[i] for i in range(len(sketches))], meeting)


def play(tree: Tree, chance: random.Random) -> list[int]:
    """Runs all actors, one op at a time, in a random interleaving: the numbers of the steps as they happened."""
    at, words, done = {0: 0}, dict[object, int](), list[int]()
    while True:
        able = [i for i, pc in at.items() if pc < len(tree.actors[i].ops) and _may_run(tree, i, pc, words)]
        if not able:
            return done
        actor = chance.choice(able)
        op = tree.actors[actor].ops[at[actor]]
        at[actor] += 1
        if op.code == POST:
            words[op.args[0]] = words.get(op.args[0], 0) + int(op.args[1])  # type: ignore[arg-type]
        elif op.code == SPAWN:
            assert isinstance(op.args[2], Ref)
            at[op.args[2].offset // CONTROL_SIZE] = 0
        elif op.code == CALL and op.nr == NR.close:
            done.append(int(op.args[0]))  # type: ignore[arg-type]


def _may_run(tree: Tree, actor: int, pc: int, words: dict[object, int]) -> bool:
    op = tree.actors[actor].ops[pc]
    return op.code != WAIT or words.get(op.args[0], 0) >= int(op.args[1])  # type: ignore[arg-type]


def assert_right(tree: Tree, happened: list[int]) -> None:
    place = {number: i for i, number in enumerate(happened)}
    reached = max((place[i] for i, s in enumerate(tree.steps) if s.reaches), default=-1)
    for i, step in enumerate(tree.steps):
        for need in step.needs:
            before = reached if isinstance(need, Milestone) else place[tree.steps.index(need)]
            assert before < place[i]
        for j, other in enumerate(tree.steps):
            if other.actor is step.actor and other.stage < step.stage:
                assert place[j] < place[i]


@given(trees(), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_interleaving_ends_and_keeps_the_order(tree: Tree, seed: int) -> None:
    tree.graph.order()
    born = {0} | {child.index for step in tree.steps for child in step.births}
    happened = play(tree, random.Random(seed))
    assert sorted(happened) == [i for i, s in enumerate(tree.steps) if s.actor.index in born]
    assert_right(tree, happened)


@given(trees())
@settings(max_examples=50, deadline=None)
def test_whoever_is_waited_for_posts(tree: Tree) -> None:
    tree.graph.order()
    posts: dict[object, int] = {}
    for op in (op for actor in tree.actors for op in actor.ops if op.code == POST):
        posts[op.args[0]] = posts.get(op.args[0], 0) + 1
    waits = [op for actor in tree.actors for op in actor.ops if op.code == WAIT]
    assert all(posts.get(op.args[0]) == op.args[1] for op in waits)
    assert set(posts) == {op.args[0] for op in waits}


def two_actors() -> tuple[Graph, Actor, Actor]:
    plan = Plan()
    return Graph(plan), plan.actor("one"), plan.actor("two")


def test_a_circle_is_named() -> None:
    graph, one, two = two_actors()
    bystander = graph.step(one, "innocent", 0)
    first = graph.step(one, "pid 1, chicken", 3, [bystander])
    second = graph.step(two, "pid 2, egg", 4, [first])
    first.needs.append(second)
    graph.step(two, "pid 2, omelette", 5, [second])
    with pytest.raises(EngineBug, match=r"need each other: .*chicken.*") as caught:
        graph.order()
    assert "egg" in str(caught.value)
    assert "innocent" not in str(caught.value) and "omelette" not in str(caught.value)


def test_a_need_against_the_stages_is_a_circle() -> None:
    graph, one, _ = two_actors()
    late = graph.step(one, "late", 7)
    graph.step(one, "early", 2, [late])
    with pytest.raises(EngineBug, match="need each other") as caught:
        graph.order()
    assert "early (stage 2)" in str(caught.value) and "late (stage 7)" in str(caught.value)


def test_nobody_waits_for_whom_he_bears_later() -> None:
    """Without the birth in the order this would be sorted, and the parent would wait for ever."""
    graph, parent, child = two_actors()
    work = graph.step(child, "child's work", 0)
    graph.step(parent, "parent waits", 1, [work])
    graph.step(parent, "birth", 2).spawn(child, 0)
    with pytest.raises(EngineBug, match="need each other") as caught:
        graph.order()
    assert "birth" in str(caught.value)


def test_a_need_within_an_actor_costs_nothing() -> None:
    graph, one, _ = two_actors()
    first = graph.step(one, "first", 0)
    graph.step(one, "second", 0, [first]).call("getpid")
    graph.order()
    assert [op.code for op in one.ops] == [CALL]


def test_a_milestone_that_nobody_reaches_is_passed() -> None:
    graph, one, _ = two_actors()
    graph.step(one, "step", 0, [graph.milestone("empty")]).call("getpid")
    graph.order()
    assert [op.code for op in one.ops] == [CALL]


def test_ops_know_their_step() -> None:
    graph, one, two = two_actors()
    first = graph.step(one, "pid 1, socket", 0)
    graph.step(two, "pid 2, descriptors", 0, [first])
    graph.order()
    assert [(op.code, op.why) for op in one.ops + two.ops] == [(POST, "pid 1, socket"), (WAIT, "pid 2, descriptors")]
