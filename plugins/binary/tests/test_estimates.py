"""Entropies and information of histograms: identities, bounds, corrections."""

import itertools

import numpy as np
import pytest
from cortexspec_binary.measures import (
    bias,
    binary_entropy,
    cells,
    divergence,
    entropy,
    flux,
    flux_of_correlation,
    lagged_correlation,
    nsb_entropy,
    pairwise_flux,
    pooled,
    shuffled_flux,
    shuffled_transfer_entropy,
    transfer_entropy,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.special import digamma, gammaln, polygamma

tables = arrays(np.int64, (3, 4, 8), elements=st.integers(0, 50)).filter(lambda one: bool(one.sum((1, 2)).all()))


@settings(deadline=None)
@given(tables)
def test_flux_lies_between_0_and_either_entropy_and_3_bit(table: np.ndarray) -> None:
    found = flux(table)
    assert (found >= -1e-12).all() and (found <= 3).all()
    assert (found <= entropy(table.sum(-1)) + 1e-12).all() and (found <= entropy(table.sum(-2)) + 1e-12).all()
    np.testing.assert_allclose(found, entropy(table.sum(-2)) - divergence(table), atol=1e-12)


@settings(deadline=None)
@given(tables)
def test_miller_madow_takes_off_the_bias(table: np.ndarray) -> None:
    np.testing.assert_allclose(flux(table, "miller_madow"), flux(table) - bias(table), atol=1e-12)


def test_the_bias_of_a_full_table_of_two_triplets() -> None:
    """49/(2 T ln 2): 3.5e-3 bit at T = 1e4, 3.5e-5 at 1e6."""
    for steps, expected in ((1e4, 3.5e-3), (1e6, 3.5e-5)):
        full = np.full((8, 8), steps / 64)
        assert cells(full) == 64
        assert float(bias(full)) == pytest.approx(49 / (2 * steps * np.log(2))) == pytest.approx(expected, rel=0.02)


def test_entropies_that_are_known() -> None:
    assert float(entropy(np.full(8, 5))) == pytest.approx(3)
    assert float(entropy(np.array([7, 0, 0]))) == 0
    assert float(entropy(np.zeros(4))) == 0
    assert float(binary_entropy(0.5)) == 1 and float(binary_entropy(0.0)) == float(binary_entropy(1.0)) == 0
    copied = np.diag([5, 5, 5, 5])
    assert float(flux(copied)) == pytest.approx(2) and float(divergence(copied)) == pytest.approx(0)
    assert float(flux(np.outer([1, 2, 3], [4, 5, 6]))) == pytest.approx(0, abs=1e-12)


def test_transfer_entropy_of_a_copy_and_of_nothing() -> None:
    copied = np.zeros((2, 2, 2))
    for x in range(2):
        for y in range(2):
            copied[x, y, x] = 10
    assert float(transfer_entropy(copied)) == pytest.approx(1)
    own = np.zeros((2, 2, 2))
    for x in range(2):
        for y in range(2):
            own[x, y, y] = 10
    assert float(transfer_entropy(own)) == pytest.approx(0, abs=1e-12)


def test_pooled_runs_show_a_flux_that_no_run_has() -> None:
    """Two runs, each trapped in its own state: the ensemble remembers, no run does."""
    table = np.zeros((2, 2, 2), int)
    table[0, 0, 0] = table[1, 1, 1] = 100
    assert flux(table).tolist() == [0, 0] and float(flux(pooled(table))) == pytest.approx(1)


@pytest.mark.parametrize("counts", [[3, 1, 0, 0, 2, 0, 1, 0], [1] * 5 + [0] * 59, [40, 3, 0, 1], [0, 0, 0]])
def test_nsb_is_the_integral_that_its_authors_wrote(counts: list[int]) -> None:
    """Integrated over ξ, where the prior is flat, by an adaptive rule."""
    n, k = np.array(counts), len(counts)
    total = n.sum()

    def weight(beta: float) -> float:
        evidence = gammaln(k * beta) - gammaln(total + k * beta) + (gammaln(n + beta) - gammaln(beta)).sum()
        return float(np.exp(evidence) * (k * polygamma(1, k * beta + 1) - polygamma(1, beta + 1)))

    def mean(beta: float) -> float:
        share = (n + beta) / (total + k * beta)
        return float(digamma(total + k * beta + 1) - (share * digamma(n + beta + 1)).sum())

    def over_log(f) -> float:
        # Wider, and differences of logarithms of Γ lose all their digits.
        bounds = itertools.pairwise([-16, -8, -4, 0, 4, 8, 14])
        return sum(quad(lambda u: f(np.exp(u)) * np.exp(u), a, b, limit=400)[0] for a, b in bounds)

    expected = over_log(lambda beta: weight(beta) * mean(beta)) / over_log(weight) / np.log(2)
    assert nsb_entropy(n) == pytest.approx(expected, abs=2e-6)


def test_nsb_is_near_the_truth_with_fewer_counts_than_cells() -> None:
    draw = np.random.default_rng(5)
    truth = draw.dirichlet(np.full(256, 0.3))
    exact = -float((truth * np.log2(truth)).sum())
    sampled = [draw.multinomial(100, truth) for _ in range(20)]
    error = {how: abs(np.mean([float(entropy(one, 1, how)) for one in sampled]) - exact) for how in ("none", "nsb")}
    assert error["nsb"] < 0.1 < 0.7 < error["none"]


def test_a_shuffle_keeps_both_margins_and_takes_the_rest() -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 8, 3000)
    y = np.where(draw.random(3000) < 0.5, x, draw.integers(0, 8, 3000))
    table = np.zeros((8, 8), int)
    np.add.at(table, (x, y), 1)
    by_hand = []
    for _ in range(50):
        shuffled = np.zeros((8, 8), int)
        np.add.at(shuffled, (x, draw.permutation(y)), 1)
        by_hand.append(float(flux(shuffled)))
    found = shuffled_flux(table, 50, seed=1)
    assert found.shape == (50,)
    spread = np.hypot(np.std(by_hand), found.std()) / np.sqrt(50)
    assert abs(found.mean() - np.mean(by_hand)) < 3 * spread
    assert shuffled_flux(np.stack([table, table]), 3).shape == (3, 2)
    assert (shuffled_flux(table, 3, seed=4) == shuffled_flux(table, 3, seed=4)).all()


