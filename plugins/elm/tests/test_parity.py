"""Each neuron on the frameworks: states within 1e-12 of the interpreter's, gradients within 1e-10, in float64."""

import pytest

from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import Case
from cortexspec.testing.parity import check
from cortexspec.testing.settings import DEFAULTS

ROUTED = """
use elm

circuit one {{
  input x[6]
  population p[2] : {neuron}
  connect x -> p.x {{ rule = windows(interlaced = true) }}
  output y = p.y
}}
"""
DRAWN = """
use elm

circuit one {{
  input x[6]
  population p[2] : {neuron}
  connect x -> p.s {{ rule = fixed_indegree(3, multapses = true); weight ~ normal(0, 0.5) trainable }}
  output y = p.{output}
}}
"""
NEURONS = {
    "elm_v1": ROUTED.format(neuron="elm_v1(d_tree = 3, d_brch = 3, d_m = 2)"),
    "elm_v2": ROUTED.format(neuron="elm_v2(d_tree = 3, d_brch = 3, d_m = 2, d_o = 2)"),
    "elm_neuronio": ROUTED.format(neuron="elm_neuronio(d_tree = 3, d_brch = 3, d_m = 2)"),
    "elm": DRAWN.format(neuron="elm(d_m = 2, d_tree = 4)", output="a"),
    "elm_readout": DRAWN.format(neuron="elm_readout(d_tree = 4)", output="y"),
}


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_values_and_gradients_are_the_interpreters(neuron: str, backend: str) -> None:
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    case = Case(
        f"the neuron {neuron}",
        NEURONS[neuron],
        "one",
        solver="steps",
        steps=12,
        gradient_steps=5,
        trials=2,
        streams=("x",),
    )
    found = list(check(load_backend(backend), case, DEFAULTS[0]))
    assert {row.quantity for row in found} == {"values", "gradients"}, found
    assert all(row.verdict == "holds" for row in found), found
