"""Figures of spiking networks: what is drawn, from what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.experiments import figures, spike_figures
from cortexspec.experiments.portrait import draw_spikes
from cortexspec.experiments.reproduce import reproduce
from cortexspec.experiments.session import Choice
from cortexspec.experiments.spike_figures import Curves, relative_power, smoothed
from cortexspec.runtime.spike_trains import SpikeTrains, spike_trains, trains_by

TEXT = """
neuron source { spike ~ poisson(40 Hz*dt) }
neuron leaky {
  param drive : V = 1.2 V
  input z : V/ms
  state v ~ uniform(0 V, 1 V)
  v' = (drive - v)/10 ms + z
  spike when v > 1 V { v <- 0 V }
}
circuit net {
  population S[20] : source
  population E[12] : leaky
  connect S -> E { rule = bernoulli(0.5); weight = 0.1 V }
  connect source() -> E { weight = 0.01 V }
}

experiment busy of net {
  simulate { duration = 500 ms; warm_up = 50 ms; dt = 0.5 ms; solver = exact }
  measure level = mean(rate(E.spike))
  variant quiet { E.drive = 0.5 V }
  vary { seed = 1..2 }
  claim "they fire" from "here": level > level[variant = quiet]
}

experiment still of net {
  simulate { duration = 1 ms; dt = 0.5 ms }
  measure synapses = count(parameters)
  claim "none" from "here": synapses == 0
}
"""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures, in the place of files."""
    seen: list[Any] = []
    monkeypatch.setattr(figures, "written", lambda figure, path, **rest: seen.append(figure) or path)
    return seen


