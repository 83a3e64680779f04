"""The suite itself: what is wrong is found and named, and its bounds are neither slack nor a guess."""

from dataclasses import replace

import numpy as np
import pytest

from cortexspec.runtime.registry import load_backend
from cortexspec.testing import lowerings, operations
from cortexspec.testing.adaptive import BOUND, adaptive_row
from cortexspec.testing.cases import CMC, OTHERS
from cortexspec.testing.parity import check, single_bounds
from cortexspec.testing.settings import DEFAULTS
from cortexspec.testing.states import states_rows


class Off:
    """The interpreter, with one output of one operation a little off where that runs."""

    def __init__(self, op: str, by: float):
        self.engine, self.op, self.by = load_backend("interpreter"), op, by
        self.name, self.pipeline, self.adaptive_solvers = "off", (), ()

    def generate(self, bound, options):
        return self.engine.generate(bound, options)

    def load(self, bound, options):
        simulator, op, by = self.engine.load(bound, options), self.op, self.by
        plain = simulator.value_and_grad

        def value_and_grad(function, *given):
            lines = bound.module.functions[function].body
            found, slopes = plain(function, *given)
            hit = any(line.op.name == op for line in lines)
            return found, {name: array + by * hit for name, array in slopes.items()}

        simulator.value_and_grad = value_and_grad
        return simulator


def test_an_operation_that_is_off_is_named():
    rows = {(row.case, row.quantity): row for row in lowerings.operation_rows(Off("arith.tanh", 1e-6))}
    arith = rows["operations: arith", "gradients"]
    assert (arith.verdict, arith.worst.partition("-")[0]) == ("missed", "arith.tanh")
    assert all(row.fine for key, row in rows.items() if key != ("operations: arith", "gradients"))


def test_operations_together_give_what_each_gives_alone():
    found = [operations.trial(case, operations.LAYOUTS[0]) for case in operations.cases()[:12]]
    together = operations.joined(found)
    assert len(together.wrt) == sum(len(one.wrt) for one in found)
    engine = load_backend("interpreter")
    for one in (together, *found):
        assert lowerings._operation(engine, one) == (0.0, 0.0)


def test_bounds_of_single_precision_follow_what_rounding_does_to_a_circuit():
    """Some roundings at least; a hundredth of a per cent at most for circuits that come to rest."""
    values, gradients = single_bounds(CMC[0].shorter(100, 20))
    assert 10 * np.finfo(np.float32).eps <= values < 1e-4
    assert 10 * np.finfo(np.float32).eps <= gradients < 1e-3


@pytest.mark.parametrize("solver", ["dopri5", "radau"])
def test_an_adaptive_solver_keeps_its_tolerance(solver):
    row = adaptive_row(load_backend("interpreter"), replace(CMC[0], solver=solver), DEFAULTS[0])
    assert 1e-12 < row.error < BOUND


def test_a_case_of_a_plugin_that_is_not_installed_is_not_the_backends_fault():
    case = replace(
        OTHERS[0],
        spec="use nowhere\n\ncircuit net {\n  population a[2] : strange\n  output y = a.x\n}\n",
        circuit="net",
        arguments={},
    )
    rows = list(check(load_backend("interpreter"), case, DEFAULTS[0]))
    assert {row.verdict for row in rows} == {"gap"} and all(row.fine and "strange" in row.note for row in rows)


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_binary_states_are_the_same_step_by_step_in_any_batch(backend):
    """The full network of specs/infoflux; `conformance --all` runs 10,000 steps."""
    if backend != "interpreter":
        pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    rows = list(states_rows(load_backend(backend), 60, settings=DEFAULTS[:1]))
    assert [row.verdict for row in rows] == ["holds"] * 2, rows
    assert {row.error for row in rows} == {0.0}
