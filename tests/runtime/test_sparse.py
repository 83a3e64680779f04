"""Projections that are summed from a table of what each target has, against the matrix."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime import sparse

TEXT = """
neuron unit {
  input u = 0
  state x ~ bernoulli(0.5)
  x <- bernoulli(sigmoid(u))
  output x
}

circuit net(n: int = 300) {
  param w = 0.4
  population a[n] : unit
  population b[n] : unit
  group all = [a, b]
  connect inner: all -> a { rule = fixed_indegree(20, multapses = true); weight ~ normal(0, 0.5) }
  connect back: a -> b { rule = bernoulli(0.05); weight = -w }
  connect few: b -> b { rule = bernoulli(0.9); weight ~ normal(0, 0.1) }
}
"""
RECORD = ["a.x", "b.x", "inner.arriving"]


def compiled(backend: str = "interpreter", **settings: Any) -> cs.Simulation:
    return cs.compile(cs.parse(TEXT), "net", backend=backend, dt=1, dtype="float64", **settings)


def run(simulation: cs.Simulation) -> dict[str, Any]:
    found = simulation.simulate(duration=30, trials=3, record=RECORD)
    return {name: found[name].values for name in RECORD}


def test_only_what_is_sparse_has_a_table() -> None:
    found = sparse.tables(compiled().model, *_wired(compiled()))
    assert set(found) == {"inner", "back"}
    assert found["inner"].slots == 24  # twenty connections a target, in whole loads of eight


def _wired(simulation: cs.Simulation) -> tuple[Any, Any]:
    return simulation.sizes, simulation.buffers()


def test_each_connection_has_a_place_of_its_own_in_the_column_of_its_target() -> None:
    simulation = compiled()
    for path, table in sparse.tables(simulation.model, *_wired(simulation)).items():
        post = simulation.buffers()[f"{path}.post"]
        assert len(np.unique(table.places)) == len(post)
        assert (table.places % 300 == post).all()
        assert table.places.max() < table.slots * 300


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_a_table_gives_what_the_matrix_gives(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy" if backend == "interpreter" else backend)
    simulation = compiled(backend)
    table = run(simulation)
    monkeypatch.setattr(sparse, "DENSEST", 0.0)
    matrix = run(compiled("interpreter"))
    for name in ("a.x", "b.x"):
        np.testing.assert_array_equal(table[name], matrix[name])
    np.testing.assert_allclose(table["inner.arriving"], matrix["inner.arriving"], atol=1e-12)


def test_other_wiring_has_other_tables() -> None:
    one, other = compiled(seed=1), compiled(seed=2, wiring=1)
    before = run(other)
    changed = compiled(seed=2, wiring=3)
    changed.simulate(duration=1, record=["a.x"])
    changed.rewire(other.buffers())
    changed.set_buffers(other.buffers())
    changed.set_raw_parameters(other.raw_parameters())
    after = run(changed)
    np.testing.assert_array_equal(after["a.x"], before["a.x"])
    assert one.identity == other.identity


def _has_a_table(simulation: cs.Simulation) -> set[str]:
    loaded = next(iter(simulation._loaded.values()))
    return {buffer.value.name for buffer in loaded.module.buffers if buffer.source == "slots"}


def test_what_is_trained_has_a_table_where_few_pairs_are_connected() -> None:
    text = TEXT.replace("param w = 0.4", "param w = 0.4 trainable")
    simulation = cs.compile(cs.parse(text), "net", dt=1)
    simulation.simulate(duration=1, record=["a.x"])
    assert _has_a_table(simulation) == {"inner.slot"}  # 24 of 600 places; `back` has one in ten


TRAINED = """
neuron unit {
  input u = 0
  state x ~ normal(0, 1)
  x <- tanh(u)
  output x
}

circuit net(n: int = 220) {
  input s[n]
  population a[n] : unit
  group all = [s, a.x]
  connect wires: all -> a { rule = fixed_indegree(7, multapses = true); weight ~ normal(0, 0.5) trainable }
  connect same: s -> a { rule = fixed_indegree(3); weight = 0.2 }
  output y = a.x
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_gradients_by_weights_and_sources_are_those_of_the_matrix(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numpy" if backend == "interpreter" else backend)
    inputs = {"s": np.random.default_rng(0).normal(size=(2, 2, 220))}

    def gradients(engine: str) -> tuple[cs.Simulation, float, Any]:
        simulation = cs.compile(cs.parse(TRAINED), "net", backend=engine, dt=1, dtype="float64", streams=["s"])
        return simulation, *simulation.value_and_grad("mean(y^2)", inputs)

    simulation, loss, found = gradients(backend)
    assert _has_a_table(simulation) == {"wires.slot", "same.slot"}
    monkeypatch.setattr(sparse, "DENSEST_TRAINED", 0.0)
    plain, wanted_loss, wanted = gradients("interpreter")
    assert not _has_a_table(plain)
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    largest = np.abs(wanted["wires.weight"]).max()
    np.testing.assert_allclose(found["wires.weight"], wanted["wires.weight"], atol=1e-10 * largest)
