"""Tuning curves: covariance, samples, likelihood, fits."""

import numpy as np
import pytest
from cortexspec_mean_field import (
    fit,
    gradient,
    log_densities,
    log_likelihood,
    log_likelihood_of_counts,
    rice_theory,
    selectivity,
)
from cortexspec_mean_field.likelihood import _counts
from cortexspec_mean_field.theory import moved

from cortexspec.diagnostics import SpecError

STIMULI = 2 * np.pi * np.arange(6) / 6


@pytest.fixture(scope="module")
def limit(ring):
    return rice_theory(ring(), np.inf)


def test_the_covariance_converges_and_its_diagonal_is_the_variance(limit) -> None:
    found = limit.ensemble
    np.testing.assert_allclose(np.einsum("aii->ai", found.covariance), limit.moments.quenched, rtol=1e-10)
    np.testing.assert_allclose(np.einsum("aii->ai", found.pairs), limit.squares, rtol=1e-10)
    assert found.sweeps < 60


def test_samples_have_the_products_of_the_theory(limit) -> None:
    angles = limit.network.angles[::4]
    rates = limit.ensemble.sample(0, 200_000, np.random.default_rng(0), angles)
    np.testing.assert_allclose(rates.mean(axis=0), limit.rates[0, ::4], rtol=0.02)
    np.testing.assert_allclose(rates.T @ rates / len(rates), limit.ensemble.pairs[0, ::4, ::4], rtol=0.06)


@pytest.mark.parametrize("closure", ["poisson", "rice"])
def test_samples_have_the_rates_and_squares_of_the_theory_at_order_2(ring, closure: str) -> None:
    """Its corrections are a tenth of a rate at K = 200."""
    theory = rice_theory(ring(K=200, probability=0.1), 2, closure=closure)
    rates = theory.ensemble.sample(0, 100_000, np.random.default_rng(0))
    np.testing.assert_allclose(rates.mean(axis=0), theory.rates[0], rtol=0.015)
    np.testing.assert_allclose((rates**2).mean(axis=0), theory.squares[0], rtol=0.04)
    assert theory.quantile(0.5) == pytest.approx(np.quantile(rates, 0.5), rel=0.02)


def test_selectivity_of_known_curves() -> None:
    angles = 2 * np.pi * np.arange(8) / 8
    curves = np.array([np.ones(8), 1 + 0.5 * np.cos(angles - 1), np.eye(8)[3]])
    np.testing.assert_allclose(selectivity(curves, angles), [0, 0.25, 1], atol=1e-12)


