"""Gradients through loops: nested, reversed, checkpointed, under every save policy."""

import itertools

import numpy as np
import pytest

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Layout, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.checkpoint import checkpoint
from cortexspec.passes.differentiate import differentiate, forward_and_backward
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.passes.save_policy import save_policy
from cortexspec.units import parse_unit

MV, MS = parse_unit("mV")[0], parse_unit("ms")[0]
TIME = Axis("time", Size.symbol("time"), "time")
CELLS = Axis("cells", Size.of(3))
SOURCE = Axis("source", Size.of(3))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
LAYOUT = Layout(("time", "cells", "source", "sample"))
WRT = ("weight", "rate", "drive", "start")


def network(reverse: bool = False) -> Function:
    """A leaky rate network with a drive a step, a recording that is the carry, a mixed recording, a sum, a step counter.

    The carry `held` passes through unchanged, one value is given twice as a stack, and once as carry and stack.
    """
    weight = Value("weight", Type((CELLS, SOURCE)))
    rate = Value("rate", Type((CELLS,), "float", MS**-1))
    start = Value("start", Type((CELLS, SAMPLE), "float", MV))
    drive = Value("drive", Type((SAMPLE, TIME), "float", MV))
    build = Builder(Names(["weight", "rate", "start", "drive"]))
    inner = Builder(build.names)
    w, k = Value("w", weight.type), Value("k", rate.type)
    v, held, n = Value("v", start.type), Value("held", start.type), Value("n", Type((), "int"))
    x = Value("x", Type((SAMPLE,), "float", MV))
    for value in (w, k, v, held, n, x):
        build.names.take_value(value)
    pure = write.mul(inner, v, write.const(inner, 0.7, MV**-1))
    active = write.tanh(inner, write.rename(inner, pure, {"cells": "source"}))
    total = write.add(
        inner, write.scale(inner, write.contract(inner, w, active, ["source"]), 1.0), write.const(inner, 0.1)
    )
    current = write.add(inner, write.mul(inner, total, write.const(inner, 2.0, MV)), x)
    slope = write.mul(inner, k, write.sub(inner, current, v))
    time = write.scale(inner, write.cast(inner, n, "float"), 0.05)
    slope = write.mul(inner, slope, write.add(inner, write.cos(inner, time), write.const(inner, 1.0)))
    after = write.add(inner, v, write.mul(inner, slope, write.const(inner, 0.3, MS)))
    after = write.add(inner, after, write.scale(inner, held, 0.01))
    following = write.add(inner, n, write.integer(inner, 1))
    cost = write.mean(inner, write.mul(inner, current, after), ["cells", "sample"])
    body = inner.function("body", [w, k, v, held, n, x], [after, held, following, after, current, current, cost])
    scan = Scan(body, 2, 3, 1, 3, 1, TIME, reverse)
    zero = write.integer(build, 0)
    end, _, _, record, currents, again, costs = build.emit(scan, weight, rate, start, start, zero, drive)
    ramp = write.cos(build, write.cast(build, write.iota(build, TIME), "float"))
    seen = write.mul(build, record, ramp)
    terms = [
        write.mean(build, write.mul(build, end, end), end.type.axes),
        write.mean(build, write.mul(build, seen, currents), seen.type.axes),
        write.mean(build, write.mul(build, again, write.const(build, 0.3, MV)), again.type.axes),
        write.scale(build, costs, 0.2),
    ]
    loss = terms[0]
    for term in terms[1:]:
        loss = write.add(build, loss, term)
    names = ["loss", "end", "record"]
    return build.function("rollout", [weight, rate, start, drive], [loss, end, record], names)


def arrays(steps=6, samples=2):
    rng = np.random.default_rng(1)
    return {
        "weight": rng.normal(size=(3, 3)),
        "rate": rng.uniform(0.2, 0.6, 3),
        "start": rng.normal(size=(3, samples)),
        "drive": rng.normal(size=(steps, samples)),
    }


