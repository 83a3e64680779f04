"""Measures of a training while it goes on: means over the last epoch, before each update, with the noise of training."""

import sys
from pathlib import Path

import numpy as np
import pytest

from cortexspec.contracts.backend import Recipe
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import AUTO, Choice, Session
from cortexspec.runtime import registry
from cortexspec.runtime.check import check_file

PLUGIN = '''
import numpy as np
from cortexspec.contracts.dataset import Dataset, DatasetEntry, Field, Split
from cortexspec.contracts.plugin import Plugin
from cortexspec.ir.types import Type

DRAWN = np.random.default_rng(3).normal(size=(14, 6, 2))

def steps(positional, settings, places):
    """Ten training trials, so that the last batch of four is half full; four to hold out."""
    label = (DRAWN.sum(1)[:, 1] > DRAWN.sum(1)[:, 0]).astype(np.int64)
    def split(part):
        return Split({"x": Field(DRAWN[part], ("trial", "time")), "label": Field(label[part])})
    return Dataset("steps", split(slice(10)), split(slice(10, 14)), "one", length=6)

plugin = Plugin("steps", entries=(DatasetEntry("steps", fields={"label": Type((), "int")}, choices=(), load=steps),))
'''
TEXT = """use steps

neuron unit {
  input u
  state h = 0
  h <- 0.5*h + u
  output h
}

circuit sums {
  input x[2]
  population hidden[2] : unit
  part readout : dense(2)
  connect x -> hidden { weight = [[1, 0], [0, 1]] trainable }
  output logits = readout(hidden.h)
}

experiment larger of sums {
  dataset = steps()
  simulate { duration = dataset.length; dt = 1 }
  train {
    loss = cross_entropy(logits[time = end], label)
    optimizer = adam(lr = 0.1, eps = 1e-7)
    batch = 4
    epochs = 3
    shuffle = false
    stimulus x = x + normal(0, 0.5)
  }
  measure accuracy = running_mean(argmax(logits[time = end]) == label)
  measure held_out = mean(argmax(logits[time = end]) == label)
}
"""
BACKENDS = ("interpreter", "torch", "jax")


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package, about = tmp_path / "cortexspec_steps", tmp_path / "cortexspec_steps-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text(PLUGIN, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cortexspec-steps\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[cortexspec.plugins]\nsteps = cortexspec_steps:plugin\n")
    registry._available.cache_clear()
    registry._load.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    registry._available.cache_clear()
    registry._load.cache_clear()
    sys.modules.pop("cortexspec_steps", None)


def opened(folder: Path, backend: str = "interpreter", *edits: tuple[str, str]) -> Session:
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / "model.cortex"
    path.write_text(text, encoding="utf-8")
    assert check_file(path).diagnostics == ()
    return Session.open(Choice(path, backend, "float64"), CellKey("larger", "base", ()), 1)


def test_it_is_the_mean_over_the_trials_of_the_last_epoch_before_each_update(tmp_path: Path) -> None:
    result = opened(tmp_path).result()
    again = opened(tmp_path)
    assert again.plan is not None
    trainer = again.trainer(Recipe("adam", {"lr": 0.1, "eps": 1e-7}, trainable=again.trainable()))
    for epoch in range(3):
        right = 0.0
        for first in (0, 4, 8):
            places = np.arange(first, min(first + 4, 10))
            batch = again.batch(places, 10 * epoch + first)
            right += float(again.loaded.simulator.call("loss", batch)["accuracy"]) * len(places)
            trainer.step(batch)
        assert result.history[epoch]["accuracy"] == pytest.approx(right / 10)
    assert result.measures["accuracy"] == result.history[-1]["accuracy"]
    assert result.measures["held_out"] == pytest.approx(again.held_out()["held_out"])


def test_the_noise_of_training_is_on_and_not_on_in_what_is_held_out(tmp_path: Path) -> None:
    frozen = ("lr = 0.1", "lr = 0")
    noisy = [opened(tmp_path, "interpreter", frozen, ("0.5)", sd)).result() for sd in ("0)", "3)")]
    assert noisy[0].history[0]["loss"] != noisy[1].history[0]["loss"]
    assert noisy[1].history[0]["loss"] != noisy[1].history[1]["loss"]
    assert noisy[0].history[0]["loss"] == pytest.approx(noisy[0].history[1]["loss"])
    assert noisy[0].measures["held_out"] == noisy[1].measures["held_out"]


def test_every_backend_gives_the_same(tmp_path: Path) -> None:
    found = []
    for backend in BACKENDS:
        if backend != "interpreter":
            pytest.importorskip(f"cortexspec_{backend}")
        result = opened(tmp_path, backend).result()
        found.append([(entry["loss"], entry["accuracy"]) for entry in result.history])
    np.testing.assert_allclose(found[1:], np.broadcast_to(found[0], (len(found) - 1, 3, 2)), rtol=1e-9)


def test_what_it_cannot_be_part_of(tmp_path: Path) -> None:
    path = tmp_path / "model.cortex"
    wrong = (
        ("accuracy = running_mean(", "accuracy = 1 - running_mean("),
        ("loss = cross_entropy(logits[time = end], label)", "loss = running_mean(logits[time = end])"),
    )
    for old, new in wrong:
        path.write_text(TEXT.replace(old, new), encoding="utf-8")
        assert [one.code for one in check_file(path).diagnostics] == ["CS926"]
    path.write_text(TEXT[: TEXT.index("  train {")] + TEXT[TEXT.index("  measure accuracy") :], encoding="utf-8")
    assert [one.code for one in check_file(path).diagnostics] == ["CS926"]


def test_a_length_that_no_data_tell(tmp_path: Path) -> None:
    path = tmp_path / "model.cortex"
    rest = "  simulate { duration = dataset.length; dt = 1 }\n}\n"
    path.write_text(TEXT[: TEXT.index("  dataset")] + rest, encoding="utf-8")
    with pytest.raises(SpecError) as error:
        Session.open(Choice(path, "interpreter"), CellKey("larger", "base", ()), 1)
    assert [one.code for one in error.value.diagnostics] == ["CS916"]


def test_a_circuit_of_plain_neurons_trains_on_torch_where_nothing_else_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert opened(tmp_path, AUTO).choice.backend == "torch"
