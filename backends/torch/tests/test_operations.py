"""Every lowering against the interpreter: values, the framework's own gradient, and the operation's pullback lowered."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

from cortexspec_torch import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.interpreter import run
from cortexspec.ir.op import OPS
from cortexspec.testing import operations

CASES = operations.cases()


def compare(found, wanted, tolerance, name):
    assert found.shape == wanted.shape, name
    assert found.dtype == wanted.dtype, name
    if wanted.dtype.kind != "f":
        assert np.array_equal(found, wanted), name
        return
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    assert np.max(np.abs(found - wanted), initial=0.0) <= tolerance * scale, name


def test_every_operation_has_a_case():
    built_in = {name for name, kind in OPS.items() if kind.__module__.startswith("cortexspec.ir.")}
    assert {case.op.name for case in CASES} | set(operations.COVERED_ELSEWHERE) >= built_in


@pytest.mark.parametrize("layout", operations.LAYOUTS, ids=["forth", "back"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_operation(case, layout):
    trial = operations.trial(case, layout)
    simulator = Backend().load(Bound(trial.module, {}, {}, {}), Options(dtype="float64"))
    for name, function in trial.module.functions.items():
        wanted = run(function, trial.inputs, layout=layout)
        found = simulator.call(name, trial.inputs)
        for output, array in wanted.items():
            compare(found[output], array, 1e-12, f"{name} {output}\n{simulator.program}")
    if trial.wrt:
        wanted = run(trial.module.functions["pullback"], trial.inputs, layout=layout)
        _, slopes = simulator.value_and_grad("value", trial.inputs, trial.wrt)
        for name in trial.wrt:
            zero = np.zeros_like(trial.inputs[name])
            compare(slopes[name], wanted.get(f"d{name}", zero), 1e-10, f"d{name}\n{simulator.program}")


@pytest.mark.parametrize("case", [case for case in CASES if case.op.name.startswith("random.")], ids=lambda c: c.name)
def test_draws_in_single_precision(case):
    layout = operations.LAYOUTS[0]
    trial = operations.trial(case, layout)
    simulator = Backend().load(Bound(trial.module, {}, {}, {}), Options(dtype="float32"))
    wanted = run(trial.module.functions["value"], trial.inputs, layout=layout, dtype="float32")
    for name, array in wanted.items():
        found = simulator.call("value", trial.inputs)[name]
        compare(found, array, 0.0 if case.op.name == "random.uniform" else 1e-6, name)