def central(function, inputs, name, h=1e-6):
    gradient = np.zeros_like(inputs[name])
    for place in np.ndindex(gradient.shape):
        ends = []
        for sign in (1, -1):
            moved = inputs[name].copy()
            moved[place] += sign * h
            ends.append(float(run(function, {**inputs, name: moved}, layout=LAYOUT)["loss"]))
        gradient[place] = (ends[0] - ends[1]) / (2 * h)
    return gradient


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_against_central_differences(reverse):
    function, inputs = network(reverse), arrays()
    both = run(differentiate(function, WRT), inputs, layout=LAYOUT)
    for name in WRT:
        np.testing.assert_allclose(both[f"grad:{name}"], central(function, inputs, name), rtol=1e-6, atol=1e-8)


SAVES = ["carry", "residuals", ("v",)]
NESTINGS = [None, 2, 3, 4, (4, 2), (5, 3, 2)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("segments", NESTINGS, ids=str)
@pytest.mark.parametrize("known", [False, True], ids=["symbolic", "known"])
def test_every_save_policy_and_nesting_gives_the_same(reverse, segments, known):
    function, inputs = network(reverse), arrays(steps=11)
    plain = run(differentiate(function, WRT), inputs, layout=LAYOUT)
    nested = function if segments is None else checkpoint(function, segments, {"time": 11} if known else None)
    depth = 1 if segments is None else 1 + (1 if isinstance(segments, int) else len(segments))
    for policies in itertools.product(SAVES, repeat=min(depth, 2)):
        program = nested
        for level, save in enumerate(policies):
            program = save_policy(program, save, level)
        values = run(program, inputs, layout=LAYOUT)
        np.testing.assert_array_equal(values["record"], plain["record"])
        both = differentiate(program, WRT)
        assert_single_assignment(both)
        gradients = run(both, inputs, layout=LAYOUT)
        for name in plain:
            np.testing.assert_allclose(gradients[name], plain[name], rtol=1e-13, atol=1e-14)


def assert_single_assignment(function: Function) -> None:
    """No name is assigned twice in the function and the loop bodies inside it."""
    found: list[str] = []

    def walk(inside: Function) -> None:
        found.extend(value.name for value in inside.inputs)
        for line in inside.body:
            found.extend(value.name for value in line.results)
            if isinstance(line.op, Scan):
                walk(line.op.body)

    walk(function)
    assert len(found) == len(set(found))


def test_no_step_at_all():
    function, inputs = network(), arrays(steps=0)
    only_end = Function(function.name, function.inputs, function.body, function.outputs[1:], ("end", "record"))
    values = run(only_end, inputs, layout=LAYOUT)
    np.testing.assert_array_equal(values["end"], inputs["start"])
    assert values["record"].shape == (0, 3, 2)
    nested = run(checkpoint(only_end, 4), inputs, layout=LAYOUT)
    np.testing.assert_array_equal(nested["end"], inputs["start"])


@pytest.mark.parametrize("segments", [None, 4])
def test_forward_and_backward_give_the_gradients(segments):
    function, inputs = network(), arrays()
    plain = run(differentiate(function, WRT), inputs, layout=LAYOUT)
    program = function if segments is None else checkpoint(function, segments)
    forward, backward = forward_and_backward(program, WRT)
    given = run(forward, inputs, layout=LAYOUT)
    np.testing.assert_array_equal(given["loss"], plain["loss"])
    seeds = {"d:loss": np.array(1.0), "d:end": np.zeros((3, 2)), "d:record": np.zeros((6, 3, 2))}
    sizes = {"time": 6, "sample": 2}
    gradients = run(backward, {**inputs, **given, **seeds}, sizes, LAYOUT)
    for name in WRT:
        np.testing.assert_allclose(gradients[f"grad:{name}"], plain[f"grad:{name}"], rtol=1e-13)
    seeds["d:end"] = np.ones((3, 2))
    more = run(backward, {**inputs, **given, **seeds}, sizes, LAYOUT)
    assert np.abs(more["grad:start"] - gradients["grad:start"]).max() > 1e-3


def loops(function: Function) -> list[Line]:
    return [line for line in function.body if isinstance(line.op, Scan)]


def test_carry_policy_stacks_only_the_carry():
    function = save_policy(network(), "carry")
    forward, _ = loops(differentiate(function, WRT))
    saved = [name for name in forward.op.body.output_names if name.startswith("saved:")]
    assert sorted(saved) == ["saved:held", "saved:n", "saved:v"]


def test_checkpointing_stores_one_state_a_segment():
    function = checkpoint(network(), 4, {"time": 20})
    forward = loops(differentiate(function, WRT))[0]
    saved = forward.results[forward.op.carry :]
    sizes = {axis.name: axis.size.fixed for value in saved for axis in value.type.axes if axis.role == "time"}
    states = [value for value in saved if value.name.endswith("_saved") or "_saved_" in value.name]
    assert states and all(not value.type.has("time") for value in states)
    assert 5 in sizes.values()


def test_only_what_is_asked_for_is_computed():
    """The gradient of the drive alone needs no cotangent of the weights in the reverse loop."""
    full = loops(differentiate(network(), WRT))[1]
    less = loops(differentiate(network(), ("drive",)))[1]
    assert full.op.sum == 2 and less.op.sum == 0
    assert len(less.op.body.body) < len(full.op.body.body)


def test_units_of_gradients():
    both = differentiate(network(), WRT)
    types = dict(zip(both.output_names, (value.type for value in both.outputs), strict=True))
    assert types["loss"].unit == MV**2
    assert types["grad:start"].unit == MV
    assert types["grad:rate"].unit == MV**2 * MS
    assert types["grad:drive"].axes == Type((SAMPLE, TIME)).axes


def test_what_has_no_gradient_is_refused():
    function = network()
    with pytest.raises(ValueError, match="only a number"):
        differentiate(function, ["rate"], "end")
    with pytest.raises(KeyError):
        differentiate(function, ["nothing"])
    with pytest.raises(KeyError):
        differentiate(function, ["rate"], "nothing")


def test_an_input_that_does_not_matter_has_a_gradient_of_zeros():
    function = network()
    idle = Value("idle", Type((CELLS,), "float", MV))
    wider = Function(function.name, (*function.inputs, idle), function.body, function.outputs, function.output_names)
    both = run(differentiate(wider, ["idle"]), {**arrays(), "idle": np.ones(3)}, layout=LAYOUT)
    np.testing.assert_array_equal(both["grad:idle"], np.zeros(3))


def test_dead_code_goes_through_loops():
    """Without the recording, the costs and the counter's reader, the loop loses its stacks, its sum and what fed them."""
    function = network()
    kept = Function(function.name, function.inputs, function.body, function.outputs[1:2], ("end",))
    (loop,) = loops(remove_dead(kept))
    assert (loop.op.stack, loop.op.sum, loop.op.carry) == (0, 0, 3)
    np.testing.assert_array_equal(
        run(remove_dead(kept), arrays(), layout=LAYOUT)["end"], run(function, arrays(), layout=LAYOUT)["end"]
    )
    assert remove_dead(remove_dead(kept)) == remove_dead(kept)


def test_dead_code_drops_a_carry_that_feeds_only_itself():
    inner, build = Builder(), Builder()
    a, b = Value("a", Type()), Value("b", Type())
    body = inner.function("body", [a, b], [write.scale(inner, a, 2.0), write.add(inner, b, a)])
    x, y = Value("x", Type()), Value("y", Type())
    first, _ = build.emit(Scan(body, 0, 2, 0, 0, 0, Axis("time", Size.of(3), "time")), x, y)
    (loop,) = loops(remove_dead(build.function("f", [x, y], [first])))
    assert loop.op.carry == 1 and loop.operands == (x,)


@pytest.mark.parametrize("segments", [None, 2])
def test_a_derivative_can_be_differentiated(segments):
    """The squared length of a gradient, by a second sweep over both loops, against central differences."""
    first = differentiate(network() if segments is None else checkpoint(network(), segments), ("weight", "start"))
    build = Builder(Names.of(first))
    build.lines = list(first.body)
    gradient = first.outputs[first.output_names.index("grad:start")]
    square = write.sum_(build, write.mul(build, gradient, gradient), gradient.type.axes)
    function = build.function("second", first.inputs, [square], ["loss"])
    inputs = arrays(steps=5)
    both = run(differentiate(function, WRT), inputs, layout=LAYOUT)
    for name in WRT:
        np.testing.assert_allclose(both[f"grad:{name}"], central(function, inputs, name), rtol=2e-6, atol=1e-8)
