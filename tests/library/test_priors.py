"""Functions for priors on weights, each against its definition in NumPy and SciPy."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import wasserstein_distance

import cortexspec
from cortexspec.ir.op import Array

N = 12


def values(lets: str, names: str, seed: int = 0, **arguments: Any) -> list[Array]:
    """Definitions of a circuit with a matrix M and its positive A, read as buffers."""
    spec = cortexspec.parse(f"""
neuron unit {{
  input u
  state h = 0
  h <- u
  output h
}}

circuit c(n: int = {N}) {{
  population cells[n] : unit
  let M[cells, cells] ~ normal(0, 1)
  let A = abs(M)
{lets}
  connect cells -> cells {{ weight = M }}
}}
""")
    simulation = cortexspec.compile(spec, arguments=arguments, dt=1, duration=1, dtype="float64", seed=seed)
    found = simulation.buffers()
    return [np.asarray(found[name]) for name in names.split()]


def test_a_grid_of_places_is_that_of_the_paper() -> None:
    """Shakiba et al. 2026: (12, 13, 2) for 312 units, mean distance 6.6, the farthest 16.3."""
    (D,) = values("  let D[cells, cells] = distance(grid_of(n))", "D", n=312)
    sides = [np.arange(size) for size in (12, 13, 2)]
    places = np.stack([one.ravel() for one in np.meshgrid(*sides)], -1).astype(float)
    np.testing.assert_allclose(D, np.linalg.norm(places[:, None] - places, axis=-1))
    assert (round(D.mean(), 1), round(D.max(), 1)) == (6.6, 16.3)


def test_a_grid_may_have_other_sides() -> None:
    (D,) = values("  let D[cells, cells] = distance(grid_of([2, 2, 3]))", "D")
    assert D[0, 1] == 1 and D.max() == pytest.approx(np.sqrt(1 + 1 + 4))


def test_a_spectral_radius_is_set() -> None:
    M, R = values("  let R = spectral_radius(M, 0.95)", "M R")
    np.testing.assert_allclose(R, M * 0.95 / np.abs(np.linalg.eigvals(M)).max())


def test_a_matrix_is_relabelled_by_a_permutation() -> None:
    M, order, P = values("  let order[cells] ~ permutation()\n  let P = M[order, order]", "M order P")
    places = order.astype(int)
    assert sorted(places) == list(range(N))
    np.testing.assert_array_equal(P, M[places][:, places])


def test_entries_are_redrawn_and_shuffled_on_their_support() -> None:
    lets = "  let S = where(M > 0.3, M, 0)\n  let R = redrawn(S)\n  let K = reshape(shuffled(flatten(M)), [n, n])"
    M, S, R, K = values(lets, "M S R K")
    np.testing.assert_array_equal(R != 0, S != 0)
    assert set(R[R != 0]) <= set(S[S != 0]) and not np.array_equal(R, S)
    assert len(set(R[R != 0])) < (S != 0).sum()
    np.testing.assert_array_equal(np.sort(K.ravel()), np.sort(M.ravel()))
    (again,) = values(lets, "R", seed=1)
    assert not np.array_equal(again, R)


def test_masks_of_the_diagonal() -> None:
    M, E, F = values("  let E = diagonal(M) + 0\n  let F = off_diagonal(M) + 0", "M E F", seed=3)
    np.testing.assert_array_equal(E, np.diag(np.diag(M)))
    np.testing.assert_array_equal(F, M - np.diag(np.diag(M)))


def communicability(A: Array, offset: float = 0, floor: float = 0) -> Array:
    """[target, source]; the strength of a node is what leaves it."""
    S = A.sum(0) + offset
    S = np.where(S == 0, floor, S)
    scale = np.where(S > 0, S, np.inf) ** -0.5
    C = expm(A * scale * scale[:, None])
    return C - np.diag(np.diag(C))


@pytest.mark.parametrize(
    ("settings", "given"), [("", {}), (", floor = 1e-10", {"floor": 1e-10}), (", offset = 0.5", {"offset": 0.5})]
)
def test_communicability(settings: str, given: dict[str, float]) -> None:
    S, C = values(f"  let S = where(M > 1.2, M, 0)\n  let C = communicability(S{settings})", "S C")
    assert (S.sum(0) == 0).any(), "a node that nothing leaves"
    wanted = communicability(S, **given)
    np.testing.assert_allclose(C, wanted, rtol=1e-9, atol=1e-9 * wanted.max())


@pytest.mark.parametrize("other", ["M", "M[0..3, 0..4]"])
def test_wasserstein(other: str) -> None:
    lets = f"  let K = 0.5*M + 1\n  let P = {other} + 0\n  let d = wasserstein(K, P)"
    K, P, d = values(lets, "K P d")
    assert d == pytest.approx(wasserstein_distance(K.ravel(), P.ravel()), rel=1e-12)
