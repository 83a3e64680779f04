"""Figures of experiments: what is drawn, from what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cortexspec.experiments import figures
from cortexspec.experiments.portrait import draw_networks
from cortexspec.experiments.reproduce import reproduce
from cortexspec.experiments.session import Choice

TEXT = """
neuron unit {
  param b = 0 per neuron
  input u = 0
  state x ~ bernoulli(0.5)
  let p = sigmoid(u + b)
  x <- bernoulli(p)
  output x
}

circuit net {
  population a[3] : unit
}

experiment first of net {
  simulate { duration = 10; dt = 1; trials = 2 }
  measure level = mean(a.x, over = [trial, time])
  measure on = mean(a.x)
  train {
    parameters = [a.b]
    maximize = on
    optimizer = evolution(parents = 2, offspring = 4, step = 1)
    epochs = 2
  }
  vary { seed = 1..2 }
}

experiment second of net {
  let found = first.level
  simulate { duration = 10; dt = 1; trials = 2; warm_up = 7 }
  measure on = mean(a.x)
  a.b = found
  vary { seed = 1..2 }
  claim "some are on" from "here": on < 2
}
"""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures, in the place of files."""
    seen: list[Any] = []
    monkeypatch.setattr(figures, "written", lambda figure, path, **rest: seen.append(figure) or path)
    return seen


@pytest.mark.parametrize(
    ("history", "names"),
    [
        ([{"epoch": 1, "loss": 2.0, "held_out": 0.1}], ["training loss", "held-out accuracy"]),
        ([{"epoch": 1, "best": 1.0, "parents": 0.5}], ["mean of the parents"]),
        ([{"epoch": 1, "f": 1.0, "gradient": 0.5}], ["norm of the gradient"]),
    ],
)
def test_learning_is_drawn_by_what_its_history_has(history: Any, names: list[str], drawn: list[Any]) -> None:
    figures.learning_curves(Path("x.png"), {"base": [history, history]})
    assert [axis.get_ylabel() for axis in drawn[0].axes] == names
    assert all(len(axis.lines) == 1 for axis in drawn[0].axes)


def test_many_variants_learn_in_panels_of_their_own(drawn: list[Any]) -> None:
    runs = [
        [{"epoch": 1, "loss": 2.0, "held_out": 0.1}, {"epoch": 2, "loss": 1.0, "held_out": 0.2 + seed}]
        for seed in (0, 1)
    ]
    figures.learning_curves(Path("x.png"), {f"variant {n}": runs for n in range(7)})
    panels = [axis for axis in drawn[0].axes if axis.get_visible()]
    assert [axis.get_title() for axis in panels] == [f"variant {n}" for n in range(7)]
    assert all([list(line.get_ydata()) for line in axis.lines] == [[0.1, 0.2], [0.1, 1.2]] for axis in panels)
    assert panels[0].get_ylabel() == "held-out accuracy"


def test_a_loss_over_many_decades_has_a_logarithmic_axis(drawn: list[Any]) -> None:
    for first in (2.0, 2e9):
        figures.learning_curves(Path("x.png"), {"base": [[{"loss": first}, {"loss": 1.0}]]})
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["linear", "log"]


def test_the_front_is_what_nothing_as_cheap_surpasses(drawn: list[Any]) -> None:
    cost, gain = np.array([3.0, 1.0, 2.0, 2.0, 4.0]), np.array([5.0, 1.0, 3.0, 4.0, 5.0])
    assert figures.pareto_front(cost, gain).tolist() == [1, 3, 0]
    points = {f"n = {n}": (cost[n], [-gain[n], -gain[n] - 0.2]) for n in range(5)}
    figures.pareto(Path("x.png"), "parameters", "bits", points, largest=False)
    (axis,) = drawn[0].axes
    assert [text.get_text() for text in axis.texts] == ["n = 0", "n = 3", "n = 1"]
    assert axis.get_xlabel() == "parameters"
    beside = {**points, "n = 5": (3.01, [-6.0])}
    figures.pareto(Path("x.png"), "parameters", "bits", beside, largest=False)
    assert [text.get_text() for text in drawn[1].axes[0].texts] == ["n = 5", "n = 3", "n = 1"]


def test_memories_are_drawn_by_their_time_constants(drawn: list[Any]) -> None:
    units = np.stack([np.full(10, 1.0), np.full(10, -2.0)], axis=1)
    figures.memories(Path("x.png"), np.arange(10), units, np.array([20.0, 5.0]), np.zeros(10))
    upper, lower = drawn[0].axes
    assert [label.get_text() for label in upper.get_yticklabels()] == ["5", "20"]
    assert np.asarray(upper.images[0].get_array())[:, 0].tolist() == [-1.0, 0.5] and lower.get_xlabel() == "step"


def test_networks_are_drawn_from_results_that_are_there(
    tmp_path: Path, drawn: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, store = tmp_path / "model.cortex", tmp_path / "results"
    file.write_text(TEXT, encoding="utf-8")
    choice = Choice(file, "interpreter", "float64")
    table = reproduce(choice, ["second"], store=store, workers=0)

    def never(*anything: Any) -> None:
        raise AssertionError("a result is there")

    monkeypatch.setattr("cortexspec.experiments.session.optimise", never)
    files = draw_networks(choice, table, tmp_path, steps=5, store=store)
    assert [one.path.name for one in files] == ["net.png", "second_rasters.png"]
    (panel,) = [axis for axis in drawn[1].axes if axis.get_title() == "base"]
    assert panel.get_ylim() == (-0.5, 2.5) and np.max(panel.lines[0].get_xdata(), initial=0) <= 4


def test_units_that_are_not_on_or_off_have_no_rasters(tmp_path: Path, drawn: list[Any]) -> None:
    file = tmp_path / "model.cortex"
    rule = "x <- 0.5*x + p"
    file.write_text(TEXT.replace("x <- bernoulli(p)", rule).replace("state x ~ bernoulli(0.5)", "state x = 0"))
    choice = Choice(file, "interpreter", "float64")
    table = reproduce(choice, ["second"], store=tmp_path / "results", workers=0)
    assert table.rows["second"] and draw_networks(choice, table, tmp_path, steps=5, store=tmp_path / "results") == []