def test_angles_between_those_of_the_grid(ring, limit) -> None:
    fine = rice_theory(ring(angles=64), np.inf)
    angles = np.array([0.1, 1.0, 2.5])
    one, other = limit.ensemble.at(0, angles), fine.ensemble.at(0, angles)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-4)


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_derivatives_are_those_of_differences(ring, order: float) -> None:
    parameters = {"tau_i": 0.003, "mu": 0.25, "inhibition": 1.0, "spread": 0.1}

    def quantity(theory):
        return np.array([theory.harmonic(2)[0], theory.squares[1, 3], theory.ensemble.covariance[0, 2, 5]])

    _, found = gradient(ring, parameters, quantity, order=order)
    for name, value in parameters.items():
        step = 1e-4 * value
        ahead, behind = (
            quantity(rice_theory(ring({**parameters, name: value + sign * step}), order)) for sign in (1, -1)
        )
        np.testing.assert_allclose(found[name], (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)


def test_derivatives_through_the_trains_are_those_of_differences(ring) -> None:
    parameters = {"tau_i": 0.003, "inhibition": 1.0}

    def quantity(theory):
        at = theory.ensemble.at(0, STIMULI)
        likelihood = log_likelihood_of_counts(theory, [[2, 9, 4, 0, 1, 3]], 2.0, STIMULI)
        return np.array([theory.mean[0], theory.top[0, 3], at.mean[1], at.covariance[2, 3], likelihood])

    def theory_of(name, value):
        return rice_theory(ring({name: value}, K=200, probability=0.1, angles=12), 2, closure="rice")

    for name, value in parameters.items():
        theory, step = theory_of(name, value), 1e-3 * value
        shifted = moved(theory, ring({name: value + 1e-30j}, K=200, probability=0.1, angles=12))
        found = np.imag(quantity(shifted)) / 1e-30
        ahead, behind = (quantity(theory_of(name, value + sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=2e-4)


def test_the_likelihood_is_a_density_of_curves(limit) -> None:
    """Integrated over two rates it is 1, all branches counted."""
    angles = np.array([0.0, 1.0])
    step = 0.02
    heights = np.stack(np.meshgrid(*[np.arange(step / 2, 9, step)] * 2), axis=-1).reshape(-1, 2)
    rates = limit.ensemble.at(0, angles).top * np.exp(-(heights**2) / 2)  # d rate = rate height d height
    density = np.exp(log_densities(limit, rates, angles, branches="all")) * (rates * heights).prod(axis=-1)
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("law", ["rice", "poisson"])
def test_counts_are_as_likely_as_an_integral_says(limit, law: str) -> None:
    process = limit.ensemble.at(0, np.array([0.5]))
    x = process.mean[0] + np.sqrt(process.covariance[0, 0]) * np.linspace(-7, 7, 201)
    prior = np.exp(-((x - process.mean[0]) ** 2) / (2 * process.covariance[0, 0]))
    expected = process.rate(x[:, None])[:, 0] * 10
    deviations = (process.threshold - x) / np.sqrt(process.variance)
    fano = limit.fano(deviations, 10.0)[0].mean(axis=0) if law == "rice" else np.ones_like(x)
    narrow = fano**-0.5
    for count in (0, 3, 40):
        log_factorial = sum(np.log(np.arange(1, count + 1)))
        own = expected * narrow + (1 - narrow) * count
        given = np.log(expected * narrow) + (count - 1) * np.log(own) - own - log_factorial
        exact = np.log((prior * np.exp(given)).sum() / prior.sum())
        found = log_likelihood_of_counts(limit, [[count]], 10.0, np.array([0.5]), law=law)
        assert found == pytest.approx(exact, abs=0.06)


def test_counts_of_one_potential_have_the_mean_and_variance_of_the_theory(limit) -> None:
    """A neuron whose mean potential is known has the counts of the law, from below the Poisson variance to above it."""
    process = limit.ensemble.at(0, np.zeros(1))
    for z, least, most in ((0.2, 0.5, 0.8), (2.0, 1.2, 1.5)):
        mean = process.threshold - z * np.sqrt(process.variance)
        expected = float(process.rate(mean)[0]) * 4
        seen = _counts(limit, np.arange(600.0)[:, None], 4.0, np.zeros(1), 0, "rice")
        chances, numbers = np.exp(seen.at(np.full((600, 1), z))[0])[:, 0], np.arange(600)
        assert chances.sum() == pytest.approx(1, abs=1e-4)
        assert numbers @ chances == pytest.approx(expected, rel=1e-4)
        fano = (numbers - expected) ** 2 @ chances / expected
        assert fano == pytest.approx(limit.fano(z, 4.0)[0, 0], rel=1e-3)
        assert least < fano < most


@pytest.mark.parametrize(("law", "most"), [("poisson", 0.3), ("rice", 1.0)])
def test_the_likelihood_of_a_neuron_that_comes_to_its_threshold_has_no_peak_of_its_own(
    ring, law: str, most: float
) -> None:
    """One of a simulated network, at whose mode the curvature goes through 0 where the time constant is 3 ms.

    Its posterior has two modes, and the method is at one or the other: with counts as even as those of crossings a step of 0.75 is left.
    """
    counts, angles = [[98, 72, 75, 93, 78, 78, 71, 77]], 2 * np.pi * np.arange(8) / 8 - 0.358
    theories = [
        rice_theory(ring({"tau_i": tau}, K=200, probability=0.1), 2) for tau in np.arange(2.9, 3.11, 0.05) * 1e-3
    ]
    found = [log_likelihood_of_counts(theory, counts, 3.0, angles, law=law) for theory in theories]
    assert np.abs(np.diff(found, 2)).max() < most


@pytest.mark.parametrize("what", ["rates", "rice", "poisson"])
def test_the_gradient_of_a_likelihood(ring, what: str) -> None:
    parameters = {"tau_i": 0.003, "inhibition": 1.0}
    theory = rice_theory(ring(parameters), 2)
    rng = np.random.default_rng(1)
    rates = theory.ensemble.sample(0, 40, rng, STIMULI)
    counts = rng.poisson(rates * 10)

    def density(theory):
        return (
            log_likelihood(theory, rates, STIMULI)
            if what == "rates"
            else log_likelihood_of_counts(theory, counts, 10, STIMULI, law=what)
        )

    _, found = gradient(ring, parameters, density)
    for name, value in parameters.items():
        step = 1e-5 * value
        ahead, behind = (density(rice_theory(ring({**parameters, name: value + s * step}), 2)) for s in (1, -1))
        assert found[name] == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "start", "what"),
    [("inhibition", 1.1, "rates"), ("inhibition", 1.1, "counts"), ("tau_i", 0.0025, "counts")],
)
def test_a_fit_recovers_what_curves_were_sampled_with(ring, name: str, start: float, what: str) -> None:
    truth = {"inhibition": 1.0, "tau_i": 0.003}[name]
    theory = rice_theory(ring(), 2)
    rng = np.random.default_rng(2)
    angles = STIMULI + rng.uniform(0, 2 * np.pi, (200, 1))
    rates = theory.ensemble.sample(0, 200, rng, angles)
    counts = rng.poisson(rates * 10)

    def density(theory):
        return (
            log_likelihood(theory, rates, angles)
            if what == "rates"
            else log_likelihood_of_counts(theory, counts, 10, angles, law="poisson")
        )

    found = fit(ring, {name: start}, density)
    assert abs(found.values[name] - truth) < 3 * found.errors[name]
    assert found.errors[name] < 0.15 * truth


def test_a_law_or_closure_that_is_not_there_is_told(limit) -> None:
    with pytest.raises(SpecError, match="the law of counts is rice or poisson, not binomial"):
        log_likelihood_of_counts(limit, [[1]], 1.0, [0.0], law="binomial")
    with pytest.raises(SpecError, match="closure of `rice_theory` is poisson or rice, not gauss"):
        rice_theory(limit.network, closure="gauss")


def test_rates_that_no_neuron_reaches_are_no_start(ring) -> None:
    theory = rice_theory(ring(), 2)
    rates = np.full((3, 6), theory.top.max() * 2)
    with pytest.raises(SpecError, match="CS955"):
        fit(ring, {"tau_i": 0.003}, lambda theory: log_likelihood(theory, rates, STIMULI))


def test_quantiles_and_products_are_those_of_samples(ring) -> None:
    theory = rice_theory(ring(), np.inf)
    angles = theory.network.angles
    rates = theory.ensemble.sample(0, 40_000, np.random.default_rng(5))
    for share in (0.25, 0.9):
        assert theory.quantile(share) == pytest.approx(np.quantile(rates, share), rel=0.02)
    shifted = np.roll(rates, -len(angles) // 4, axis=1)
    assert theory.pair(np.pi / 2) == pytest.approx((rates * shifted).mean(), rel=0.03)
    assert theory.pair(0) == pytest.approx(theory.squares[0].mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("order", "K", "probability", "what"),
    [
        (1, 50, 0.4, "differ by a variance below 0"),
        (2, 50, 0.0, "no spread of mean potentials has these rates"),
    ],
)
def test_neurons_that_would_differ_by_less_than_nothing_are_refused(
    ring, order: int, K: int, probability: float, what: str
) -> None:
    theory = rice_theory(ring(K=K, probability=probability, degree="fixed", angles=8), order)
    for ask in (lambda: theory.quantile(0.5), lambda: theory.ensemble.sample(0, 10, np.random.default_rng(0))):
        with pytest.raises(SpecError, match=f"CS954.*{what}"):
            ask()


def test_a_covariance_that_no_neurons_have_is_refused(ring) -> None:
    theory = rice_theory(ring(K=500, probability=0.05, degree="fixed", angles=8), 2)
    assert 0 < theory.quantile(0.5) < theory.mean[0]
    with pytest.raises(SpecError, match=r"CS954.*no tuning curves of `.*` have this covariance"):
        theory.ensemble.sample(0, 10, np.random.default_rng(0))
