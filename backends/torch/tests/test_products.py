"""Sums of products in loops: added up step by step or behind the loop, in groups of rows or at once, they are the same."""

from __future__ import annotations

import re

import numpy as np
import pytest

import cortexspec as cs

pytest.importorskip("torch.nn")

import torch
from cortexspec_torch import Backend
from cortexspec_torch.emit import helpers

from cortexspec.contracts.backend import Bound, Options
from cortexspec.interpreter import run
from cortexspec.testing import loops

SPEC = """
neuron oscillator {
  param κ = 0.4 kHz  trainable
  input u : Hz
  state v = 0 mV, v' = 0 mV/ms
  v'' + 2*κ*v' + κ^2*v = κ*(1 mV)*u
  output r = tanh((0.3 mV^-1)*v)
}

circuit net {
  input v0[20] : mV
  population p[20] : oscillator
  param W[p, p] = 10 Hz  trainable
  connect p.r -> p.u { weight = W }
  start p.v = v0
  output x = p.v
}
"""


def stepwise(simulator, always=True):
    simulator.module._namespace["in_steps"] = lambda count: always
    return simulator


@pytest.mark.parametrize(("program", "plan", "layout"), loops.matrix())
def test_every_loop_step_by_step(program, plan, layout):
    module = loops.module(program, plan, layout)
    steps = 7
    inputs = loops.arrays(module.layout, steps)
    reference = run(module.functions["f_value_and_grad"], inputs, {"time": steps}, module.layout)
    options = Options(dtype="float64", gradient="ir")
    simulator = stepwise(Backend().load(Bound(module, {"time": steps}, {}, {}), options))
    _, slopes = simulator.value_and_grad("f", inputs, loops.WRT)
    for name in loops.WRT:
        np.testing.assert_allclose(slopes[name], reference[f"grad:{name}"], rtol=1e-10, atol=1e-10)


def gradients(module, start):
    (output,) = module(v0=start).values()
    names, leaves = zip(*((n, p) for n, p in module.named_parameters() if p.requires_grad), strict=True)
    return dict(zip(names, torch.autograd.grad(output.square().mean(), leaves), strict=True))


@pytest.mark.parametrize("samples", [3, 500])
def test_a_matrix_of_couplings(samples):
    """Its cotangents are kept of all steps, or of two."""
    built = {
        gradient: cs.compile(
            cs.parse(SPEC), "net", backend="torch", dtype="float64", dt="1 ms", duration="9 ms", gradient=gradient
        )
        for gradient in ("auto", "native")
    }
    assert re.search(r"lent\(\(2 if many else 10, 20, ", built["auto"].program)
    modules = {name: simulation.module.train() for name, simulation in built.items()}
    start = np.random.default_rng(0).standard_normal((20, samples))
    ir = modules["auto"].bound.module
    (value,) = (value for value in ir.function("rollout").inputs if value.name == "v0")
    first = ir.layout.sort(value.type.names)[0]
    by_sample = next(axis for axis in value.type.axes if axis.name == first).role == "sample"
    array = torch.from_numpy(np.ascontiguousarray(start.T if by_sample else start))
    wanted = gradients(modules["native"], array)
    for _ in range(2):
        for name, found in gradients(modules["auto"], array).items():
            torch.testing.assert_close(found, wanted[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("rows", [1, 15, 16, 20, 23, 48, 65])
def test_groups_of_rows(rows, lead):
    draw = np.random.default_rng(rows)
    a = torch.from_numpy(draw.standard_normal((2, *lead, rows, 6)))
    b = torch.from_numpy(draw.standard_normal((5, *lead, 6, 3)))
    total = torch.zeros((*lead, rows, 3), dtype=torch.float64)
    whole, left, right = helpers.paired(total, a, b, 5)
    for i in range(5):
        whole.baddbmm_(left[i + 1], right[i])
    expected = sum(a[(i + 1) % 2] @ b[i] for i in range(5))
    torch.testing.assert_close(total, expected, rtol=1e-13, atol=1e-13)
