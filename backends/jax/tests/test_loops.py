"""Every loop under every save policy and nesting: values, the framework's gradient, and the IR's adjoint as a program."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax")

from cortexspec_jax import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.interpreter import run
from cortexspec.testing import loops

WRT = loops.WRT


def compare(found, wanted, tolerance, name):
    assert found.shape == wanted.shape, name
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    assert np.max(np.abs(found - wanted), initial=0.0) <= tolerance * scale, name


def only(module, *names):
    return replace(module, functions={name: module.functions[name] for name in names})


# native: the framework's own; whole: the function f_value_and_grad; halves: f_forward and f_backward under the framework.
# They take turns, since XLA needs a second for each; CORTEXSPEC_ALL=1 runs all.
GRADIENTS = ("native", "whole", "halves")
TURNS = [
    (*case, gradient)
    for i, case in enumerate(loops.matrix())
    for j, gradient in enumerate(GRADIENTS)
    if os.environ.get("CORTEXSPEC_ALL") or (i + i // len(loops.PLANS)) % 3 == j
]


@pytest.mark.parametrize(("program", "plan", "layout", "gradient"), TURNS)
def test_loop(program, plan, layout, gradient):
    module = loops.module(program, plan, layout)
    steps = 7
    inputs = loops.arrays(module.layout, steps)
    reference = run(module.functions["f_value_and_grad"], inputs, {"time": steps}, module.layout)
    if gradient == "halves":
        module = only(module, "f", "f_forward", "f_backward")
    options = Options(dtype="float64", gradient="native" if gradient == "native" else "ir")
    simulator = Backend().load(Bound(module, {"time": steps}, {}, {}), options)
    outputs, slopes = simulator.value_and_grad("f", inputs, WRT)
    for name in outputs:
        compare(outputs[name], reference[name], 1e-12, f"{name}\n{simulator.program}")
    for name in WRT:
        compare(slopes[name], reference[f"grad:{name}"], 1e-10, f"d {name}\n{simulator.program}")


@pytest.mark.parametrize("program", loops.PROGRAMS)
def test_no_step(program):
    module = loops.module(program, "residuals", "batch last")
    inputs = loops.arrays(module.layout, 0)
    reference = run(module.functions["f_value_and_grad"], inputs, {"time": 0}, module.layout)
    for gradient in ("native",):
        options = Options(dtype="float64", gradient=gradient)
        simulator = Backend().load(Bound(module, {"time": 0}, {}, {}), options)
        outputs, slopes = simulator.value_and_grad("f", inputs, WRT)
        for name, array in outputs.items():
            compare(array, reference[name], 1e-12, name)
        for name in WRT:
            compare(slopes[name], reference[f"grad:{name}"], 1e-10, name)
