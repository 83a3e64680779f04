"""Neurons with a small network of their own: parameters with own axes, matrix products, axes made of template arguments."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import Case
from cortexspec.testing.parity import check
from cortexspec.testing.settings import DEFAULTS

TEXT = """
neuron unit(d_m: int = 3, d_mlp: int = 2*d_m, d_tree: int = 4, smooth: bool = false, τ_min: real = 0.5, τ_max: real = 20) {
  param τ[d_m] = logspace(τ_min, τ_max, d_m)  per neuron trainable in interval(τ_min/10, τ_max*sqrt(10), by = sigmoid)
  param W1[d_mlp, d_tree + d_m]  per neuron trainable ~ fan_in()
  param c1[d_mlp]  per neuron trainable ~ fan_in(d_tree + d_m)
  param W2[d_m, d_mlp]  per neuron trainable ~ fan_in()
  param W_y[d_m]  per neuron trainable ~ fan_in()
  param τ_r = 3  trainable in positive(by = exp)
  input s[d_tree]
  state m[d_m] = 0, r = 0
  let κ = exp(-dt/τ), κ_r = exp(-dt/τ_r)
  let inner = W1 @ cat(s, κ*m) + c1
  let memory = κ*m + (1 - κ)*1.7159*tanh(2/3*(W2 @ where(smooth, silu(inner), relu(inner)^2)))
  let z = dot(W_y, memory)
  let mean_z = κ_r*r + (1 - κ_r)*z
  m <- memory
  r <- mean_z
  output a = relu(z - mean_z)
  output y = dot(W_y, m)
}

circuit net(N: int = 4) {
  input x[4]
  population p[N] : unit
  population q[2] : unit(smooth = true)
  connect x -> p.s { weight ~ normal(0, 1) trainable }
  connect x -> q.s { weight ~ normal(0, 1) }
  output y = p.y
  output z = q.y
}
"""
CASE = Case("network in a neuron", TEXT, "net", solver="steps", steps=25, gradient_steps=6, trials=2, streams=("x",))


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_values_and_gradients_agree(backend: str) -> None:
    pytest.importorskip("numpy" if backend == "interpreter" else backend)
    found = [row for setting in DEFAULTS[:1] for row in check(load_backend(backend), CASE, setting)]
    assert found and all(row.verdict == "holds" for row in found), found


TRACES = """
neuron traces(d_tree: int = 3, d_brch: int = 2, d_m: int = 2) {
  param w[d_tree, d_brch] = 0.5  per neuron trainable
  param W[d_m, d_tree + d_m], c[d_m]  per neuron trainable ~ fan_in()
  input x[d_tree, d_brch]
  state s[d_tree, d_brch] = 0, m[d_m] = 0
  let trace = exp(-dt/5)*s + relu(w)*x
  s <- trace
  m <- 0.9*m + tanh(W @ cat(sum(trace, over = d_brch), m) + c)
  output y = sum(m)
}

circuit net {
  input u[4]
  population p[2] : traces
  connect u -> p.x { rule = fixed_indegree(1, multapses = true) }
  output y = p.y
}
"""


def test_a_sum_over_one_of_two_own_axes_is_the_same_with_all_passes() -> None:
    x = np.random.default_rng(0).normal(size=(2, 7, 4))
    runs = [cs.compile(cs.parse(TRACES), "net", dt=1, dtype="float64", pipeline=p, streams=["u"]) for p in (None, ())]
    found = [one.simulate({"u": x}, record=["p.m", "p.s"]) for one in runs]
    for name in ("p.m", "p.s"):
        np.testing.assert_allclose(found[0][name].values, found[1][name].values, atol=1e-13)


def test_each_neuron_has_matrices_of_its_own() -> None:
    simulation = cs.compile(cs.parse(TEXT), "net", dt=1)
    shapes = {name: array.shape for name, array in simulation.parameters().items()}
    assert shapes["p.W1"] == (4, 6, 7) and shapes["p.τ"] == (4, 3)
    assert shapes["x_to_p.weight"] == (4, 4, 4)
    np.testing.assert_allclose(simulation.parameters()["p.τ"][2], [0.5, 10**0.5, 20])
    assert np.abs(simulation.parameters()["p.c1"]).max() <= 7**-0.5
