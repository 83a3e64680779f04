"""Sums whose terms are written into them: none may vanish, however trivial its factor is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from cortexspec_torch import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, Value
from cortexspec.ir.ops import arith, constant, write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

X = Type((Axis("a", Size.of(3)),))
SUMS = {
    "a + 1*b": lambda b, x, y: write.add(b, x, b.one(arith.Mul(), b.one(constant.Const(1.0)), y)),
    "1*a - b": lambda b, x, y: write.sub(b, b.one(arith.Mul(), x, b.one(constant.Const(1.0))), y),
    "a - (-b)": lambda b, x, y: write.sub(b, x, write.neg(b, y)),
    "a + (-b)": lambda b, x, y: write.add(b, x, write.neg(b, y)),
    "-a - b": lambda b, x, y: write.sub(b, write.neg(b, x), y),
    "-a + 2*b": lambda b, x, y: write.add(b, write.neg(b, x), write.scale(b, y, 2.0)),
}


@pytest.mark.parametrize("name", SUMS)
def test_sum(name):
    build, x, y = Builder(), Value("x", X), Value("y", X)
    build.names.take_value(x)
    build.names.take_value(y)
    module = Module("sum", functions={"f": build.function("f", (x, y), [SUMS[name](build, x, y)], ["z"])})
    inputs = {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([0.5, -4.0, 8.0])}
    simulator = Backend().load(Bound(module, {}, {}, {}), Options(dtype="float64"))
    np.testing.assert_array_equal(simulator.call("f", inputs)["z"], run(module.functions["f"], inputs)["z"])


def test_a_product_with_a_number_of_the_call_is_added_in_place():
    """1/n of a call's n samples is a number in Python, no array."""
    axis = Axis("sample", Size.symbol("sample"), "sample")
    build, x, y = Builder(), Value("x", Type((axis,))), Value("y", Type((axis,)))
    build.names.take_value(x)
    build.names.take_value(y)
    share = write.div(build, write.const(build, 1.0), write.size_of(build, axis))
    total = write.add(build, write.mul(build, x, y), write.mul(build, share, write.exp(build, x)))
    function = build.function("f_forward", (x, y), [total], ["z"])  # no autograd runs through an adjoint's lines
    inputs = {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([0.5, -4.0, 8.0])}
    simulator = Backend().load(Bound(Module("sum", functions={"f_forward": function}), {}, {}, {}), Options("float64"))
    expected = run(function, inputs, {"sample": 3})["z"]
    np.testing.assert_allclose(simulator.call("f_forward", inputs)["z"], expected, rtol=1e-15)


def test_a_sum_that_starts_with_a_product_of_numbers_has_the_programs_precision():
    from cortexspec.testing.cases import Case
    from cortexspec.testing.parity import check
    from cortexspec.testing.settings import DEFAULTS

    text = """
neuron damped { input u = 0; state x = -0.9; x'' + 1.5*x' + 0.9*x = tanh(u); output x }
circuit net { input drive; population p : damped; connect drive -> p.u }
"""
    case = Case("damped", text, "net", "exact", dt=0.1, steps=12, gradient_steps=12)
    assert [row.verdict for row in check(Backend(), case, DEFAULTS[0], ("values",))] == ["holds"]
