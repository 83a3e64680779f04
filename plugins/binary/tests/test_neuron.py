"""The neuron that `use binary` brings: its noise, its states, its bias, against a loop written by hand and the exact analysis."""

import numpy as np
import pytest
from cortexspec_binary.exact.transition import on_and_off

import cortexspec as cs

SPEC = """
use binary

circuit net {{
  population A[5] : boltzmann({settings})
  connect A -> A {{ rule = all_to_all(autapses = false); weight ~ normal(0, 1.5) }}
}}
"""
STEPS, RECORD = 30, ["A.x", "A.b", "A.p", "A.η", "A.u"]


def compiled(settings, backend="interpreter"):
    if backend != "interpreter":
        pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    spec = cs.parse(SPEC.format(settings=settings))
    sim = cs.compile(spec, "net", dt=1, dtype="float64", backend=backend, seed=5)
    sim.set_parameters({"A.b0": np.linspace(-1, 1, 5)})
    return sim


def recorded(sim, trials=4):
    run = sim.simulate(duration=STEPS, trials=trials, record=RECORD)
    start = sim.simulate(duration=0, trials=trials, record=["A.x[time = end]"])["A.x"].values
    return start, {name.removeprefix("A."): run[name].values for name in RECORD}


def weights_of(sim):
    return sim.parameters()["A_to_A.weight"] * (1 - np.eye(5))


@pytest.mark.parametrize("plus_minus", [False, True])
@pytest.mark.parametrize("noise_inside", [False, True])
def test_each_step_is_the_printed_one(plus_minus, noise_inside):
    flags = f"plus_minus = {str(plus_minus).lower()}, noise_inside = {str(noise_inside).lower()}"
    sim = compiled(f"t0 = 2, σ = 0.7, ε = 0.05, {flags}")
    start, run = recorded(sim)
    before = np.concatenate([start[:, np.newaxis], run["x"][:, :-1]], axis=1)
    bias = np.concatenate([np.broadcast_to(np.linspace(-1, 1, 5), (4, 1, 5)), run["b"][:, :-1]], axis=1)
    u = before @ weights_of(sim).T
    noise = 0.7 * run["η"]
    v = (u + bias + noise) / 2 if noise_inside else (u + bias) / 2 + noise
    np.testing.assert_allclose(run["p"], 1 / (1 + np.exp(-v)), rtol=0, atol=1e-14)
    low = -1 if plus_minus else 0
    assert set(np.unique(run["x"])) == set(np.unique(start)) == {low, 1}
    on = (run["x"] == 1).astype(float)
    np.testing.assert_allclose(run["b"] - bias, -0.05 * (on - 0.5), rtol=0, atol=1e-14)
    assert abs(run["η"].mean()) < 0.15 and 0.9 < run["η"].std() < 1.1
    assert abs(on.mean() - run["p"].mean()) < 3 * 0.5 / np.sqrt(on.size)


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
@pytest.mark.parametrize("noise_inside", ["true", "false"])
def test_plus_minus_one_is_zero_one_with_other_weights_and_biases(backend, noise_inside):
    """(W, b) between ±1 equals (2 W, b - W 1) between 0 and 1, draw by draw."""
    common = f"t0 = 2, σ = 0.7, noise_inside = {noise_inside}"
    symmetric = compiled(f"{common}, plus_minus = true", backend)
    plain = compiled(common, backend)
    weights, bias = weights_of(symmetric), np.linspace(-1, 1, 5)
    plain.set_parameters({"A_to_A.weight": 2 * weights, "A.b0": bias - weights.sum(axis=1)})
    (first, one), (second, other) = recorded(symmetric), recorded(plain)
    np.testing.assert_array_equal(first, 2 * second - 1)
    np.testing.assert_array_equal(one["x"], 2 * other["x"] - 1)
    np.testing.assert_allclose(one["p"], other["p"], rtol=0, atol=1e-13)


@pytest.mark.parametrize("states", ["zero_one", "plus_minus"])
def test_its_probabilities_are_those_of_the_exact_analysis(states):
    sim = compiled(f"t0 = 2, plus_minus = {str(states == 'plus_minus').lower()}")
    start, run = recorded(sim)
    before = np.concatenate([start[:, np.newaxis], run["x"][:, :-1]], axis=1)
    on, _ = on_and_off(weights_of(sim), np.linspace(-1, 1, 5), 2.0, 0.0, states, "scaled")
    words = ((before == 1) @ (2 ** np.arange(5))).astype(int)
    np.testing.assert_allclose(run["p"], on[words], rtol=0, atol=1e-14)


def test_the_bias_brings_every_neuron_to_half_activity():
    sim = compiled("t0 = 1, ε = 0.05")
    run = sim.simulate(duration=3000, trials=2, record=["A.x"])["A.x"].values[:, 500:]
    assert np.abs(run.mean(axis=1) - 0.5).max() < 0.02
    free = compiled("t0 = 1").simulate(duration=1000, trials=2, record=["A.x"])["A.x"].values[:, 100:]
    assert np.abs(free.mean(axis=1) - 0.5).max() > 0.1
