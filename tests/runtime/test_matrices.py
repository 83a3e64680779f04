"""Measures that are matrices of the circuit: kept whole, [target, source], as they are after training."""

from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.expressions.parse import parse_expression
from cortexspec.runtime.statistics import that_are_matrices

TEXT = """neuron unit {
  input u
  state h = 0
  h <- 0.5*h + u
  output h
}

circuit ring(n: int = 4) {
  population a[n] : unit
  let D[a, a] = distance(grid_of(n))
  let moving[a, a] = a.h*transpose(D)
  connect rec: a -> a { weight = 0.1*D trainable }
}

experiment whole of ring {
  simulate { duration = 3; dt = 1 }
  let W = rec.weight
  measure weights = rec.weight
  measure named = W
  measure far = D
  measure mean_weight = mean(rec.weight)
  measure of_each = sum(rec.weight, over = source)
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.cortex"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_matrix_is_kept_whole(file: Path) -> None:
    session = Session.open(Choice(file, "interpreter", "float64"), CellKey("whole", "base", ()), 1)
    found = session.result().measures
    distances = np.asarray(found["far"])
    assert distances.shape == (4, 4) and (np.diagonal(distances) == 0).all() and (distances == distances.T).all()
    np.testing.assert_allclose(found["weights"], 0.1 * distances)
    np.testing.assert_array_equal(found["weights"], found["named"])
    assert found["mean_weight"] == pytest.approx(0.1 * distances.mean())


def test_from_python_it_is_target_by_source() -> None:
    sim = cs.compile(cs.parse(TEXT), "ring", backend="interpreter", dtype="float64", dt=1)
    weights = np.arange(16.0).reshape(4, 4)
    sim.set_parameters({"rec.weight": weights})
    np.testing.assert_array_equal(sim.measure({"w": "rec.weight"})["w"], weights)


def test_what_moves_is_no_matrix() -> None:
    sim = cs.compile(cs.parse(TEXT), "ring", backend="interpreter", dtype="float64", dt=1)
    written = {"moving": "moving", "far": "D", "product": "D*D"}
    measures = {name: parse_expression(text) for name, text in written.items()}
    assert that_are_matrices(measures, {}, sim.model) == {"far"}