def test_a_shuffle_given_the_target_leaves_its_own_memory() -> None:
    draw = np.random.default_rng(1)
    table = draw.integers(0, 30, (2, 2, 2))
    assert shuffled_transfer_entropy(table, 40).mean() < 0.02
    assert shuffled_transfer_entropy(np.stack([table] * 3), 2).shape == (2, 3)


def test_weak_correlations_and_fluxes_of_pairs_agree() -> None:
    p, c = 0.4, 0.01
    on = p * p + c * p * (1 - p)
    shares = np.array([[1 - 2 * p + on, p - on], [p - on, on]])[None, None]
    np.testing.assert_allclose(lagged_correlation(shares), c, rtol=1e-12)
    np.testing.assert_allclose(pairwise_flux(shares), flux_of_correlation(c), rtol=0.01)


@pytest.mark.parametrize("most", [3, 10_000])
def test_a_large_table_is_read_by_its_counts(most: int) -> None:
    """Whether counts are few or many, the entropy is that of the cells one by one; an empty table has none."""
    draw = np.random.default_rng(1)
    table = draw.integers(0, most, (3, 1 << 13)) * (draw.random((3, 1 << 13)) < 0.2)
    table[1] = 0
    p = table / np.maximum(table.sum(1), 1)[:, None]
    plain = -(p * np.log2(np.where(p > 0, p, 1))).sum(1)
    np.testing.assert_allclose(entropy(table), plain, rtol=1e-12)
    more = ((table > 0).sum(1) - 1) / (2 * np.log(2) * np.maximum(table.sum(1), 1))
    np.testing.assert_allclose(entropy(table, 1, "miller_madow"), plain + np.where(plain > 0, more, 0), rtol=1e-12)
