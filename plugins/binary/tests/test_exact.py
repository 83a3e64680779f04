"""Exact analysis against enumeration done another way."""

import itertools

import numpy as np
import pytest
from cortexspec_binary.exact import (
    ExactNetwork,
    Flux,
    as_zero_one,
    best_biases,
    exact,
    firing_probability,
    midpoint_biases,
    power_iteration,
    single_neuron,
    state_reduction,
    value_and_gradient,
)
from scipy.integrate import quad

from cortexspec.diagnostics import SpecError


def network(neurons: int, seed: int = 0, scale: float = 3.0, **settings) -> ExactNetwork:
    draw = np.random.default_rng(seed)
    weights = draw.normal(0, scale, (neurons, neurons))
    np.fill_diagonal(weights, 0)
    return exact(weights, draw.normal(0, 1, neurons) - weights.sum(1) / 2, **settings)


def averaged(v: float, sigma: float) -> float:
    """The noise integrated by an adaptive rule."""

    def density(eta: float) -> float:
        return np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi) / (1 + np.exp(-(v + sigma * eta)))

    if sigma == 0:
        return 1 / (1 + np.exp(-v))
    pieces = sorted({-12.0, *np.clip([-v / sigma - 1 / sigma, -v / sigma, -v / sigma + 1 / sigma], -12, 12), 12.0})
    return sum(quad(density, a, b, epsabs=1e-15, epsrel=1e-13, limit=200)[0] for a, b in itertools.pairwise(pieces))


def enumerated(one: ExactNetwork, sources: tuple[int, ...], targets: tuple[int, ...], lag: int) -> dict[str, float]:
    """Flux, entropy and divergence by loops over tuples of states; π as an eigenvector; the flux as a divergence of laws."""
    n = one.neurons
    low = -1 if one.states == "plus_minus" else 0
    states = list(itertools.product((low, 1), repeat=n))
    matrix = np.zeros((len(states), len(states)))
    for a, z in enumerate(states):
        on = []
        for i in range(n):
            u = sum(one.weights[i, j] * z[j] for j in range(n)) + one.biases[i]
            t0, sigma = float(one.t0[i]), float(one.sigma[i])
            on.append(averaged(u / t0, sigma if one.noise_units == "scaled" else sigma / t0))
        for b, after in enumerate(states):
            matrix[a, b] = np.prod([p if bit == 1 else 1 - p for p, bit in zip(on, after, strict=True)])
    values, vectors = np.linalg.eig(matrix.T)
    law = np.real(vectors[:, np.argmin(abs(values - 1))])
    law /= law.sum()
    joint: dict[tuple, float] = {}
    power = np.linalg.matrix_power(matrix, lag)
    for a, b in itertools.product(range(len(states)), repeat=2):
        key = (tuple(states[a][i] for i in sources), tuple(states[b][i] for i in targets))
        joint[key] = joint.get(key, 0.0) + law[a] * power[a, b]
    before: dict[tuple, float] = {}
    after_: dict[tuple, float] = {}
    for (x, y), p in joint.items():
        before[x] = before.get(x, 0.0) + p
        after_[y] = after_.get(y, 0.0) + p
    flux = sum(p * np.log2(p / before[x] / after_[y]) for (x, y), p in joint.items() if p > 0)
    scatter = -sum(p * np.log2(p / before[x]) for (x, _), p in joint.items() if p > 0)
    return {"flux": flux, "entropy": -sum(p * np.log2(p) for p in after_.values()), "divergence": scatter}


CASES = [
    (3, {}),
    (4, {"t0": 5.0, "sigma": 2.0}),
    (5, {"sigma": 0.5, "noise_units": "input", "t0": 2.0}),
    (4, {"states": "plus_minus", "sigma": 1.0}),
    (6, {"t0": 0.7}),
    (4, {"t0": np.array([1.0, 2.0, 3.0, 1.0]), "sigma": np.array([0.0, 1.0, 1.0, 2.0])}),
]


@pytest.mark.parametrize(("neurons", "settings"), CASES)
def test_the_whole_network_against_enumeration(neurons: int, settings: dict) -> None:
    one = network(neurons, **settings)
    everything = tuple(range(neurons))
    for lag in (1, 3):
        expected = enumerated(one, everything, everything, lag)
        assert one.flux(lag=lag) == pytest.approx(expected["flux"], abs=1e-10)
        assert one.divergence(lag=lag) == pytest.approx(expected["divergence"], abs=1e-10)
        assert one.entropy() == pytest.approx(expected["entropy"], abs=1e-10)
    assert one.flux() == pytest.approx(one.entropy() - one.divergence(), abs=1e-12)


