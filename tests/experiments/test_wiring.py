"""The seed of the wiring in an experiment: many noises on one network, or one noise on many."""

from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session, read_experiments

TEXT = """
neuron unit {
  input u
  state x ~ normal(0, 1)
  x <- 0.5*u
  output x
}

circuit net {
  population a[8] : unit
  connect loop: a -> a { rule = fixed_indegree(3); weight ~ normal(0, 1) }
}

experiment fixed of net {
  simulate { duration = 3; dt = 1; wiring = 7 }
  vary { seed = 1..2 }
  measure m = mean(a.x[time = end])
  claim "it runs" from "here": m < 100
}

experiment varied like fixed {
  vary { wiring = 1..2; seed = 1..2 }
  claim "it runs" from "here": m[wiring = 1] < 100
}
"""


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    file = tmp_path / "model.cortex"
    file.write_text(TEXT, encoding="utf-8")
    return Choice(file, "interpreter", "float64")


def network(choice: Choice, experiment: str, seed: int, **point: int) -> tuple[np.ndarray, np.ndarray, float]:
    session = Session.open(choice, CellKey(experiment, "base", tuple(point.items())), seed)
    simulation = session.simulation
    return simulation.buffers()["loop.pre"], simulation.parameters()["loop.weight"], session.result().measures["m"]


def test_one_network_under_several_noises(choice: Choice) -> None:
    first, second = network(choice, "fixed", 1), network(choice, "fixed", 2)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1]) and first[2] != second[2]
    by_hand = cs.compile(choice.file, "net", dt=1, seed=1, wiring=7, dtype="float64").parameters()["loop.weight"]
    np.testing.assert_array_equal(first[1], by_hand)
    asked = cs.compile(choice.file, experiment="fixed", seed=3, dtype="float64").parameters()["loop.weight"]
    np.testing.assert_array_equal(asked, by_hand)


def test_the_wiring_is_an_axis_of_the_grid(choice: Choice) -> None:
    assert [axis.names for axis in read_experiments(choice)["varied"].grid.axes] == [("wiring",)]
    first, second = (network(choice, "varied", 1, wiring=wiring) for wiring in (1, 2))
    again = network(choice, "varied", 2, wiring=1)
    assert not np.array_equal(first[1], second[1]) and np.array_equal(first[1], again[1])
    keys = [CellKey("varied", "base", (("wiring", wiring),)) for wiring in (1, 2)]
    assert Session.address(choice, keys[0], 1) != Session.address(choice, keys[1], 1)
