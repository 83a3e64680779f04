"""A measure is maximised: the strategies themselves, and experiments of a circuit whose best parameters are known."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cortexspec.diagnostics import SpecError
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.objective import MeasuredObjective
from cortexspec.experiments.optimise import Search, optimise
from cortexspec.experiments.session import Choice, Session

HILL = np.array([3.0, -1.0])
EVOLUTION = Search("height", optimizer="evolution", options={"step": 2.0, "decay": 0.8}, epochs=25)


class Hill:
    """-|x - HILL|^2, with noise that is the same for a whole generation; NaN right of `edge`."""

    def __init__(self, seed: int = 1, edge: float = math.inf, stop: int = 10**9):
        self.seed, self.edge, self.stop = seed, edge, stop
        self.point = {"x": np.zeros(2)}
        self.asked = 0

    def parameters(self) -> dict[str, np.ndarray]:
        return dict(self.point)

    def set_parameters(self, raw: Mapping[str, np.ndarray]) -> None:
        self.point = dict(raw)

    def projected(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(raw)

    def values(self, candidates: Sequence[Mapping[str, np.ndarray]], generation: int) -> Iterator[float]:
        noise = np.random.default_rng(generation).normal(size=2)
        for one in candidates:
            self.asked += 1
            if self.asked > self.stop:
                raise KeyboardInterrupt
            beyond = one["x"][0] > self.edge
            yield math.nan if beyond else -float(((one["x"] - HILL) ** 2).sum() + 0.1 * noise @ one["x"])

    def value_and_gradient(self) -> tuple[float, dict[str, np.ndarray]]:
        x = self.point["x"]
        return -float(((x - HILL) ** 2).sum()), {"x": -2 * (x - HILL)}


def test_evolution_climbs_and_is_the_same_for_the_same_seed() -> None:
    points = []
    for seed in (1, 1, 2):
        hill = Hill(seed)
        history = optimise(hill, EVOLUTION)
        assert np.allclose(hill.point["x"], HILL, atol=0.2)
        assert [record["epoch"] for record in history] == list(range(1, 26))
        assert history[-1]["all"] > history[0]["best"]
        assert history[3]["step"] == pytest.approx(2 * 0.8**3)
        points.append(hill.point["x"])
    assert np.array_equal(points[0], points[1])
    assert not np.array_equal(points[0], points[2])


def test_an_interrupted_evolution_goes_on_to_the_same_point(tmp_path: Path) -> None:
    whole = Hill()
    optimise(whole, EVOLUTION)
    with pytest.raises(KeyboardInterrupt):
        optimise(Hill(stop=20 * 7 + 3), EVOLUTION, tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 8))
    told: list[tuple[int, int]] = []
    again = Hill()
    history = optimise(again, EVOLUTION, tmp_path, lambda done, total, _: told.append((done, total)))
    assert told[0] == (20 * 7 + 1, 500)
    assert told[-1] == (500, 500)
    assert len(history) == 25
    assert np.array_equal(again.point["x"], whole.point["x"])
    with pytest.raises(SpecError, match="CS914"):
        optimise(Hill(), EVOLUTION, tmp_path, identity="another")


def test_an_interrupted_ascent_goes_on_to_the_same_point(tmp_path: Path) -> None:
    plan = Search("height", options={"lr": 0.1}, epochs=60)
    whole = Hill()
    history = optimise(whole, plan)
    assert history[-1]["height"] > history[0]["height"]
    optimise(Hill(), replace(plan, epochs=20), tmp_path)
    again = Hill()
    assert len(optimise(again, plan, tmp_path)) == 60
    assert np.array_equal(again.point["x"], whole.point["x"])


def test_a_candidate_that_diverges_comes_last_and_all_of_them_are_an_error() -> None:
    hill = Hill(edge=1.0)
    optimise(hill, EVOLUTION)
    assert hill.point["x"][0] == pytest.approx(1, abs=0.2)
    with pytest.raises(SpecError, match="no candidate of generation 1 stays finite"):
        optimise(Hill(edge=-math.inf), EVOLUTION)


def test_minimising_is_maximising_the_opposite() -> None:
    hill = Hill()
    optimise(hill, replace(EVOLUTION, largest=False, epochs=3))
    assert np.abs(hill.point["x"] - HILL).sum() > np.abs(HILL).sum()
    hill.point = {"x": HILL + 0.1}
    optimise(hill, Search("height", largest=False, options={"lr": 0.1}, epochs=10))
    assert (hill.point["x"] > HILL + 0.5).all()


TARGET = """
neuron noisy {
  param b = 0  per neuron in nonnegative
  param c = 0
  state x = 0
  let η = normal(0, 0.1)
  x <- 0.5*x + b + c + η
  output x
}

circuit net(n: int = 2) {
  param aim[n] = [3, -2]
  population p[n] : noisy
  output miss = p.x - 0
}

experiment aimed of net {
  simulate { duration = 30; dt = 1; warm_up = 10; trials = 4 }
  let level = mean(p.x, over = [trial, time])
  measure first = mean(p.x[p = 0])
  measure second = mean(p.x[p = 1])
  measure error = (first - 3)^2 + (second + 2)^2
  train { parameters = [p.b]; minimize = error; optimizer = evolution(step = 1, decay = 0.8); epochs = 15; trials = 2 }
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "aimed.cortex"
    path.write_text(TARGET, encoding="utf-8")
    return path


def opened(spec: Path, backend: str = "interpreter") -> Session:
    return Session.open(Choice(spec, backend=backend, dtype="float64"), CellKey("aimed", "base", ()), 1)


def test_only_what_is_named_is_trained_and_stays_in_its_set(spec: Path) -> None:
    session = opened(spec)
    assert session.objective.names == ("p.b",)
    result = session.result()
    best = session.simulation.parameters()
    assert best["p.b"] == pytest.approx([1.5, 0], abs=0.05)  # x settles at 2 b; a negative b is not in its set
    assert float(best["p.c"]) == 0
    assert result.measures["error"] == pytest.approx(4, abs=0.1)
    assert len(result.history) == 15


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_candidates_in_one_run_have_the_values_that_they_have_alone(spec: Path, backend: str) -> None:
    pytest.importorskip({"torch": "torch.nn", "jax": "jax"}.get(backend, "numpy"))
    session = opened(spec, backend)
    objective: MeasuredObjective = session.objective
    drawn = np.random.default_rng(0)
    candidates = [{"p.b": drawn.normal(0, 1, 2)} for _ in range(5)]
    together = objective._together(candidates, 100)
    assert together is not None
    alone = []
    for candidate in candidates:
        objective.set_parameters(candidate)
        alone.append(objective._alone(100))
    assert together == pytest.approx(alone, rel=1e-12)
    assert objective._alone(102) != alone[-1]  # another generation has other noise


def test_a_cell_that_cannot_be_optimised_says_so_before_anything_is_compiled(spec: Path) -> None:
    spec.write_text(TARGET.replace("minimize = error", "minimize = errors"), encoding="utf-8")
    with pytest.raises(SpecError, match="CS924"):
        opened(spec)