@pytest.mark.parametrize(
    ("sources", "targets"), [((0, 1), (2, 3)), ((1,), (1,)), ((3, 0), (0, 2, 4)), ((0, 1, 2), (0, 1, 2))]
)
def test_parts_of_a_network_against_enumeration(sources: tuple[int, ...], targets: tuple[int, ...]) -> None:
    one = network(5, seed=2, t0=2.0, sigma=0.3)
    for lag in (1, 2):
        expected = enumerated(one, sources, targets, lag)
        assert one.flux(sources, targets, lag) == pytest.approx(expected["flux"], abs=1e-10)
        assert one.divergence(sources, targets, lag) == pytest.approx(expected["divergence"], abs=1e-10)
        assert one.entropy(targets) == pytest.approx(expected["entropy"], abs=1e-10)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 4.0, 30.0])
def test_noise_is_averaged_to_rounding(sigma: float) -> None:
    drives = np.array([-8.0, -1.0, 0.0, 0.5, 6.0])
    found = firing_probability(drives, sigma)
    np.testing.assert_allclose(found, [averaged(v, sigma) for v in drives], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found + firing_probability(-drives, sigma), 1, atol=1e-14)


def test_small_probabilities_keep_their_digits() -> None:
    """E exp(v + sigma η) = exp(v + sigma^2/2) where the logistic function is an exponential."""
    found = firing_probability(np.array([-60.0]), 2.0)
    assert found[0] == pytest.approx(np.exp(-60 + 2.0), rel=1e-9)
    assert firing_probability(np.array([-60.0]))[0] == pytest.approx(np.exp(-60), rel=1e-12)


def test_both_ways_to_the_stationary_law_agree() -> None:
    one = network(7, t0=2.0)
    law = state_reduction(one.matrix)
    np.testing.assert_allclose(law, power_iteration(one.matrix), atol=1e-13)
    np.testing.assert_allclose(law @ one.matrix, law, atol=1e-15)
    assert one.law_after(2000) == pytest.approx(law, abs=1e-12)


def test_state_reduction_is_right_where_the_network_is_all_but_trapped() -> None:
    """Two states that leave each other once in 1e-18 and 3e-18: an eigenvector cannot tell, state reduction can."""
    matrix = np.array([[1 - 1e-18, 1e-18], [3e-18, 1 - 3e-18]])
    np.testing.assert_allclose(state_reduction(matrix), [0.75, 0.25], rtol=1e-14)
    with pytest.raises(SpecError, match="CS933"):
        state_reduction(np.eye(2))
    with pytest.raises(SpecError, match="CS933"):
        power_iteration(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]), most=100)


def test_plus_minus_states_are_zero_one_states_with_other_weights() -> None:
    one = network(5, seed=4, states="plus_minus", sigma=0.4)
    weights, biases = as_zero_one(one.weights, one.biases)
    same = exact(weights, biases, sigma=0.4)
    np.testing.assert_allclose(same.matrix, one.matrix, atol=1e-15)
    assert same.flux() == pytest.approx(one.flux(), abs=1e-13)


def test_transfer_entropy_and_correlation_against_their_joint_laws() -> None:
    one = network(4, seed=3, t0=2.0)
    expected = enumerated(one, (0, 2), (1,), 1)["flux"]
    # I(Y'; X, Y) = I(Y'; Y) + I(Y'; X | Y)
    chained = one.flux((0, 2, 1), (1,)) - one.flux((1,), (1,))
    assert one.transfer_entropy((0, 2), (1,)) == pytest.approx(chained, abs=1e-12)
    assert chained <= expected + one.entropy((1,))
    joint = one.joint((2,), (1,))
    x, y, both = joint[1].sum(), joint[:, 1].sum(), joint[1, 1]
    assert one.correlation()[1, 2] == pytest.approx((both - x * y) / np.sqrt(x * (1 - x) * y * (1 - y)), abs=1e-12)


def test_bounds_and_data_processing() -> None:
    for seed in range(10):
        one = network(6, seed, t0=1.5)
        lagged = [one.flux(lag=lag) for lag in range(1, 7)]
        assert 0 <= lagged[0] <= one.entropy() <= 6
        assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(lagged))
        assert 0 <= one.flux((0, 1, 2), (3, 4, 5)) <= 3
        assert one.flux((0, 1, 2), (3, 4, 5)) <= one.flux() + 1e-12
        assert abs(one.second_eigenvalue) < 1 and one.memory_time > 0


@pytest.mark.parametrize(
    "terms",
    [
        (Flux(),),
        (Flux(lag=3),),
        (Flux((0, 1), (2, 3)), Flux((2, 3), (0, 1), factor=-0.5), Flux((0,), (0, 1, 4), lag=2)),
    ],
)
@pytest.mark.parametrize(
    "settings", [{"t0": 2.0}, {"sigma": np.linspace(0, 1, 5)}, {"states": "plus_minus", "t0": np.linspace(1, 5, 5)}]
)
def test_the_gradient_against_central_differences(terms: tuple[Flux, ...], settings: dict) -> None:
    one = network(5, seed=1, **settings)
    found = value_and_gradient(one, terms)

    def value(weights: np.ndarray, biases: np.ndarray) -> float:
        moved = exact(weights, biases, **settings)
        return sum(term.factor * moved.flux(term.sources, term.targets, term.lag) for term in terms)

    assert found.value == pytest.approx(value(one.weights, one.biases), abs=1e-13)
    step = 1e-4
    for i in range(5):
        move = np.zeros(5)
        move[i] = step
        # Richardson: the error of the central difference is of fourth order.
        near = (value(one.weights, one.biases + move) - value(one.weights, one.biases - move)) / (2 * step)
        wide = (value(one.weights, one.biases + 2 * move) - value(one.weights, one.biases - 2 * move)) / (4 * step)
        assert found.biases[i] == pytest.approx((4 * near - wide) / 3, abs=1e-10)
        for j in range(5):
            move = np.zeros((5, 5))
            move[i, j] = step
            near = (value(one.weights + move, one.biases) - value(one.weights - move, one.biases)) / (2 * step)
            wide = (value(one.weights + 2 * move, one.biases) - value(one.weights - 2 * move, one.biases)) / (4 * step)
            assert found.weights[i, j] == pytest.approx((4 * near - wide) / 3, abs=1e-10)


