"""An experiment that reads what another one measured: as numbers of its text, and as a stimulus."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.across import Known, evaluate
from cortexspec.experiments.cells import Result
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.reproduce import Task, reproduce
from cortexspec.experiments.session import Choice, Session
from cortexspec.expressions.parse import parse_expression

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
  input replay[3] = 0
  population a[3], around[5] : unit
  connect within: a -> a { weight ~ normal(0, 1) }
  connect drive: around -> a { weight ~ normal(0, 2) }
  connect back: a -> around { weight ~ normal(0, 2) }
  connect replay -> a { rule = one_to_one }
}

experiment whole of net {
  simulate { duration = 40; dt = 1; warm_up = 5; trials = 3 }
  measure on = mean(a.x)
  measure g = drive.arriving
  measure level = mean(a.x, over = [trial, time])
  vary { seed = 1..2 }
  variant alone { remove around }
  variant cut { drive.weight = 0 }
}

experiment parts like whole {
  let surround = whole.g, level = whole.level, levels = whole.level[variant = cut]
  variant biased of alone    { a.b = mean(surround, over = [trial, time]) }
  variant shifted of alone   { a.b = 2*levels - max(level) }
  variant replayed of alone  { stimulus replay = surround }
  variant scrambled of alone { stimulus replay = shuffled(surround, over = time, together = true) }
  claim "the same run" from "here": on[variant = replayed] published 0.5 within 1
  claim "another" from "here": on[variant = biased] < 2
}
"""
CIRCLE = """
experiment first of net {
  simulate { duration = 5; dt = 1; trials = 2 }
  let other = second.m
  a.b = other
  measure m = mean(a.x, over = [trial, time])
}

experiment second like first {
  let other = first.m
}
"""


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    file = tmp_path / "model.cortex"
    file.write_text(TEXT, encoding="utf-8")
    return Choice(file, "interpreter", "float64")


def opened(choice: Choice, variant: str, seed: int = 1, experiment: str = "parts") -> Session:
    return Session.open(choice, CellKey(experiment, variant, ()), seed)


def drive(choice: Choice, seed: int = 1) -> np.ndarray:
    """[trial, step, neuron], the warm-up in front: recorded without the machinery of this test's subject."""
    sim = opened(choice, "base", seed, "whole").simulation
    return np.asarray(sim.simulate(duration=45, record=["drive.arriving"], trials=3)["drive.arriving"])


def test_a_mean_is_written_into_the_text(choice: Choice) -> None:
    for seed in (1, 2):
        found = opened(choice, "biased", seed).simulation.parameters()["a.b"]
        np.testing.assert_allclose(found, drive(choice, seed)[:, 5:].mean((0, 1)), rtol=1e-12)


def test_results_are_read_with_their_variant(choice: Choice) -> None:
    level = opened(choice, "base", experiment="whole").result().measures["level"]
    cut = opened(choice, "cut", experiment="whole").result().measures["level"]
    found = opened(choice, "shifted").simulation.parameters()["a.b"]
    np.testing.assert_allclose(found, 2 * np.asarray(cut) - np.max(level), rtol=1e-12)


def test_a_replay_is_the_same_run_without_the_others(choice: Choice) -> None:
    whole, replayed = (opened(choice, v, experiment=e) for v, e in (("base", "whole"), ("replayed", "parts")))
    np.testing.assert_array_equal(replayed.inputs["replay"], drive(choice))
    np.testing.assert_allclose(replayed.result().measures["level"], whole.result().measures["level"], rtol=1e-12)


def test_a_shuffle_keeps_what_comes_together(choice: Choice) -> None:
    recorded, shuffled = drive(choice), opened(choice, "scrambled").inputs["replay"]
    np.testing.assert_array_equal(shuffled[:, :5], recorded[:, :5])
    for one, other in zip(shuffled, recorded, strict=True):
        assert sorted(map(tuple, one)) == sorted(map(tuple, other)) and (one != other).any()


