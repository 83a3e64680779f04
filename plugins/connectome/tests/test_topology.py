"""Topology by hand, against networkx, and where it is undefined."""

import networkx
import numpy as np
import pytest
from cortexspec_connectome import topology
from cortexspec_connectome.topology import (
    assortativity,
    clustering_and_efficiency,
    modularity,
    small_worldness,
    top_share,
    undirected,
    weight_entropy,
)
from scipy.stats import gaussian_kde

from cortexspec.contracts.statistic import Undefined
from cortexspec.diagnostics import SpecError


def graph(n: int, *edges: tuple[int, int]) -> np.ndarray:
    made = np.zeros((n, n))
    for one, other in edges:
        made[one, other] = 1
    return undirected(made)


TWO_TRIANGLES = graph(6, (0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3))
STAR = graph(5, (0, 1), (0, 2), (0, 3), (0, 4))


def drawn(n: int, density: float, seed: int = 0) -> np.ndarray:
    return undirected((np.random.default_rng(seed).random((n, n)) < density).astype(float))


def test_the_largest_tenth_of_all_entries_with_the_diagonal_among_them() -> None:
    weights = np.arange(100.0).reshape(10, 10)
    assert top_share(weights, 0.1).sum() == 10 and np.flatnonzero(top_share(weights, 0.1))[0] == 90
    weights[:] = 1
    assert not top_share(weights, 0.1).any()  # strictly above the quantile


def test_the_graph_has_an_edge_where_either_direction_has_and_no_self_loops() -> None:
    edges = undirected(np.array([[1, 0, 0], [-2, 0, 0], [0, 0, 3.0]]))
    assert edges.tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_modularity_of_two_joined_triangles_by_hand() -> None:
    """7 edges, 3 inside each part, degrees 2 2 3: Q = 2 (3/7 - (7/14)^2)."""
    assert modularity(TWO_TRIANGLES) == pytest.approx(6 / 7 - 1 / 2)


def test_assortativity_of_a_star_is_minus_one_and_agrees_with_networkx() -> None:
    assert assortativity(STAR) == pytest.approx(-1)
    edges = drawn(40, 0.1)
    expected = networkx.degree_assortativity_coefficient(networkx.from_numpy_array(edges))
    assert assortativity(edges) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("edges", [TWO_TRIANGLES, STAR, drawn(30, 0.05), drawn(30, 0.3, 1), graph(4, (0, 1))])
def test_clustering_and_efficiency_are_those_of_networkx(edges: np.ndarray) -> None:
    (clustering,), (efficiency,) = clustering_and_efficiency(edges[np.newaxis])
    known = networkx.from_numpy_array(edges)
    assert clustering == pytest.approx(networkx.average_clustering(known), abs=1e-6)
    assert efficiency == pytest.approx(networkx.global_efficiency(known), abs=1e-12)


def test_self_loops_of_the_released_null_graphs_change_nothing() -> None:
    known = networkx.from_numpy_array(drawn(20, 0.2))
    with_loops = networkx.Graph(known)
    with_loops.add_edges_from((k, k) for k in range(0, 20, 3))
    assert networkx.average_clustering(with_loops) == networkx.average_clustering(known)
    assert networkx.global_efficiency(with_loops) == networkx.global_efficiency(known)


def test_null_graphs_are_as_dense_as_they_should_be() -> None:
    pairs = 30 * 29 / 2
    numbers = np.random.default_rng(0).random((2000, 2)).mean(axis=1)
    assert np.mean(numbers > 0.7) == pytest.approx(0.18, abs=0.03)
    released = topology._nulls(30, None, 200, np.random.default_rng(1))
    assert released.sum(axis=(1, 2)).mean() / 2 / pairs == pytest.approx(0.18, abs=0.005)
    matched = topology._nulls(30, 57, 50, np.random.default_rng(1))
    assert set(matched.sum(axis=(1, 2)).tolist()) == {114}
    for made in (released, matched):
        assert np.array_equal(made, made.swapaxes(1, 2)) and not made[:, range(30), range(30)].any()


def test_small_worldness_by_networkx() -> None:
    """Of a ring lattice; the null graphs are those that the function draws."""
    ring = networkx.to_numpy_array(networkx.watts_strogatz_graph(40, 6, 0.05, seed=1)) > 0
    nulls = topology._nulls(40, 120, 50, np.random.Generator(np.random.Philox(key=3)))
    graphs = [networkx.from_numpy_array(one) for one in nulls]
    null_clustering = np.mean([networkx.average_clustering(one) for one in graphs])
    null_efficiency = np.mean([networkx.global_efficiency(one) for one in graphs])
    known = networkx.from_numpy_array(ring)
    expected = (networkx.average_clustering(known) / null_clustering) / (
        null_efficiency / networkx.global_efficiency(known)
    )
    found = small_worldness(ring, "matched", graphs=50, seed=3)
    assert found == pytest.approx(expected, rel=1e-5) and found > 2


def test_a_random_graph_is_no_small_world() -> None:
    edges = topology._nulls(70, None, 1, np.random.default_rng(5))[0]
    assert small_worldness(edges, graphs=200) == pytest.approx(1, abs=0.1)
    assert small_worldness(drawn(100, 0.15), "matched", graphs=100) == pytest.approx(1, abs=0.1)
    assert small_worldness(edges, graphs=20, seed=1) == small_worldness(edges, graphs=20, seed=1)


def test_weight_entropy_is_that_of_the_kernel_density() -> None:
    weights = np.random.default_rng(0).normal(0, 0.1, (30, 30))
    values = weights.ravel()
    p = gaussian_kde(values)(np.linspace(values.min(), values.max(), 100))
    p /= p.sum()
    assert weight_entropy(weights) == pytest.approx(-np.sum(p * np.log2(p)), abs=1e-9)
    assert 5 < weight_entropy(weights) < np.log2(100)
    before, weights[0, 0] = weight_entropy(weights), 50  # one outlier
    assert weight_entropy(weights) < before / 2
    assert weight_entropy(weights * 1e-12) == pytest.approx(weight_entropy(weights), abs=1e-6)


@pytest.mark.parametrize(
    ("compute", "why"),
    [
        (lambda: weight_entropy(np.ones((3, 3))), "equal"),
        (lambda: modularity(graph(4)), "no edge"),
        (lambda: assortativity(graph(4)), "no edge"),
        (lambda: assortativity(graph(4, (0, 1), (2, 3))), "same number"),
        (lambda: small_worldness(graph(4), graphs=2), "no edge"),
        (lambda: small_worldness(graph(4, (0, 1)), "matched", graphs=2), "no triangle"),
    ],
)
def test_what_is_undefined_says_why(compute, why: str) -> None:
    with pytest.raises(Undefined, match=why):
        compute()


@pytest.mark.parametrize(
    ("compute", "code"),
    [
        (lambda: undirected(np.zeros((3, 4))), "CS501"),
        (lambda: small_worldness(STAR, "best"), "CS306"),
        (lambda: small_worldness(STAR, graphs=0), "CS505"),
        (lambda: top_share(np.ones((2, 2)), 1.5), "CS505"),
    ],
)
def test_wrong_use_is_told(compute, code: str) -> None:
    with pytest.raises(SpecError, match=code):
        compute()
