"""Constraints that hold a pattern while weights train: after 500 steps of Adam no sign has changed and no connection is new."""

import numpy as np
import pytest

import cortexspec
from cortexspec.contracts.backend import Recipe
from cortexspec.expressions.parse import parse_expression
from cortexspec.ir.op import Array
from cortexspec.lowering.readout import Readout
from cortexspec.runtime.compile import Wanted
from cortexspec.runtime.given import read_inputs

SPEC = """
neuron unit {
  input u
  state h = 1
  h <- tanh(u)
  output h
}

circuit c(n: int = 8) {
  population a[n] : unit
  let M[a, a] ~ normal(0, 1)
  let pattern = where(abs(M) > 0.7, M, 0)
  connect rec: a -> a { weight = pattern trainable CONSTRAINT }
  let towards[a, a] ~ normal(0, 3)
  penalty distance = sum((rec.weight - towards)^2)
}
"""
ENGINES = ("interpreter", "torch", "jax")


def trained(constraint: str, backend: str, steps: int) -> tuple[Array, Array, Array]:
    """The weights at the start, after the steps, and what they are drawn to."""
    pytest.importorskip({"torch": "torch.nn"}.get(backend, "numpy" if backend == "interpreter" else backend))
    spec = cortexspec.parse(SPEC.replace("CONSTRAINT", constraint))
    simulation = cortexspec.compile(spec, dt=1, duration=1, backend=backend, dtype="float64", seed=4)
    before = np.array(simulation.parameters()["rec.weight"])
    readout = Readout("loss", {"loss": parse_expression("distance")})
    wanted = Wanted(readouts=(readout,), trained=("loss",), rollout=False)
    loaded = simulation.load(wanted, 1, wrt={"loss": ("rec.weight",)})
    trainer = loaded.simulator.trainer(Recipe(options={"lr": 0.05}))
    given = simulation.arguments(loaded, "loss", read_inputs(simulation.model, simulation.plain, {}, 1), 0, 0)
    for _ in range(steps):
        trainer.step(given)
    raw = loaded.simulator.parameters()["rec.weight"]
    order = loaded.module.layout.sort(simulation.value_of("rec.weight").type.names)
    places = [order.index(name) for name in simulation.model.variables["rec.weight"].axes_written]
    return before, np.asarray(raw).transpose(places), np.asarray(simulation.buffers()["towards"])


@pytest.mark.parametrize("backend", ENGINES)
def test_no_sign_changes_and_no_connection_is_made(backend: str) -> None:
    before, after, towards = trained("in signs_of(pattern)", backend, 500)
    assert (before * towards < 0).any(), "some are drawn across 0"
    assert (before * after < 0).sum() == 0
    assert (after[before == 0] != 0).sum() == 0
    free = before * towards > 0
    np.testing.assert_allclose(after[free], towards[free], atol=0.02)
    np.testing.assert_array_equal(after[before * towards < 0], 0)


@pytest.mark.parametrize("backend", ENGINES)
def test_the_support_alone_is_held(backend: str) -> None:
    before, after, towards = trained("in support_of(pattern)", backend, 500)
    assert (after[before == 0] != 0).sum() == 0
    np.testing.assert_allclose(after[before != 0], towards[before != 0], atol=0.02)


def test_a_pattern_has_one_value_for_each_connection() -> None:
    spec = cortexspec.parse(SPEC.replace("CONSTRAINT", "in signs_of(1)"))
    with pytest.raises(cortexspec.SpecError) as caught:
        cortexspec.compile(spec, dt=1, duration=1)
    assert caught.value.diagnostics[0].code == "CS501"
