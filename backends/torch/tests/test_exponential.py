"""The exponential of a matrix and its adjoint, which share the powers of the matrix, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from cortexspec_torch import Backend
from cortexspec_torch.emit import helpers
from scipy import linalg

from cortexspec.contracts.backend import Bound, Options
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Layout, Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import Axis, Size, Type
from cortexspec.passes.differentiate import differentiate

DRAW = np.random.default_rng(0)


def communicable(sd):
    """The exponent of communicability for lognormal weights."""
    weights = np.exp(sd * DRAW.normal(size=(60, 60)))
    scale = weights.sum(0) ** -0.5
    return scale[:, None] * weights * scale


MATRICES = {
    "zero": np.zeros((4, 4)),
    "tiny": 1e-9 * DRAW.normal(size=(5, 5)),
    "one number": np.array([[-3.0]]),
    "alike strengths": communicable(0.1),
    "unlike strengths": communicable(3.0),
    "norm 30": 2 * DRAW.normal(size=(60, 60)),
    "rotation": np.array([[0.0, 50.0], [-50.0, 0.0]]),
    "far from normal": np.triu(DRAW.normal(size=(20, 20)), 1),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 3e-6)])
def test_against_scipy(name, dtype, bound):
    a, flow = MATRICES[name], DRAW.normal(size=MATRICES[name].shape)
    found, kept = helpers.expm_kept(torch.tensor(a, dtype=dtype))
    adjoint = helpers.expm_adjoint(kept, torch.tensor(flow, dtype=dtype))
    change = linalg.expm_frechet(a.T, flow, compute_expm=False)
    for one, exact in ((found, linalg.expm(a)), (adjoint, change)):
        np.testing.assert_allclose(one.numpy(), exact, rtol=0, atol=bound * np.abs(exact).max())


@pytest.mark.parametrize("order", [("row", "column"), ("column", "row")])
def test_value_and_gradient_of_one_program_share_the_powers(order):
    rows, columns = Axis("row", Size.of(6)), Axis("column", Size.of(6))
    x, weight = Value("x", Type((rows, columns))), Value("weight", Type((rows, columns)))
    build = Builder(Names(["x", "weight"]))
    total = write.sum_(build, write.mul(build, write.expm(build, x, "row", "column"), weight), ["row", "column"])
    both = differentiate(build.function("f", [x, weight], [total], ["loss"]), ["x"])
    module = Module("expm", functions={both.name: both}, layout=Layout(order))
    simulator = Backend().load(Bound(module, {}, {}, {}), Options(dtype="float64"))
    body = simulator.program.split(f"def {both.name}(")[1]
    assert body.count("expm_kept(") == 1 and "expm_frechet(" not in body, body
    a, g = DRAW.normal(size=(6, 6)), DRAW.normal(size=(6, 6))
    given = {"x": a, "weight": g} if order[0] == "row" else {"x": a.T, "weight": g.T}
    found = simulator.call(both.name, given)
    exact = linalg.expm_frechet(a.T, g, compute_expm=False)
    slope = found["grad:x"] if order[0] == "row" else found["grad:x"].T
    np.testing.assert_allclose(slope, exact, atol=1e-13 * np.abs(exact).max(), rtol=0)
    np.testing.assert_allclose(found["loss"], np.sum(linalg.expm(a) * g), rtol=1e-13)
