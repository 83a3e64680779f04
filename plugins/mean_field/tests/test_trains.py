"""Autocovariance of the spike trains of threshold-crossing neurons, and what it makes of the potential they drive."""

import numpy as np
import pytest
from cortexspec_mean_field import Kernel, network, rice_theory
from cortexspec_mean_field.equations import Moments, gauss_rate
from cortexspec_mean_field.trains import Closure

from cortexspec.diagnostics import SpecError

MEMBRANE, SYNAPSE, STEP = 0.01, 0.005, 0.00005


def untuned(ring, K: int, probability: float):
    return ring({"mu": 0.0, "modulation": 0.0}, K=K, probability=probability, angles=2)


def test_pairs_of_crossings_are_those_of_a_simulated_gaussian_process(ring) -> None:
    """White noise through the same two filters, with means spread as a Gaussian: counts of pairs by their lag, no theory in it."""
    rng, neurons, seconds = np.random.default_rng(3), 3000, 3.0
    spread, distance, deviation = 0.5, 3.0, 1.5  # alpha, d and s
    mean, g, v = spread * rng.standard_normal(neurons), np.zeros(neurons), np.zeros(neurons)
    a = np.array([[-1 / SYNAPSE, 0], [1 / MEMBRANE, -1 / MEMBRANE]])
    both = np.linalg.solve(np.kron(a, np.eye(2)) + np.kron(np.eye(2), a), -np.array([1.0, 0, 0, 0])).reshape(2, 2)
    scale = deviation / np.sqrt(both[1, 1])
    values, vectors = np.linalg.eig(a)
    push = vectors @ np.diag(np.exp(values * STEP)) @ np.linalg.inv(vectors)
    noise = np.linalg.cholesky(scale**2 * (both - push @ both @ push.T))
    g, v = np.linalg.cholesky(scale**2 * both) @ rng.standard_normal((2, neurons))
    times, who = [], []
    for step in range(round(seconds / STEP)):
        before, drawn = v, noise @ rng.standard_normal((2, neurons))
        g, v = push @ np.stack([g, v]) + drawn
        fired = np.flatnonzero((before + mean <= distance) & (v + mean > distance))
        times.append(np.full(len(fired), step * STEP))
        who.append(fired)
    times, who = np.concatenate(times), np.concatenate(who)
    order = np.lexsort((times, who))
    times, who = times[order], who[order]
    edges = np.array([1.0, 3, 6, 12, 25, 60]) * 1e-3
    counted = np.zeros(len(edges) - 1)
    for after in range(1, 40):
        lag = (times[after:] - times[:-after])[who[after:] == who[:-after]]
        counted += np.histogram(lag, edges)[0]
    measured = counted / (neurons * (seconds - edges[1:] / 2) * np.diff(edges))

    net = ring({"tau_e": SYNAPSE, "tau_i": SYNAPSE}, angles=2)
    closure = Closure(net)
    lags = closure.lags
    rise = scale**2 * (both[0, 0] - 2 * both[0, 1] + both[1, 1]) / MEMBRANE**2
    ahead = (
        np.einsum("ij,lj,jk->lik", vectors, np.exp(np.outer(lags, values)), np.linalg.inv(vectors)) @ both * scale**2
    )
    level, slope, bend = ahead[:, 1, 1], (a @ ahead)[:, 1, 1], -(a @ a @ ahead)[:, 1, 1]
    shape = (2, 2)
    whole = Moments(np.full(shape, deviation**2), np.full(shape, rise), np.full(shape, spread**2))
    d = np.full(shape, distance)
    squares = gauss_rate(d, whole, 2)
    lagged = [np.broadcast_to(one, (*shape, len(lags))) for one in (level, slope, bend)]
    pairs = closure._crossings(whole, *lagged, d, squares)[0, 0] + squares[0, 0]
    fine = np.linspace(edges[:-1], edges[1:], 200)
    np.testing.assert_allclose(measured, np.interp(fine, lags, pairs).mean(axis=0), rtol=0.06)
    assert measured.max() > 1.15 * measured.min()


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
