"""Optimisation of a measure over parameters: evolution, which only asks for its value, and ascent along its gradient.

The same seed gives the same course, after an interrupt too: what a generation draws depends on the seed and its number alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cortexspec.contracts.backend import Recipe
from cortexspec.contracts.training import EVOLUTION
from cortexspec.experiments.record import History, keep, kept
from cortexspec.experiments.train import Report, diverged, schedule_factors
from cortexspec.interpreter.trainer import Updates

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
OF_OBJECTIVE = ("best", "parents", "all")  # what a record tells of the measure itself


@dataclass(frozen=True, slots=True)
class Search:
    """What a `train` section with `maximize` or `minimize` asks for. `duration`, `trials` and `settling` are those of an
    evaluation, in coherent units; without one, those of `simulate`."""

    objective: str
    largest: bool = True
    optimizer: str = "adam"
    options: Mapping[str, float] = field(default_factory=dict[str, float])
    parameters: tuple[str, ...] = ()
    epochs: int = 10
    schedule: str = "constant"
    schedule_warm_up: int = 0
    clip: float | None = None
    duration: float | None = None
    trials: int | None = None
    settling: float | None = None

    @property
    def evolves(self) -> bool:
        return self.optimizer == "evolution"

    @property
    def evaluations(self) -> int:
        """How often the measure is asked for in all."""
        return self.epochs * (int(self.settings["offspring"]) if self.evolves else 1)

    @property
    def settings(self) -> dict[str, float]:
        """The options of an evolution, with their defaults."""
        return {**EVOLUTION, **self.options}

    @property
    def sign(self) -> float:
        return 1.0 if self.largest else -1.0


class Objective(Protocol):
    """What is optimised (experiments.objective). Parameters are raw, by name."""

    @property
    def seed(self) -> int: ...

    def parameters(self) -> Arrays: ...
    def set_parameters(self, raw: Mapping[str, Array]) -> None: ...

    def projected(self, raw: Mapping[str, Array]) -> Arrays:
        """The nearest parameters that are in their sets (`in C`)."""
        ...

    def values(self, candidates: Sequence[Mapping[str, Array]], generation: int) -> Iterator[float]:
        """The measure at each candidate, which all have the same noise: that of their generation.

        It is NaN for one whose run leaves the finite numbers. Which parameters are set afterwards is not said.
        """
        ...

    def value_and_gradient(self) -> tuple[float, Arrays]:
        """Raises: SpecError CS925 where it has none."""
        ...


def optimise(
    objective: Objective, search: Search, folder: Path | None = None, report: Report | None = None, identity: str = ""
) -> History:
    """Leaves the objective at the best parameters; gives one record an epoch.

    With a `folder`, metrics.jsonl grows as epochs end and a checkpoint is kept, from which a call with the same folder goes on, to
    the same result. Raises: SpecError CS914 for a checkpoint of something else, CS915 where no candidate of a generation is
    finite.
    """
    run = _evolve if search.evolves else _ascend
    return run(objective, search, folder, report, identity)


def _evolve(objective: Objective, search: Search, folder: Path | None, report: Report | None, identity: str) -> History:
    """The (μ/μ, λ) strategy with a step that shrinks by itself: `contracts.training` has the rule.

    The point that is kept is a mean of `parents` candidates, not the best one: the best of many noisy values is one that
    noise was kind to.
    """
    options = search.settings
    offspring, parents = int(options["offspring"]), int(options["parents"])
    found = kept(folder, identity)
    point, history = objective.parameters(), list[dict[str, float]]()
    if found is not None:
        point, history = found.under("point/"), found.history
    for generation in range(len(history), search.epochs):
        started = time.perf_counter()
        step = options["step"] * options["decay"] ** generation
        candidates = [objective.projected(one) for one in _drawn(point, step, offspring, objective.seed, generation)]
        values: list[float] = []
        for value in objective.values(candidates, generation):
            values.append(value)
            if report is not None:
                done = generation * offspring + len(values)
                report(done, search.evaluations, {search.objective: value})
        chosen = _best(np.array(values) * search.sign, parents)
        if not chosen:
            raise diverged(f"no candidate of generation {generation + 1} stays finite")
        point = objective.projected(_mean([candidates[place] for place in chosen]))
        finite = [value for value in values if math.isfinite(value)]
        history.append(
            {
                "epoch": generation + 1,
                "best": values[chosen[0]],
                "parents": float(np.mean([values[place] for place in chosen])),
                "all": float(np.mean(finite)),
                "step": step,
                "seconds": time.perf_counter() - started,
            }
        )
        if folder is not None:
            keep(folder, identity, generation + 1, history, {f"point/{name}": array for name, array in point.items()})
    objective.set_parameters(point)
    return history


def _drawn(point: Mapping[str, Array], step: float, count: int, seed: int, generation: int) -> list[Arrays]:
    draw = np.random.Generator(np.random.Philox(key=[seed, generation]))
    return [
        {name: array + step * draw.standard_normal(np.shape(array)) for name, array in sorted(point.items())}
        for _ in range(count)
    ]


def _best(values: Array, count: int) -> list[int]:
    """The places of the largest finite values, the largest first; of equal ones the first."""
    order = np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")
    return [int(place) for place in order[:count] if np.isfinite(values[place])]


def _mean(points: list[Arrays]) -> Arrays:
    return {name: np.mean([one[name] for one in points], axis=0) for name in points[0]}


def _ascend(objective: Objective, search: Search, folder: Path | None, report: Report | None, identity: str) -> History:
    """Up the gradient (down for `minimize`), by the updates of `contracts.training`."""
    factors = schedule_factors(search.schedule, search.epochs, search.schedule_warm_up)
    point = objective.parameters()
    recipe = Recipe(search.optimizer, dict(search.options), factors, search.clip)
    updates = Updates(sorted(point), recipe)
    history: History = []
    found = kept(folder, identity)
    if found is not None:
        point, history = found.under("point/"), found.history
        updates.restore(found.under("optimizer/"))
    for epoch in range(len(history), search.epochs):
        started = time.perf_counter()
        objective.set_parameters(point)
        value, gradient = objective.value_and_gradient()
        broken = [name for name, array in gradient.items() if not np.isfinite(array).all()]
        if broken or not math.isfinite(value):
            what = f"the gradient by `{broken[0]}`" if broken else f"`{search.objective}`"
            raise diverged(f"{what} is not finite at update {epoch + 1}")
        downhill = {name: -search.sign * array for name, array in gradient.items()}
        point = objective.projected(updates.applied(point, downhill))
        norm = math.sqrt(sum(float((array**2).sum()) for array in gradient.values()))
        history.append(
            {"epoch": epoch + 1, search.objective: value, "gradient": norm, "seconds": time.perf_counter() - started}
        )
        if report is not None:
            report(epoch + 1, search.evaluations, {search.objective: value})
        if folder is not None:
            arrays = {f"point/{name}": array for name, array in point.items()}
            arrays |= {f"optimizer/{name}": array for name, array in updates.state().items()}
            keep(folder, identity, epoch + 1, history, arrays)
    objective.set_parameters(point)
    return history
