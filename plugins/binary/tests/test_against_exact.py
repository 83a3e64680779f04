"""Estimates from runs against exact values: every measure within three standard errors, networks of 3 to 8 neurons."""

from collections.abc import Callable

import numpy as np
import pytest
from cortexspec_binary.exact import ExactNetwork, exact
from cortexspec_binary.measures import (
    JointCounts,
    PairCounts,
    binary_entropy,
    divergence,
    entropy,
    flux,
    lagged_correlation,
    pairwise_flux,
    pairwise_transfer_entropy,
    pooled,
    root_mean_square,
    shuffled_flux,
    transfer_entropy,
)

Simulate = Callable[..., np.ndarray]
RUNS, STEPS = 64, 10_000
NETWORKS = [(3, 0.0), (4, 1.0), (5, 0.0), (6, 0.5), (8, 0.0)]


def network(neurons: int, sigma: float) -> ExactNetwork:
    draw = np.random.default_rng(10 + neurons)
    weights = draw.normal(0, 4 / np.sqrt(neurons), (neurons, neurons))
    np.fill_diagonal(weights, 0)
    return exact(weights, -weights.sum(1) / 2, sigma=sigma)


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda one: f"N={one[0]}, sigma={one[1]:g}")
def run(request: pytest.FixtureRequest, simulate: Simulate) -> tuple[ExactNetwork, np.ndarray]:
    one = network(*request.param)
    return one, simulate(one.weights, one.biases, STEPS, RUNS, sigma=one.sigma, seed=100 + one.neurons)


def agrees(per_run: np.ndarray, expected: float | np.ndarray, errors: float = 3.0) -> None:
    """The mean over runs within so many standard errors, each element by itself."""
    error = per_run.std(axis=0, ddof=1) / np.sqrt(len(per_run))
    assert (np.abs(per_run.mean(axis=0) - expected) <= errors * error + 1e-12).all()


def counted(states: np.ndarray, groups: list[list[int]], lags: list[int]) -> np.ndarray:
    counts = JointCounts([len(group) for group in groups], lags, runs=len(states))
    for first in range(0, states.shape[1], 7777):
        counts.update(*(states[:, first : first + 7777][..., group] for group in groups))
    return counts.table


def test_entropy_divergence_and_flux_of_triplets(run: tuple[ExactNetwork, np.ndarray]) -> None:
    one, states = run
    x, y = [0, 1, 2], list(range(one.neurons))[-3:]
    table = counted(states, [x, y], [0, 1])
    agrees(entropy(table.sum(axis=1), 1, "miller_madow"), one.entropy(y))
    agrees(divergence(table, "miller_madow"), one.divergence(x, y))
    agrees(flux(table, "miller_madow"), one.flux(x, y))


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_lagged_flux(run: tuple[ExactNetwork, np.ndarray], lag: int) -> None:
    one, states = run
    table = counted(states, [[0, 1], [1, 2]], [0, lag])
    agrees(flux(table, "miller_madow"), one.flux([0, 1], [1, 2], lag))


def test_transfer_entropy(run: tuple[ExactNetwork, np.ndarray]) -> None:
    one, states = run
    table = counted(states, [[0], [1], [1]], [0, 0, 1])
    agrees(transfer_entropy(table, "miller_madow"), one.transfer_entropy([0], [1]))


def test_nsb(run: tuple[ExactNetwork, np.ndarray]) -> None:
    """A posterior mean leans to its prior by about 1/T: the mean over runs is within three standard errors of a run."""
    one, states = run
    table = counted(states, [[0, 1, 2], [0, 1, 2]], [0, 1])
    for found, expected in (
        (entropy(table.sum(axis=1), 1, "nsb"), one.entropy([0, 1, 2])),
        (flux(table, "nsb"), one.flux([0, 1, 2], [0, 1, 2])),
    ):
        assert abs(found.mean() - expected) < 3 * found.std(ddof=1)


def test_every_pair_at_once(run: tuple[ExactNetwork, np.ndarray]) -> None:
    """The mean over pairs within three standard errors; each of up to 64 pairs, which vary together, within five."""
    one, states = run
    n = one.neurons
    counts = PairCounts(n, n, runs=RUNS, per_run=True, conditional=True).update(states, states)
    expected = np.array([[one.flux([j], [i]) for j in range(n)] for i in range(n)])
    fluxes, correlations = pairwise_flux(counts.tables, "miller_madow"), lagged_correlation(counts.tables)
    agrees(fluxes, expected, 5)
    agrees(fluxes.mean(axis=(1, 2)), expected.mean())
    agrees(correlations, one.correlation(), 5)
    agrees(root_mean_square(correlations), root_mean_square(one.correlation()))
    conditional = np.array([[one.transfer_entropy([j], [i]) if i != j else 0 for j in range(n)] for i in range(n)])
    transfers = pairwise_transfer_entropy(counts.conditional_tables, "miller_madow")
    agrees(transfers, conditional, 5)
    agrees(transfers.mean(axis=(1, 2)), conditional.mean())


def test_the_divergence_of_a_closed_network_needs_no_histogram(run: tuple[ExactNetwork, np.ndarray]) -> None:
    """Neurons are independent given the state, so D is the mean of the sum of h(p_i) along the run."""
    one, states = run
    scatter = binary_entropy(one.factors[0]).sum(axis=1)
    words = states @ (1 << np.arange(one.neurons))
    agrees(scatter[words].mean(axis=1), one.divergence())


def test_pooled_runs_of_a_network_that_forgets_are_one_long_run(run: tuple[ExactNetwork, np.ndarray]) -> None:
    one, states = run
    table = counted(states, [[0, 1, 2], [0, 1, 2]], [0, 1])
    spread = flux(table).std(ddof=1) / np.sqrt(RUNS)
    assert abs(float(flux(pooled(table), "miller_madow")) - one.flux([0, 1, 2], [0, 1, 2])) < 3 * spread


def test_the_bias_of_five_neurons(simulate: Simulate) -> None:
    """Known of one network of exact flux 0.564: T = 3000 gives plug-in 0.662, corrected 0.612, shuffle-subtracted 0.528, and
    T = 30000 gives 0.577, 0.568, 0.557.

    This network is another: it is scaled until its exact flux is the same, and its biases are such that about as many cells
    are occupied.
    """
    draw = np.random.default_rng(7)
    weights = draw.normal(0, 1, (5, 5))
    np.fill_diagonal(weights, 0)
    biases = draw.normal(0, 1, 5) - weights.sum(1) / 2
    low, high = 0.1, 6.0
    for _ in range(40):
        scale = (low + high) / 2
        one = exact(scale * weights, scale * biases)
        low, high = (scale, high) if one.flux() < 0.564 else (low, scale)
    assert one.flux() == pytest.approx(0.564, abs=1e-9)
    known = {3000: (0.662, 0.612, 0.528), 30_000: (0.577, 0.568, 0.557)}
    everything = list(range(5))
    for steps, figures in known.items():
        states = simulate(one.weights, one.biases, steps, 24, seed=steps)
        table = counted(states, [everything, everything], [0, 1])
        plain, corrected = float(flux(table).mean()), float(flux(table, "miller_madow").mean())
        subtracted = plain - float(shuffled_flux(table, 5).mean())
        assert subtracted < 0.564 < corrected < plain
        for found, figure in zip((plain, corrected, subtracted), figures, strict=True):
            assert found == pytest.approx(figure, abs=0.025)