def test_gradient_ascent_over_biases_reaches_what_a_fine_search_finds() -> None:
    """Three neurons of a core, exact flux over b."""
    weights = np.array([[0.0, 6.0, 3.0], [2.0, 0.0, 5.0], [4.0, 3.0, 0.0]])
    one = exact(weights, -1.0)
    reached = best_biases(one).flux()
    grid = np.arange(-8.0, 1.0)
    searched = max(exact(weights, np.array(b)).flux() for b in itertools.product(grid, repeat=3))
    assert searched - 1e-9 <= reached < searched + 0.05
    assert reached > one.flux()


def test_the_midpoint_is_a_fixed_point_of_the_gradient() -> None:
    for settings in ({}, {"states": "plus_minus", "sigma": 0.5}):
        one = network(5, seed=3, **settings)
        centred = exact(one.weights, midpoint_biases(one), **settings)
        gradient = value_and_gradient(centred, [Flux(), Flux((0, 1), (2, 3))])
        np.testing.assert_allclose(gradient.biases, 0, atol=1e-12)
        np.testing.assert_allclose(centred.mean, 0.5, atol=1e-12)


def test_single_neuron_theory() -> None:
    for weight, bias, sigma, t0 in [(4, -1, 0.0, 1), (20, -3, 2.0, 5), (-8, 3, 1.0, 1), (300, 30, 4, 5)]:
        theory = single_neuron(weight, bias, t0=t0, sigma=sigma)
        one = exact(np.array([[weight]]), np.array([bias]), t0=t0, sigma=sigma)
        assert theory.flux == pytest.approx(one.flux(), abs=1e-12)
        assert theory.entropy == pytest.approx(one.entropy(), abs=1e-12)
        assert theory.divergence == pytest.approx(one.divergence(), abs=1e-12)
        assert theory.mean == pytest.approx(one.mean[0], abs=1e-12)


def test_noise_resonance_only_where_the_coupling_saturates_the_neuron() -> None:
    noises = np.concatenate([[0.0], np.geomspace(0.1, 100, 30)])

    def curve(weight: float, bias: float) -> np.ndarray:
        return np.array([single_neuron(weight, bias, sigma=sigma).flux for sigma in noises])

    saturated, weak = curve(24, 2), curve(1.2, 0.2)
    assert 0 < int(saturated.argmax()) < len(noises) - 1 and saturated.max() > 5 * max(saturated[0], saturated[-1])
    assert int(weak.argmax()) == 0


def test_noise_helps_a_trapped_network_within_finite_time_but_not_in_its_stationary_law() -> None:
    """Four neurons in {-1, 1} with self-connections, 100 steps from a state that holds them."""
    weights = 8 * np.eye(4) + np.random.default_rng(0).normal(0, 0.3, (4, 4))

    def fluxes(sigma: float) -> tuple[float, float]:
        """Of the law averaged over 100 steps from one start, which is what a single run can show; and of the stationary one."""
        one = exact(weights, np.zeros(4), sigma=sigma, states="plus_minus")
        law, total = np.eye(16)[5], np.zeros(16)
        for _ in range(100):
            total, law = total + law / 100, law @ one.matrix
        return one.flux(law=total), one.flux()

    (quiet, quiet_law), (noisy, noisy_law) = fluxes(0.0), fluxes(2.0)
    assert noisy > quiet + 1
    assert noisy_law < quiet_law


def test_the_limits_are_told_before_anything_runs() -> None:
    with pytest.raises(SpecError) as error:
        exact(np.zeros((30, 30)), np.zeros(30))
    (one,) = error.value.diagnostics
    assert one.code == "CS932" and "2^30 states" in one.message and "9.2e+18 bytes" in one.message
    for weights, biases, code in [
        (np.zeros((3, 2)), 0.0, "CS501"),
        (np.zeros((3, 3)), np.zeros(2), "CS501"),
        (np.full((3, 3), np.nan), np.zeros(3), "CS806"),
    ]:
        with pytest.raises(SpecError, match=code):
            exact(weights, biases)
    with pytest.raises(ValueError, match="once"):
        exact(np.zeros((3, 3)), 0.0).flux((0, 0), (1, 2))
