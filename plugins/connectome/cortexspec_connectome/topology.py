"""Topology of a weight matrix: weight entropy, modularity, small-worldness, assortativity, and the graph of the largest weights.

A graph is a matrix: an edge joins two units where the entry of either direction is not zero; entries of the diagonal are no edges.
Source: Shakiba, Rokni, Mohammadi and Dehghani 2026, arXiv 2606.14975, as their released code computes it, unless a line says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.statistic import StatisticEntry, Undefined
from cortexspec.diagnostics import Diagnostic, SpecError

Array = np.ndarray[Any, Any]
Settings = Mapping[str, Any]

NULLS = ("released", "matched")
# The share of pairs of uniform numbers with a mean above 0.7, by which the released code joins two units. Its null graphs keep
# self-loops besides, which change neither clustering nor efficiency.
_RELEASED_DENSITY = 0.18


def top_share(weights: Array, share: float) -> Array:
    """1 where an entry is above the quantile `1 - share` of all entries, the diagonal among them, else 0."""
    if not 0 < share <= 1:
        raise SpecError([Diagnostic("CS505", f"the share of `top_share` lies above 0 and is at most 1, not {share}")])
    return (weights > np.quantile(weights, 1 - share)).astype(float)


def weight_entropy(weights: Array, points: int = 100) -> float:
    """Entropy in bit of the distribution of all entries, with their signs: a Gaussian kernel density (Scott's bandwidth) on
    `points` places from the smallest to the largest, normalised to sum 1. At most log2(points); one outlier lowers it strongly.

    Raises: Undefined where all entries are equal.
    """
    from scipy.stats import gaussian_kde

    values = np.ravel(weights).astype(float)
    low, high = values.min(), values.max()
    if not high > low:
        raise Undefined("all weights are equal")
    # The shares do not change with the scale of values; numbers near 1 keep the covariance from underflow.
    scaled = (values - low) / (high - low)
    p = gaussian_kde(scaled, bw_method="scott")(np.linspace(0, 1, points))
    p = p / p.sum()
    return float(-np.sum(p[p > 0] * np.log2(p[p > 0])))


def undirected(matrix: Array) -> Array:
    """The graph of a matrix [unit, unit] as truth values, symmetric, without self-loops."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " x ".join(map(str, matrix.shape))
        raise SpecError([Diagnostic("CS501", f"a graph needs a square matrix, this is {shape}")])
    edges = matrix != 0
    edges = edges | edges.T
    np.fill_diagonal(edges, False)
    return edges


def modularity(edges: Array) -> float:
    """Q = sum_ij (A_ij - k_i k_j/2m) [c_i = c_j]/2m of the partition that greedy merging finds (Clauset, Newman and Moore 2004,
    doi:10.1103/PhysRevE.70.066111). Raises: Undefined for a graph without edges."""
    import networkx

    _require_edges(edges)
    graph = networkx.from_numpy_array(edges)
    parts = networkx.community.greedy_modularity_communities(graph)
    return float(networkx.community.modularity(graph, parts))


def assortativity(edges: Array) -> float:
    """Pearson's correlation of the degrees at both ends of an edge, each edge taken in both directions (Newman 2003,
    doi:10.1103/PhysRevE.67.026126). Raises: Undefined where no edge is, or all ends have one degree."""
    _require_edges(edges)
    degrees = edges.sum(axis=1)
    first, second = np.nonzero(edges)
    x, y = degrees[first].astype(float), degrees[second].astype(float)
    if x.min() == x.max():
        raise Undefined("all units with an edge have the same number of them")
    return float(np.corrcoef(x, y)[0, 1])


def clustering_and_efficiency(graphs: Array) -> tuple[Array, Array]:
    """Mean clustering coefficient and global efficiency of graphs [graph, unit, unit] (Watts and Strogatz 1998; Latora and Marchiori
    2001, doi:10.1103/PhysRevLett.87.198701): one number a graph each."""
    n = graphs.shape[-1]
    edges = graphs.astype(np.float32)
    degrees = edges.sum(axis=-1)
    two_steps = edges @ edges
    triangles = (two_steps * edges).sum(axis=-1)
    pairs = degrees * (degrees - 1)
    clustering = np.where(pairs > 0, triangles / np.maximum(pairs, 1), 0).mean(axis=-1)
    reached = graphs | np.eye(n, dtype=bool)
    total = degrees.sum(axis=-1).astype(float)
    for distance in range(2, n):
        grown = (reached.astype(np.float32) @ edges > 0) | reached
        new = (grown ^ reached).sum(axis=(-2, -1))
        if not new.any():
            break
        total += new / distance
        reached = grown
    return clustering.astype(float), total / max(n * (n - 1), 1)


def small_worldness(edges: Array, null: str = "released", graphs: int = 1000, seed: int = 0) -> float:
    """sigma = (Cl/Cl_null)/(E_null/E): mean clustering Cl and global efficiency E, which stands for one over the path length, each
    over its mean in `graphs` random graphs.

    `null = "released"`: two units are joined where the mean of two uniform numbers is above 0.7, so with density 0.18 whatever the
    graph has. `null = "matched"`: as many edges as the graph has, all placements equally likely. The second is our choice.
    Raises: Undefined for a graph without edges, or whose null graphs have no triangle.
    """
    _require_edges(edges)
    if null not in NULLS:
        help = f"there are {', '.join(NULLS)}"
        raise SpecError([Diagnostic("CS306", f"`small_worldness` has no null graphs `{null}`", help=help)])
    if not (isinstance(graphs, int) and graphs >= 1):
        raise SpecError([Diagnostic("CS505", f"the number of null graphs is a whole number, at least 1, not {graphs}")])
    joined = int(edges.sum()) // 2 if null == "matched" else None
    clustering_of_null, efficiency_of_null = _null_means(len(edges), joined, graphs, int(seed))
    (clustering,), (efficiency,) = clustering_and_efficiency(edges[np.newaxis])
    if clustering_of_null == 0 or efficiency_of_null == 0:
        raise Undefined("the random graphs that it is compared with have no triangle")
    return float(clustering / clustering_of_null * (efficiency / efficiency_of_null))


@lru_cache(maxsize=64)
def _null_means(n: int, edges: int | None, graphs: int, seed: int) -> tuple[float, float]:
    """Mean clustering and efficiency of random graphs, which do not depend on the graph beside its size and number of edges."""
    at_once = max(1, min(graphs, 4_000_000 // (n * n)))
    sums = np.zeros(2)
    draw = np.random.Generator(np.random.Philox(key=seed))
    for first in range(0, graphs, at_once):
        made = _nulls(n, edges, min(at_once, graphs - first), draw)
        sums += [one.sum() for one in clustering_and_efficiency(made)]
    return float(sums[0] / graphs), float(sums[1] / graphs)


def _nulls(n: int, edges: int | None, count: int, draw: np.random.Generator) -> Array:
    """Random graphs [graph, unit, unit], each pair of units apart from the others, or with so many edges."""
    rows, columns = np.triu_indices(n, 1)
    numbers = draw.random((count, len(rows)), np.float32)
    if edges is None:
        joined = numbers < _RELEASED_DENSITY
    else:
        joined = np.zeros(numbers.shape, bool)
        np.put_along_axis(joined, np.argpartition(numbers, edges - 1, axis=1)[:, :edges], True, axis=1)
    made = np.zeros((count, n, n), bool)
    made[:, rows, columns] = joined
    return made | made.swapaxes(1, 2)


def _require_edges(edges: Array) -> None:
    if not edges.any():
        raise Undefined("the graph has no edge")


def _of_graph(compute: Callable[..., float], arrays: Sequence[Array], settings: Settings) -> float:
    return compute(undirected(arrays[0]), **settings)


def _of_weights(compute: Callable[..., Any], arrays: Sequence[Array], settings: Settings) -> Any:
    return compute(arrays[0], **settings)


STATISTICS = (
    StatisticEntry(
        "top_share",
        partial(_of_weights, top_share),
        settings=MappingProxyType({"share": 0.1}),
        static=("share",),
        axes=None,
        like=True,
        scale_free=True,
        doc="1 where an entry is among the largest share of all, else 0",
    ),
    StatisticEntry(
        "entropy_of",
        partial(_of_weights, weight_entropy),
        settings=MappingProxyType({"points": 100}),
        axes=None,
        scale_free=True,
        doc="the entropy of the distribution of weights, in bit",
    ),
    StatisticEntry(
        "modularity",
        partial(_of_graph, modularity),
        scale_free=True,
        doc="Q of the partition that greedy merging finds",
    ),
    StatisticEntry(
        "small_worldness",
        partial(_of_graph, small_worldness),
        settings=MappingProxyType({"null": "released", "graphs": 1000}),
        scale_free=True,
        draws=True,
        doc="clustering and efficiency over those of random graphs",
    ),
    StatisticEntry(
        "assortativity",
        partial(_of_graph, assortativity),
        scale_free=True,
        doc="the correlation of degrees at both ends of an edge",
    ),
)

__all__ = ["STATISTICS"]
