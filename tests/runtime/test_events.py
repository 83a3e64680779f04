"""Spikes along sparse connections are delivered by events, and arrive as they do from a matrix."""

from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.contracts import native
from cortexspec.contracts.program import all_lines
from cortexspec.ir.ops.events import Deliver
from cortexspec.testing.spiking import lif

SPEC = Path(__file__).parents[2] / "benchmarks" / "specs" / "lif.cortex"
SMALL = {"N_E": 400, "N_I": 150, "K_E": 40, "K_I": 10, "J": "0.5 mV", "μ": "24 mV"}


def run(circuit="shared", backend="interpreter", **options):
    settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "40 ms", "solver": "exact", "seed": 2}
    simulation = cs.compile(cs.load(SPEC), circuit, arguments=SMALL, backend=backend, **settings)
    found = simulation.simulate(record=["cells.fired", "cells.v"], **options)
    return simulation, found


@pytest.fixture
def matrices(monkeypatch):
    """What arrives from a matrix [target, source]."""
    monkeypatch.setattr("cortexspec.runtime.sparse.FEWEST_PAIRS", 10**12)
    found = {circuit: run(circuit, trials=2) for circuit in ("shared", "each")}
    monkeypatch.undo()
    assert not any(simulation._tables for simulation, _ in found.values())
    return {circuit: result for circuit, (_, result) in found.items()}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_the_same_spikes_as_from_a_matrix(backend, compiled, matrices, monkeypatch):
    if not compiled:
        monkeypatch.setattr(native, "library", lambda *_: None)
    for circuit, wanted in matrices.items():
        simulation, found = run(circuit, backend, trials=2)
        assert set(simulation._tables) == {"excitation", "inhibition"}
        assert "deliver" in simulation.program
        np.testing.assert_array_equal(found["cells.fired"], wanted["cells.fired"])
        assert int(wanted["cells.fired"][-1].sum()) > 300
        np.testing.assert_allclose(found["cells.v"], wanted["cells.v"], rtol=0, atol=1e-11)


def test_a_matrix_where_most_pairs_are_connected(monkeypatch):
    monkeypatch.setitem(SMALL, "K_E", 220)
    monkeypatch.setitem(SMALL, "K_I", 20)
    assert set(run()[0]._tables) == {"inhibition"}


def test_without_a_compiler_there_is_no_library(monkeypatch):
    native.library.cache_clear()
    monkeypatch.setenv("CORTEXSPEC_NATIVE", "0")
    assert native.library("deliver") is None
    monkeypatch.setenv("CORTEXSPEC_NATIVE", "1")
    monkeypatch.setenv("CXX", "no-such-compiler")
    native.library.cache_clear()
    assert native.library("deliver") is None
    native.library.cache_clear()


def test_a_compiler_that_fails_is_none(monkeypatch, tmp_path):
    wrong = tmp_path / "c++"
    wrong.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    wrong.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrong))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.library.cache_clear()
    assert native.library("deliver") is None
    native.library.cache_clear()


DELAYED = """
circuit net(N: int = 230, p: real = 0.05) {
  population a[N] : lif
  start a.v = 15 mV*uniform(0, 1)
  connect wires: a -> a { rule = bernoulli(p); weight ~ uniform(-1 mV, 1 mV); delay ~ uniform(0.2 ms, 1.4 ms) }
}
"""


def by_all_edges(monkeypatch):
    """What arrives is summed over all connections, or from a matrix."""
    monkeypatch.setattr("cortexspec.runtime.sparse.FEWEST_PAIRS", 10**12)
    monkeypatch.setattr("cortexspec.runtime.sparse.FEWEST_LATE", 10**12)


@pytest.mark.parametrize(("N", "p"), [(230, 0.05), (60, 0.9)])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_a_delay_for_each_connection(backend, compiled, N, p, monkeypatch):
    if not compiled:
        monkeypatch.setattr(native, "library", lambda *_: None)

    def run():
        settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "30 ms", "solver": "exact", "seed": 4}
        simulation = cs.compile(cs.parse(lif() + DELAYED), "net", {"N": N, "p": p}, backend=backend, **settings)
        return simulation, simulation.simulate(record=["a.fired", "a.v"])

    by_events, found = run()
    by_all_edges(monkeypatch)
    by_edges, wanted = run()
    assert "deliver" in by_events.program and "deliver" not in by_edges.program
    np.testing.assert_array_equal(found["a.fired"], wanted["a.fired"])
    np.testing.assert_allclose(found["a.v"], wanted["a.v"], rtol=0, atol=1e-11)


