"""Training across segments: states go on from one batch to the next, and begin anew where the schedule says so."""

import sys
from pathlib import Path

import numpy as np
import pytest

from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.experiments.train import Plan
from cortexspec.runtime import registry
from cortexspec.runtime.check import check_file

PLUGIN = '''
import numpy as np
from cortexspec.contracts.dataset import Dataset, DatasetEntry, Field, Split
from cortexspec.contracts.plugin import Plugin
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

DRAWN = np.random.default_rng(3).normal(size=(3, 24, 2))
ANSWERS = np.random.default_rng(4).integers(0, 2, size=(3, 24))

def streams(positional, settings, places):
    """Three streams of 24 steps, cut into segments; the same to train and to hold out."""
    long = int(settings["segment"])
    cut = lambda a: a.reshape(3, 24 // long, long, *a.shape[2:]).swapaxes(0, 1).reshape(-1, long, *a.shape[2:])
    fields = {"x": Field(cut(DRAWN), ("trial", "time")), "next": Field(cut(ANSWERS), ("trial", "time"))}
    side_by_side = 3 if settings["follow"] else 0
    return Dataset("streams", Split(fields), Split(fields), f"{long}", length=long, streams=side_by_side)

NEXT = Type((Axis("time", Size.symbol("time"), "time"),), "int")
ENTRY = DatasetEntry("streams", {"segment": 6, "follow": True}, fields={"next": NEXT}, choices=(), load=streams)
plugin = Plugin("streams", entries=(ENTRY,))
'''
TEXT = """use streams

neuron unit {
  input u
  state h ~ normal(0, 1)
  state age = 0
  h <- 0.9*h + tanh(u) + 0.3*normal(0, 1)
  age <- age + 1
  output h
}

circuit sums {
  input x[2]
  population hidden[2] : unit
  part map : dense(2)
  connect x -> hidden { weight = [[1, 0.3], [0.2, 1]] trainable; dropout = 0.5 }
  output logits = map(hidden.h)
}

experiment along of sums {
  dataset = streams(segment = 6)
  simulate { duration = dataset.length; dt = 1 }
  train {
    loss = cross_entropy(logits, next, smoothing = 0.1)
    optimizer = sgd(lr = 0)
    batch = 3
    epochs = 2
    carry_state = true
  }
  measure bits = mean(cross_entropy(logits, next))/log(2)
  measure age = mean(hidden.age)
}
"""
BACKENDS = ("interpreter", "torch", "jax")
KEY = CellKey("along", "base", ())


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package, about = tmp_path / "cortexspec_streams", tmp_path / "cortexspec_streams-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text(PLUGIN, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cortexspec-streams\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[cortexspec.plugins]\nstreams = cortexspec_streams:plugin\n")
    registry._available.cache_clear()
    registry._load.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    registry._available.cache_clear()
    registry._load.cache_clear()
    sys.modules.pop("cortexspec_streams", None)


def written(folder: Path, *edits: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / "model.cortex"
    path.write_text(text, encoding="utf-8")
    return path


def opened(folder: Path, backend: str = "interpreter", *edits: tuple[str, str]) -> Session:
    path = written(folder, *edits)
    assert check_file(path).diagnostics == ()
    return Session.open(Choice(path, backend, "float64"), KEY, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_segments_are_one_long_run(tmp_path: Path, backend: str) -> None:
    """Loss while training, with noise and dropout on, and what is held out, in four segments and in one."""
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}.get(backend, "numpy"))
    cut, whole = (opened(tmp_path, backend, ("segment = 6", f"segment = {length}")).result() for length in (6, 24))
    assert [one["loss"] for one in cut.history] == pytest.approx([one["loss"] for one in whole.history], rel=1e-12)
    assert cut.history[0]["loss"] != cut.history[1]["loss"]  # another epoch has other noise
    assert float(cut.measures["bits"]) == pytest.approx(float(whole.measures["bits"]), rel=1e-12)
    assert float(cut.measures["age"]) == float(whole.measures["age"]) == 12.5


def test_without_it_each_segment_begins_anew(tmp_path: Path) -> None:
    assert float(opened(tmp_path, "interpreter", ("carry_state = true", "")).result().measures["age"]) == 3.5


def test_every_backend_trains_alike(tmp_path: Path) -> None:
    """No gradient crosses a border: the updates of the frameworks' own derivatives are the interpreter's."""
    pytest.importorskip("torch.nn")
    pytest.importorskip("jax")
    edits = (
        ("sgd(lr = 0)", "adam(lr = 0.05, eps = 1e-7)"),
        ("carry_state = true", "carry_state = true; reset_chance = 0.3"),
    )
    losses = [[one["loss"] for one in opened(tmp_path, backend, *edits).result().history] for backend in BACKENDS]
    assert losses[1] == pytest.approx(losses[0], rel=1e-9) and losses[2] == pytest.approx(losses[0], rel=1e-9)


def test_resets_follow_their_schedule() -> None:
    plan = Plan(carry_state=True, reset_chance="0.01 + 0.495*(1 + cos(π*min(step/400, 1)))")
    early, late = (np.mean([plan.begins_anew(1, step) for step in range(first, first + 200)]) for first in (0, 4000))
    assert early > 0.7 and late < 0.05
    assert [plan.begins_anew(1, step) for step in range(150, 400)] != [
        plan.begins_anew(2, step) for step in range(150, 400)
    ]
    with pytest.raises(SpecError) as caught:
        Plan(carry_state=True, reset_chance="0.5 + step").begins_anew(1, 3)
    assert caught.value.diagnostics[0].code == "CS512"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([("carry_state = true", "reset_chance = 0.1")], "write `carry_state = true`"),
        ([("carry_state = true", "carry_state = true; shuffle = true")], "`shuffle` through trials in none"),
        ([("carry_state = true", "carry_state = 1")], "`carry_state` is true or false"),
        ([("carry_state = true", "carry_state = true; reset_chance = 1 - stop")], "stop"),
    ],
)
def test_what_does_not_go_with_it_is_said_before_anything_runs(
    tmp_path: Path, edits: list[tuple[str, str]], said: str
) -> None:
    (found,) = check_file(written(tmp_path, *edits)).diagnostics
    assert said in f"{found.message} {found.help}"


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("batch = 3", "batch = 6", "CS926", "write `batch = 3`"),
        ("segment = 6", "segment = 6, follow = false", "CS926", "those of `streams` do not"),
        ("mean(hidden.age)", "max(hidden.age)", "CS700", "`age` is no mean"),
    ],
)
def test_data_that_do_not_follow_each_other(tmp_path: Path, old: str, new: str, code: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, "interpreter", (old, new)).result()
    (found,) = caught.value.diagnostics
    assert found.code == code and said in f"{found.message} {found.help}"
