"""Autocovariance of the spike trains of threshold-crossing neurons, and what it makes of the potential they drive."""

import numpy as np
import pytest
from cortexspec_mean_field import Kernel, network, rice_theory
from cortexspec_mean_field.equations import Moments, gauss_rate
from cortexspec_mean_field.trains import Closure, _crossings

from cortexspec.diagnostics import SpecError

MEMBRANE, SYNAPSE, STEP = 0.01, 0.005, 0.00005


def untuned(ring, K: int, probability: float):
    return ring({"mu": 0.0, "modulation": 0.0}, K=K, probability=probability, angles=2)


class Potential:
    """White noise through the same two filters: a Gaussian process with this standard deviation, and its upward crossings."""

    def __init__(self, deviation: float):
        a = np.array([[-1 / SYNAPSE, 0], [1 / MEMBRANE, -1 / MEMBRANE]])
        both = np.linalg.solve(np.kron(a, np.eye(2)) + np.kron(np.eye(2), a), -np.array([1.0, 0, 0, 0])).reshape(2, 2)
        self.dynamics, self.covariance = a, both * deviation**2 / both[1, 1]
        self.values, self.vectors = np.linalg.eig(a)

    def ahead(self, times: np.ndarray) -> np.ndarray:
        """exp(A t), [time, 2, 2]."""
        return np.einsum(
            "ij,lj,jk->lik", self.vectors, np.exp(np.outer(times, self.values)), np.linalg.inv(self.vectors)
        )

    def lagged(self, lags: np.ndarray) -> np.ndarray:
        """Autocovariance, its derivative and less its second, [3, lag]."""
        a, ahead = self.dynamics, self.ahead(lags) @ self.covariance
        return np.stack([one[:, 1, 1] for one in (ahead, a @ ahead, -(a @ a @ ahead))])

    def crossings(self, distance: np.ndarray, seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Their times, and which neuron's they are, of neurons so far from the threshold; ordered by neuron and time."""
        rng, neurons = np.random.default_rng(seed), len(distance)
        push = self.ahead(np.array([STEP]))[0]
        noise = np.linalg.cholesky(self.covariance - push @ self.covariance @ push.T)
        g, v = np.linalg.cholesky(self.covariance) @ rng.standard_normal((2, neurons))
        times, who = [], []
        for step in range(round(seconds / STEP)):
            before = v
            g, v = push @ np.stack([g, v]) + noise @ rng.standard_normal((2, neurons))
            fired = np.flatnonzero((before <= distance) & (v > distance))
            times.append(np.full(len(fired), step * STEP))
            who.append(fired)
        order = np.lexsort((np.concatenate(times), np.concatenate(who)))
        return np.concatenate(times)[order], np.concatenate(who)[order]


def lags_of(ring) -> np.ndarray:
    return Closure(ring({"tau_e": SYNAPSE, "tau_i": SYNAPSE}, angles=2)).lags


def test_pairs_of_crossings_are_those_of_a_simulated_gaussian_process(ring) -> None:
    """With means spread as a Gaussian: counts of pairs by their lag, no theory in it."""
    neurons, seconds, spread, distance, potential = 6000, 3.0, 0.5, 3.0, Potential(1.5)
    means = spread * np.random.default_rng(4).standard_normal(neurons)
    times, who = potential.crossings(distance - means, seconds, 3)
    edges = np.array([1.0, 4, 8, 15, 25, 60]) * 1e-3
    counted = np.zeros(len(edges) - 1)
    for after in range(1, 40):
        lag = (times[after:] - times[:-after])[who[after:] == who[:-after]]
        counted += np.histogram(lag, edges)[0]
    measured = counted / (neurons * (seconds - edges[1:] / 2) * np.diff(edges))

    lags = lags_of(ring)
    lagged = potential.lagged(np.concatenate([[0.0], lags]))
    d, alpha = np.array(distance), np.array(spread**2)
    squares = gauss_rate(d, Moments(lagged[0, 0], lagged[2, 0], alpha), 2)
    pairs = (_crossings(lagged, d, alpha) + 1) * squares
    fine = np.linspace(edges[:-1], edges[1:], 200)
    np.testing.assert_allclose(measured, np.interp(fine, lags, pairs).mean(axis=0), rtol=0.06)
    assert measured.max() > 1.15 * measured.min()


@pytest.mark.parametrize("duration", [0.05, 0.5])
def test_counts_have_the_variance_of_those_of_a_simulated_gaussian_process(ring, duration: float) -> None:
    """More even than a Poisson process at the threshold, less so far below it; standard errors of about 1 %."""
    deviations, each, seconds, potential = np.array([0.0, 1.0, 2.0]), 1000, 4.0, Potential(1.5)
    distance = 1.5 * np.repeat(deviations, each)
    times, who = potential.crossings(distance, seconds, 7)
    windows = round(seconds / duration)
    counts = np.zeros((len(distance), windows))
    np.add.at(counts, (who, np.minimum((times / duration).astype(int), windows - 1)), 1)
    counts = counts.reshape(len(deviations), -1)
    closure = Closure(ring({"tau_e": SYNAPSE, "tau_i": SYNAPSE}, angles=2))
    lagged = potential.lagged(np.concatenate([[0.0], closure.lags]))
    expected = closure.fano(np.tile(lagged[:, None, None], (1, 2, 2, 1)), deviations, duration)[0, 0]
    np.testing.assert_allclose(counts.var(axis=1) / counts.mean(axis=1), expected, rtol=0.05)
    assert expected[0] < 0.8 and (duration < 0.1 or expected[2] > 1.2)


def test_trains_settle_and_do_so_from_anywhere_near(ring) -> None:
    net = untuned(ring, 500, 0.05)
    theory = rice_theory(net, 2, closure="rice")
    again = Closure(net).after(theory.equations, theory.unknowns, theory.trains)
    np.testing.assert_allclose(again.covariance, theory.trains.covariance, atol=1e-6 * np.abs(again.covariance).max())
    near = rice_theory(untuned(ring, 450, 0.05), 2, closure="rice")
    np.testing.assert_allclose(rice_theory(net, 2, closure="rice", start=near).rates, theory.rates, rtol=1e-7)


def test_more_probable_connections_leave_less_variance_in_time(ring) -> None:
    """Neurons differ in 1 - p of their input, and balance takes away most of the rest."""
    ratios = [rice_theory(untuned(ring, 500, p), 2, closure="rice").trains.variance[0, 0] for p in (0.01, 0.05, 0.1)]
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[1] / ratios[0] == pytest.approx(0.95 / 0.99, abs=0.015)


def test_moments_alone_do_not_do() -> None:
    bare = Kernel(1.0, 1.0, 1.0, 1.0, 1.0)
    net = network([[0.05, -0.125], [0.1, -0.15]], [[bare] * 2] * 2, [0.55, 0.5], K=500)
    with pytest.raises(SpecError, match="CS952"):
        Closure(net)