def test_shuffles_by_axis() -> None:
    array = np.arange(4 * 6 * 5.0).reshape(4, 6, 5)
    known = Known(array, ("trial", "time", "a"), 2)

    def made(text: str) -> np.ndarray:
        return evaluate(parse_expression(text), lambda name: known, 3).array

    alone = made("shuffled(x, over = time, together = false)")
    assert (np.sort(alone, 1) == array).all() and (alone[:, :2] == array[:, :2]).all()
    assert (np.diff(alone, axis=2) != 1).any()
    trials = made("shuffled(x, over = trial, together = true)")
    assert sorted(int(one[0, 0]) for one in trials) == [0, 30, 60, 90] and (np.diff(trials, axis=1) == 5).all()
    assert made("std(x, over = [trial, time])/5").shape == (5,) and made("mean(x)") == array[:, 2:].mean()


def test_a_cell_is_found_again_by_what_it_reads(choice: Choice, tmp_path: Path) -> None:
    table = reproduce(choice, ["parts"], store=tmp_path / "results", workers=0)
    assert [row.verdict.word for row in table.rows["parts"]] == ["holds", "holds"]
    before = {variant: Session.address(choice, CellKey("parts", variant, ()), 1) for variant in ("base", "replayed")}
    choice.file.write_text(
        TEXT.replace("weight ~ normal(0, 2) }\n  connect back", "weight ~ normal(0, 3) }\n  connect back")
    )
    assert all(Session.address(choice, CellKey("parts", variant, ()), 1) != key for variant, key in before.items())


def test_what_a_cell_does_not_read_makes_it_no_other(choice: Choice) -> None:
    text = choice.file.read_text(encoding="utf-8")
    key = CellKey("parts", "base", ())
    before = Session.address(choice, key, 1)
    choice.file.write_text(text.replace("let surround = whole.g,", "let surround = whole.on,"), encoding="utf-8")
    assert "surround = whole.on" in choice.file.read_text(encoding="utf-8")
    assert Session.address(choice, key, 1) == before and not Session.reads(choice, key, 1)


def test_cells_that_read_one_recording_run_one_after_another(choice: Choice, tmp_path: Path) -> None:
    seen: list[tuple[str, tuple[str, ...]]] = []

    def run(task: Task) -> Result:
        seen.append((task.cell.variant, Session.reads(task.choice, task.cell, task.seed)))
        return Result({"on": 1.0})

    reproduce(choice, ["parts"], store=tmp_path / "results", workers=0, run=run)
    read = [places for _, places in seen if places]
    assert len(set(read)) == 2 and sum(a != b for a, b in itertools.pairwise(read)) == 1


@pytest.mark.parametrize(
    ("edit", "code", "message"),
    [
        ("a.b = mean(surround, over = [trial])", "CS501", "for each trial and step"),
        ("a.b = mean(surround, over = [trial, here])", "CS501", "no axis `here`"),
        ("a.b = sum(levels, over = [trial])", "CS501", "no axis `trial`"),
    ],
)
def test_what_cannot_be_a_number_is_told(choice: Choice, edit: str, code: str, message: str) -> None:
    choice.file.write_text(TEXT.replace("a.b = mean(surround, over = [trial, time])", edit), encoding="utf-8")
    with pytest.raises(SpecError, match=code) as error:
        opened(choice, "biased")
    assert message in error.value.diagnostics[0].message


def test_experiments_that_read_each_other_are_told(choice: Choice) -> None:
    choice.file.write_text(TEXT + CIRCLE, encoding="utf-8")
    with pytest.raises(SpecError, match="CS305"):
        opened(choice, "base", experiment="first")


def test_a_list_has_one_value_a_neuron(choice: Choice) -> None:
    """Also of a parameter that the neuron has once a population, where the argument says so."""
    text = TEXT.replace("param b = 0 per neuron", "param b = 0, c = 1").replace("u + b", "c*(u + b)")
    text = text.replace("a[3], around[5] : unit", "a[3] : unit(b = [1, -2, 3] per neuron, c = 2), around[5] : unit")
    sim = cs.compile(cs.parse(text.partition("experiment")[0]), dt=1)
    assert sim.parameters()["a.b"].tolist() == [1, -2, 3] and sim.parameters()["a.c"] == 2
    with pytest.raises(SpecError, match="a list of 2 meets the axis `a` of 3"):
        cs.compile(cs.parse(text.replace("[1, -2, 3]", "[1, -2]").partition("experiment")[0]), dt=1)