def poisson(rate: float, neurons: int = 200, steps: int = 20_000, dt: float = 0.5) -> SpikeTrains:
    """rate in kHz."""
    spikes = np.random.default_rng(0).random((steps, neurons)) < rate * dt
    step, neuron = np.nonzero(spikes[:, :100])
    halves = np.stack([spikes[: steps // 2].sum(axis=0), spikes[steps // 2 :].sum(axis=0)])
    return SpikeTrains(dt, halves, spikes.sum(axis=1), (step + 1) * dt, neuron, np.arange(100))


def test_trains_are_those_that_are_recorded() -> None:
    simulation = cs.compile(cs.parse(TEXT), "net", dtype="float64", solver="exact", dt="0.5 ms", seed=3)
    found = spike_trains(simulation, "300 ms", warm_up="50 ms", shown=5)["E"]
    spikes = simulation.simulate(duration="350 ms", record=["E.spike"])["E.spike"].values[0][100:] * 0.5e-3
    np.testing.assert_allclose(found.counts, spikes.sum(axis=0))
    np.testing.assert_allclose(found.halves[1], spikes[200:400].sum(axis=0))  # the second of three stretches
    np.testing.assert_allclose(found.together, spikes.sum(axis=1))
    assert found.shown.tolist() == [0, 3, 6, 8, 11] and found.duration == 300
    step, neuron = np.nonzero(spikes[:, found.shown])
    np.testing.assert_allclose(found.times, (step + 1) * 0.5)
    assert found.neurons.tolist() == found.shown[neuron].tolist()


def test_each_value_of_a_parameter_has_a_run_of_its_own() -> None:
    simulation = cs.compile(cs.parse(TEXT), "net", dtype="float64", solver="exact", dt="0.5 ms", seed=3)
    quiet, busy = trains_by(simulation, "E.drive", [300.0, 2000.0], "100 ms", populations=["E"])
    assert quiet.keys() == {"E"} and quiet["E"].counts.sum() < busy["E"].counts.sum()
    assert simulation.parameters()["E.drive"] == 1200


def test_what_fires_is_drawn_beside_the_results(tmp_path: Path, drawn: list[Any]) -> None:
    file, store = tmp_path / "model.cortex", tmp_path / "results"
    file.write_text(TEXT, encoding="utf-8")
    choice = Choice(file, "interpreter", "float64")
    table = reproduce(choice, store=store, workers=0)
    files = draw_spikes(choice, table, tmp_path, store=store)
    assert [one.path.name for one in files] == ["busy_spikes.png"]  # nothing of the other is read along a run
    top = drawn[0].axes[:2]
    assert [panel.get_title() for panel in top] == ["base", "quiet"]
    assert top[0].get_xlabel() == "time (ms)" and top[0].get_xlim() == (0, 100)
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["S", "E"]  # what drives E in place is none of the circuit's populations
    rows = np.concatenate([np.asarray(line.get_ydata()) for line in top[0].lines])
    assert rows.min() >= 0 and rows.max() <= 31  # 20 sources, 12 neurons above them
    labels = [panel.get_xlabel() for panel in drawn[0].axes[::2]]
    assert labels == ["time (ms)", "rate of a neuron (Hz)", "frequency (Hz)"]
    kept = sorted(store.rglob("*.json"))
    draw_spikes(choice, table, tmp_path, store=store)
    assert sorted(store.rglob("*.json")) == kept
    again = [np.asarray(line.get_ydata()) for line in drawn[1].axes[0].lines]
    assert all(map(np.array_equal, again, [np.asarray(line.get_ydata()) for line in top[0].lines]))


def test_long_names_stay_within_the_figure(drawn: list[Any], tmp_path: Path) -> None:
    runs = {"base": {f"cortex.layer_{i}.excitatory_population": poisson(0.01, steps=2000) for i in range(8)}}
    spike_figures.activity(tmp_path / "a.png", runs)
    (figure,) = drawn
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_rates_are_drawn_as_a_density(drawn: list[Any]) -> None:
    trains = poisson(0.02)
    spike_figures.activity(Path("x.png"), {"base": {"E": trains}})
    (steps,) = drawn[0].axes[1].patches
    density, edges, _ = steps.get_data()
    assert (density * np.diff(edges)).sum() == pytest.approx(1, abs=0.02)
    centres = (edges[1:] + edges[:-1]) / 2
    assert (density * centres * np.diff(edges)).sum() == pytest.approx(20, abs=1)  # Hz


def test_independent_poisson_trains_have_a_relative_power_of_1() -> None:
    frequency, power = smoothed(*relative_power(poisson(0.02)))
    assert frequency.max() <= 1000 and frequency.min() < 20
    assert power.mean() == pytest.approx(1, abs=0.05)


def test_the_mean_tuning_curve_is_over_angles_from_the_preference(drawn: list[Any]) -> None:
    preferences = 2 * np.pi * np.arange(240) / 240
    stimuli = 2 * np.pi * np.arange(6) / 6
    rates = 5 + 2 * np.cos(stimuli - preferences[:, None])
    angles = np.linspace(-np.pi, np.pi, 9)
    curves = Curves(rates, preferences, stimuli, (angles, 5 + 2 * np.cos(angles)))
    centres, mean, errors = curves.profile(12)
    np.testing.assert_allclose(mean, 5 + 2 * np.cos(centres), atol=0.05)
    assert errors.max() < 0.1
    spike_figures.tuning_curves(Path("x.png"), {"E": curves}, {"E": [0, 60]})
    single, below = drawn[0].axes
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in single.lines]
    np.testing.assert_allclose(peaks, [0, -30], atol=31)
    assert below.get_xlabel() == "stimulus from preference (degrees)" and single.get_ylabel() == "rate (Hz)"
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["theory", "network"]


def test_theory_lies_beside_what_was_found(drawn: list[Any]) -> None:
    x = np.array([1.0, 3.0, 12.0])
    spike_figures.against(Path("x.png"), ("τ (ms)", "q"), {"theory": (x, x)}, {"network": (x, x + 0.1, x / 10)})
    rates = np.random.default_rng(0).poisson(8, 500) / 2
    spike_figures.rate_distribution(
        Path("x.png"), {"all": {"E": rates}}, {"all": {"E": (np.arange(9) / 2, np.full(9, 0.1))}}, 0.5
    )
    spike_figures.spectra(Path("x.png"), {"E": {"fast": poisson(0.02), "slow": poisson(0.01)}})
    spike_figures.raster(Path("x.png"), {"E": poisson(0.02)})
    names = [[text.get_text() for text in figure.axes[0].get_legend().get_texts()] for figure in drawn]
    assert names == [["theory", "network"], ["E, network", "E, theory"], ["fast", "slow"], ["E"]]
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()] == ["1", "3", "12"]
