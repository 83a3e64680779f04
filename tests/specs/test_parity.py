"""The reference specs that lower, briefly: the whole contract is `cortexspec conformance --backend NAME`."""

from dataclasses import replace

import pytest

from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import CMC, LONG, NOISY, OTHERS, READINGS, SOLVERS, cases
from cortexspec.testing.parity import check
from cortexspec.testing.settings import DEFAULTS

GRU = OTHERS[0]
BRIEF = tuple(case.shorter(100, 20) for case in (*READINGS, NOISY, GRU))
BACKENDS = {"torch": "torch.nn", "jax": "jax"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", BRIEF, ids=lambda case: case.name)
def test_values_and_gradients_are_the_interpreters(case, backend):
    pytest.importorskip(BACKENDS[backend])
    found = [row for setting in DEFAULTS for row in check(load_backend(backend), case, setting)]
    assert [(row.setting, row.quantity) for row in found if row.verdict == "holds"] == [
        (setting.name, quantity) for setting in DEFAULTS for quantity in ("values", "gradients")
    ], found


@pytest.mark.parametrize("backend", BACKENDS)
def test_spikes_of_all_kinds_are_the_interpreters(backend):
    """Values and gradients of every kind of train, synapse and delay in one circuit."""
    pytest.importorskip(BACKENDS[backend])
    case = next(case for case in OTHERS if case.name == "spikes of all kinds").shorter(60, 30)
    found = list(check(load_backend(backend), case, DEFAULTS[0]))
    assert [row.verdict for row in found] == ["holds", "holds"], found


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_fires_the_same_spikes(backend):
    """100 ms of 200 neurons; `conformance --all` runs a second of 1,000."""
    pytest.importorskip(BACKENDS[backend])
    case = replace(LONG, arguments={"N": 200}).shorter(1000, 0)
    (found,) = check(load_backend(backend), case, DEFAULTS[0], ("values",))
    assert found.verdict == "holds", found


def test_the_suite_leaves_out_no_reading_and_no_solver():
    pairs = {(case.name, case.solver) for case in cases()}
    assert {(case.name, solver) for case in READINGS for solver in SOLVERS} <= pairs
    assert {(case.name, "euler") for case in CMC} <= pairs and ("cmc noisy", "euler_maruyama") in pairs
    everything = {(case.name, case.solver) for case in cases(everything=True)}
    assert {(case.name, solver) for case in CMC for solver in SOLVERS} <= everything
    assert all(case.steps >= 1000 and case.gradient_steps >= 100 for case in cases())