TRAINED = """
circuit net {
  param J = 0.5 mV  trainable
  population a[230], b[210] : lif
  start a.v = 15 mV*uniform(0, 1)
  start b.v = 15 mV*uniform(0, 1)
  connect across: a -> b { rule = bernoulli(0.1); weight = J }
  connect back: b -> a { rule = bernoulli(0.1); weight ~ uniform(-1 mV, 0 mV) trainable; delay ~ uniform(0.1 ms, 0.6 ms) }
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_gradients_of_few_neurons_with_a_delay_for_each_connection(backend, monkeypatch):
    def run(engine):
        settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "8 ms", "solver": "exact", "seed": 4}
        text = DELAYED.replace("uniform(-1 mV, 1 mV)", "uniform(-1 mV, 1 mV) trainable")
        simulation = cs.compile(cs.parse(lif() + text), "net", {"N": 60, "p": 0.9}, backend=engine, **settings)
        return simulation, *simulation.value_and_grad("mean(a.v^2)/(1 mV^2)", trials=2)

    by_events, value, found = run(backend)
    assert set(by_events._tables) == {"wires"}
    by_all_edges(monkeypatch)
    by_edges, wanted_value, wanted = run("interpreter")
    assert not by_edges._tables
    assert value == pytest.approx(wanted_value, rel=1e-12)
    gradient = wanted["wires.weight"]
    assert np.abs(gradient).max() > 0
    np.testing.assert_allclose(found["wires.weight"], gradient, rtol=1e-9, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("surrogate", ["triangle", "boxcar", "fast_sigmoid"])
@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_gradients_leave_out_what_came_near_no_threshold(backend, surrogate, monkeypatch):
    def run(engine):
        settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "6 ms", "solver": "exact", "seed": 4}
        spec = cs.parse(lif(f"{surrogate}(0.4 mV^-1)") + TRAINED)
        simulation = cs.compile(spec, "net", backend=engine, **settings)
        value, gradients = simulation.value_and_grad("mean(a.v^2)/(1 mV^2) + mean(b.v)/(1 mV)", trials=2)
        return simulation, value, gradients

    by_events, value, found = run(backend)
    assert asks(by_events) == (surrogate != "fast_sigmoid")
    by_events.simulate(record=["a.v"])
    assert not asks(by_events)
    by_all_edges(monkeypatch)
    _, wanted_value, wanted = run("interpreter")
    assert value == pytest.approx(wanted_value, rel=1e-12)
    for name, gradient in wanted.items():
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12 * np.abs(gradient).max())


def asks(simulation):
    """Whether the deliveries of the last program say which sources a derivative is asked for."""
    *_, loaded = simulation._loaded.values()
    lines = [line for function in loaded.module.functions.values() for line in all_lines(function)]
    (found,) = {bool(line.op.parted(line.operands[6:])[1]) for line in lines if isinstance(line.op, Deliver)}
    return found


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_a_run_without_gradient_carries_nothing_of_a_backward_pass(backend, monkeypatch):
    settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "6 ms", "solver": "exact", "seed": 4}
    simulation = cs.compile(cs.parse(lif() + TRAINED), "net", backend=backend, **settings)
    found = simulation.simulate()
    assert {"a.v", "a.spike", "b.spike"} <= {*found} and not any("reached" in name for name in found)
    *_, loaded = simulation._loaded.values()
    assert not any("reached" in name for name in loaded.module.function("rollout").output_names)
    assert not any(
        "reached" in value.name for line in all_lines(loaded.module.function("rollout")) for value in line.results
    )
    # What goes on from the end of a piece is the whole run.
    monkeypatch.setattr("cortexspec.runtime.measure._LONGEST", 17)
    pieces = simulation.measure({"v": "mean(a.v)", "rate": "mean(b.spike)"})
    whole = simulation.simulate(record=["a.v", "b.spike"])
    assert pieces["v"] == pytest.approx(float(whole["a.v"].mean()), rel=1e-12)
    assert pieces["rate"] == pytest.approx(float(whole["b.spike"].mean()) / 1000, rel=1e-12)
    made = [
        loaded.module.functions["piece"] for loaded in simulation._loaded.values() if "piece" in loaded.module.functions
    ]
    assert made
    for piece in made:
        lines = all_lines(piece)
        values = [*piece.inputs, *(value for line in lines for value in (*line.operands, *line.results))]
        assert not any("reached" in value.name for value in values)
    bare = cs.compile(cs.parse(lif() + TRAINED), "net", backend=backend, pipeline=(), **settings)
    assert bare.measure({"v": "mean(a.v)"})["v"] == pytest.approx(pieces["v"], rel=1e-9)
    # Nor is it missed where a run that leaves the finite numbers is gone through again.
    simulation.set_parameters({"J": 1e308})
    told: list[str] = []
    for ask in (lambda: simulation.measure({"v": "mean(a.v)"}), lambda: simulation.simulate(record=["a.v"])):
        with pytest.raises(cs.SpecError, match="CS915") as error:
            ask()
        told.append(error.value.diagnostics[0].message)
    assert told[0] == told[1] and "after step" in told[0]


def test_nor_do_populations_of_one_neuron():
    """JAX keeps two forms of what goes through them, which are given the same."""
    text = """
    circuit ring() {
      population a, b, c : lif(μ = 60 mV)
      connect a -> b { weight = 1 mV }
      connect b -> c { weight = 1 mV }
      connect c -> a { weight = 1 mV }
    }
    circuit net { part rings[3] : ring }
    """
    settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "12 ms", "solver": "exact"}
    sims = [
        cs.compile(cs.parse(lif() + text), "net", backend=backend, **settings) for backend in ("interpreter", "jax")
    ]
    measures = {"v": "mean(rings.a.v)", "end": "quantile(rings.c.v[time = end], 0.5)"}
    wanted, found = (sim.measure(measures, trials=2, warm_up="2 ms") for sim in sims)
    made = [function for loaded in sims[1]._loaded.values() for function in loaded.module.functions.values()]
    assert {"piece", "piece_apart", "measures", "measures_apart"} <= {function.name for function in made}
    assert not any("reached" in value.name for function in made for value in function.inputs)
    for name in measures:
        assert found[name] == pytest.approx(wanted[name], rel=1e-12)
