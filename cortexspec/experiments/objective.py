"""A measure of an experiment as what is optimised: its circuit compiled once, its value and gradient at any parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.diagnostics import SpecError
from cortexspec.experiments.optimise import Search
from cortexspec.expressions import tree
from cortexspec.interpreter import run
from cortexspec.ir.op import Array
from cortexspec.ir.types import RuleError
from cortexspec.runtime.given import read_inputs
from cortexspec.runtime.measure import (
    Measuring,
    known_measures,
    plan_of,
    runs,
    side_by_side_fits,
    value_and_gradient,
)
from cortexspec.runtime.quantities import whole_steps
from cortexspec.runtime.simulation import Simulation


class MeasuredObjective:
    """`reserved` trials are those of the measures that claims read: what training sees is drawn apart from them."""

    def __init__(
        self,
        simulation: Simulation,
        search: Search,
        measures: Mapping[str, tree.Expression],
        lets: Mapping[str, tree.Expression],
        reserved: int,
    ):
        self.simulation, self.search, self.reserved = simulation, search, reserved
        self.names = trained_names(simulation, search.parameters)
        self.plan = plan_of(measures, lets, known_measures(simulation)).for_measure(search.objective)
        self.trials = search.trials or 1
        self._measuring: dict[int, Measuring] = {}  # by the number of candidates in a run

    @property
    def seed(self) -> int:
        return self.simulation.settings.seed

    def parameters(self) -> dict[str, Array]:
        raw = self.simulation.raw_parameters()
        return {name: raw[name] for name in self.names}

    def set_parameters(self, raw: Mapping[str, Array]) -> None:
        self.simulation.set_raw_parameters(raw)

    def projected(self, raw: Mapping[str, Array]) -> dict[str, Array]:
        simulation, module = self.simulation, self.simulation.plain
        if "project" not in module.functions:
            return dict(raw)
        function = module.function("project")
        whole = simulation.in_layout(module, simulation.raw_parameters() | dict(raw))
        given = {value.name: whole[value.name] for value in function.inputs}
        found = simulation.in_written(module, run(function, given, simulation.sizes, module.layout))
        return {name: found.get(name, np.asarray(array)) for name, array in raw.items()}

    def values(self, candidates: Sequence[Mapping[str, Array]], generation: int) -> Iterator[float]:
        """All candidates of a generation share a run where they can; one that diverges makes each have its own."""
        first = self.reserved + generation * self.trials
        try:
            together = self._together(candidates, first)
        except SpecError as error:
            if not only_diverged(error):
                raise
            together = None
        if together is not None:
            yield from together
            return
        for candidate in candidates:
            self.set_parameters(candidate)
            yield self._alone(first)

    def _together(self, candidates: Sequence[Mapping[str, Array]], first: int) -> list[float] | None:
        if len(candidates) < 2 or not side_by_side_fits(self.plan):
            return None
        count = len(candidates)
        try:
            if count not in self._measuring:
                self._measuring[count] = self._made(count)
            found = self._measuring[count].side_by_side(candidates, first_trial=first)
        except (RuleError, ValueError):  # a line of the circuit has no form for each trial
            return None
        return [float(one[self.search.objective]) for one in found]

    def _alone(self, first: int) -> float:
        try:
            if 1 not in self._measuring:
                self._measuring[1] = self._made(1)
            return float(self._measuring[1](first_trial=first)[self.search.objective])
        except SpecError as error:
            if only_diverged(error):
                return math.nan
            raise

    def _made(self, count: int) -> Measuring:
        simulation, search = self.simulation, self.search
        given = read_inputs(simulation.model, simulation.plain, {}, self.trials * count)
        steps = simulation.steps(search.duration) if runs(self.plan) else 0
        warm_up = whole_steps(search.settling or 0.0, simulation.settings.dt or 1.0)
        each = self.names if count > 1 else ()
        return Measuring.of(simulation, self.plan, given, steps=steps, warm_up=warm_up, each=each)

    def value_and_gradient(self) -> tuple[float, dict[str, Array]]:
        return value_and_gradient(self.simulation, self.plan, self.search.objective, self.names)


def only_diverged(error: SpecError) -> bool:
    """Whether a run left the finite numbers, and nothing else is wrong."""
    return all(one.code == "CS915" for one in error.diagnostics)


def trained_names(simulation: Simulation, parameters: tuple[str, ...]) -> tuple[str, ...]:
    """What `parameters = [...]` of a `train` section names, of groups their members; all that is trainable without it."""
    if not parameters:
        return simulation.trainable
    chosen: set[str] = set()
    for path in parameters:
        chosen |= {path, *_members(simulation, path)}
    return tuple(name for name in simulation.trainable if name in chosen)


def _members(simulation: Simulation, path: str) -> list[str]:
    """`exc.b0` of a group `exc` is that of each member."""
    groups: list[Any] = [one for one in simulation.model.groups if path.startswith(f"{one.path}.")]
    return [f"{member}.{path.removeprefix(f'{one.path}.')}" for one in groups for member in one.members]


__all__ = ["MeasuredObjective", "trained_names"]
