"""A loop that keeps what it carries both before and after each step keeps one array."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from cortexspec_torch import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Layout, Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

TIME, CELLS = Axis("time", Size.symbol("time"), "time"), Axis("cells", Size.of(3))
LAYOUT = Layout(("time", "cells"))
CURVES = {"relu": write.relu, "tanh": write.tanh}


def looped(curve, order, reverse):
    """h <- curve(x - h/2); its values before and after each step, in that order or the other one."""
    start, drive = Value("start", Type((CELLS,))), Value("drive", Type((CELLS, TIME)))
    build = Builder(Names(["start", "drive"]))
    inner = Builder(build.names)
    h, x = Value("h", start.type), Value("x", start.type)
    for value in (h, x):
        build.names.take_value(value)
    after = CURVES[curve](inner, write.sub(inner, x, write.scale(inner, h, 0.5)))
    shown = [h, after] if order == "before, after" else [after, h]
    scan = Scan(inner.function("body", [h, x], [after, *shown]), 0, 1, 1, 2, 0, TIME, reverse)
    return build.function("f_forward", [start, drive], build.emit(scan, start, drive), ["end", "one", "two"])


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("order", ["before, after", "after, before"])
@pytest.mark.parametrize("reverse", [False, True])
def test_both_sides_of_a_step(curve, order, reverse):
    function = looped(curve, order, reverse)
    module = Module("stacks", functions={"f_forward": function}, layout=LAYOUT)
    draw = np.random.default_rng(0)
    inputs = {"start": draw.normal(size=3), "drive": draw.normal(size=(5, 3))}
    simulator = Backend().load(Bound(module, {"time": 5}, {}, {}), Options(dtype="float64"))
    found, expected = simulator.call("f_forward", inputs), run(function, inputs, {"time": 5}, LAYOUT)
    for name in ("end", "one", "two"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-14, atol=1e-15, err_msg=simulator.program)
    assert simulator.program.count("= lent(") - simulator.program.count("_array = lent(") == 1, simulator.program


def test_the_derivative_of_relu_reads_what_it_gives():
    """So that nothing but that is kept; at 0 it is 0."""
    from cortexspec.passes.differentiate import differentiate

    x = Value("x", Type((CELLS,)))
    build = Builder(Names(["x"]))
    total = write.sum_(build, write.relu(build, x), ["cells"])
    both = differentiate(build.function("f", [x], [total], ["loss"]), ["x"])
    slopes = run(both, {"x": np.array([-1.0, 0.0, 2.0])}, {}, LAYOUT)["grad:x"]
    np.testing.assert_array_equal(slopes, [0, 0, 1])
