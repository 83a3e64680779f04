"""The theory against a network of threshold-crossing neurons, simulated here in numpy with exact steps.

Gates: Soltanipour, Treue & Wolf 2025, arXiv 2511.03502, as 1.5 % for rates and 4 % for q at K = 500 and N = 10,000; here with 150 inputs
of 1,500 neurons and one wiring they are three times as wide, which is what the wiring scatters.
"""

import numpy as np
import pytest
from cortexspec_mean_field import exponential, fit, log_likelihood_of_counts, network, rice_theory

WEIGHTS = 0.05 * np.array([[1, -2.5], [2, -3]])
MEMBRANE, SYNAPSES = 0.01, (0.005, 0.003)
NEURONS, INPUTS, STEP = 1500, 150, 0.0002


def simulated(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spike counts of two halves of the time, [half, population, neuron]; 0.3 s are left out first."""
    rng = np.random.default_rng(seed)
    wires = [
        [(rng.random((NEURONS, NEURONS)) < INPUTS / NEURONS).astype(np.float32) for _ in range(2)] for _ in range(2)
    ]
    drive = -(WEIGHTS @ [4.0, 6.0]) * np.sqrt(INPUTS)
    v = rng.uniform(0, 1, (2, NEURONS))
    g = np.zeros((2, 2, NEURONS))  # [target, source, neuron]
    decay, decays = np.exp(-STEP / MEMBRANE), np.exp(-STEP / np.array(SYNAPSES))
    # v after a step has of each synapse's current g the response of two exponential filters
    shares = np.array([tau / (tau - MEMBRANE) * (d - decay) for tau, d in zip(SYNAPSES, decays, strict=True)])
    counts = np.zeros((2, 2, NEURONS))
    skipped, steps = round(0.3 / STEP), round((seconds + 0.3) / STEP)
    for step in range(steps):
        before = v
        v = drive[:, None] + (before - drive[:, None]) * decay + np.einsum("b,abi->ai", shares, g)
        g = g * decays[None, :, None]
        fired = (before <= 1) & (v > 1)
        if step >= skipped:
            counts[(step - skipped) * 2 // (steps - skipped)] += fired
        for b in range(2):
            sources = np.flatnonzero(fired[b])
            for a in range(2) if len(sources) else ():
                jump = WEIGHTS[a, b] / np.sqrt(INPUTS) / SYNAPSES[b]
                g[a, b] += jump * wires[a][b][sources].sum(axis=0)
    return counts


def build(parameters):
    kernels = [[exponential(MEMBRANE, tau) for tau in SYNAPSES]] * 2
    weights = WEIGHTS * np.array([[1, parameters["inhibition"]]] * 2)
    drive = -(WEIGHTS @ [4.0, 6.0])
    return network(weights, kernels, drive, K=INPUTS, probability=INPUTS / NEURONS, angles=2)


@pytest.fixture(scope="module")
def counts():
    return simulated(3.0, 1)


def test_rates_and_heterogeneity_are_those_of_a_simulation(counts) -> None:
    theory = rice_theory(build({"inhibition": 1.0}), 2)
    rates = counts.sum(axis=0).mean(axis=1) / 3.0
    halves = counts / 1.5
    squares = (halves[0] * halves[1]).mean(axis=1)
    np.testing.assert_allclose(theory.mean, rates, rtol=0.045)
    np.testing.assert_allclose(theory.squares[:, 0], squares, rtol=0.12)
    first = rice_theory(build({"inhibition": 1.0}), 1)
    assert (abs(theory.mean / rates - 1) < abs(first.mean / rates - 1)).all()
    assert (abs(theory.squares[:, 0] / squares - 1) < abs(first.squares[:, 0] / squares - 1)).all()


def test_a_fit_recovers_inhibition_from_simulated_counts(counts) -> None:
    excitatory = counts.sum(axis=0)[0, :, None]

    def density(theory):
        return log_likelihood_of_counts(theory, excitatory, 3.0, np.zeros(1))

    found = fit(build, {"inhibition": 1.15}, density)
    assert found.errors["inhibition"] < 0.1
    assert abs(found.values["inhibition"] - 1) < 3 * found.errors["inhibition"]
