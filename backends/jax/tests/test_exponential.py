"""The exponential of a matrix and its derivative, which share the powers of the matrix, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
from cortexspec_jax.emit import helpers
from scipy import linalg

DRAW = np.random.default_rng(0)
MATRICES = {
    "zero": np.zeros((4, 4)),
    "alike strengths": DRAW.uniform(0.9, 1.1, (40, 40)) / 40,
    "norm 30": 2 * DRAW.normal(size=(60, 60)),
    "rotation": np.array([[0.0, 50.0], [-50.0, 0.0]]),
    "far from normal": np.triu(DRAW.normal(size=(20, 20)), 1),
}


@pytest.mark.parametrize("name", MATRICES)
def test_against_scipy(name):
    a, flow = MATRICES[name], DRAW.normal(size=MATRICES[name].shape)
    with jax.enable_x64(True):
        found, pull = jax.vjp(helpers.expm, a)
        (adjoint,) = pull(flow)
    change = linalg.expm_frechet(a.T, flow, compute_expm=False)
    for one, exact in ((found, linalg.expm(a)), (adjoint, change)):
        np.testing.assert_allclose(one, exact, rtol=0, atol=1e-13 * np.abs(exact).max())
