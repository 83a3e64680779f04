"""Explicit Runge-Kutta methods: a Butcher tableau becomes the function `step`.

Each stage evaluates `derivative`, couplings between neurons included, at its own time; inputs and states changed by `<-` are
held. So a method is of its order in what is continuous and undelayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Module, Value
from cortexspec.ir.ops import write
from cortexspec.passes.solvers.step import Slopes, step_with


@dataclass(frozen=True, slots=True)
class Tableau:
    """Row i of `stages` has the weights of earlier slopes in stage i + 1, `nodes[i]` the share of dt at which it stands.

    `weights` close the step.
    """

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


def step_of(module: Module, tableau: Tableau) -> Module:
    """Writes `step` from `derivative` and `update`. Shapes and units are the states'."""

    def integrate(build: Builder, slopes: Slopes, dt: Value) -> dict[str, Value]:
        found = [{name: slope for name, (_, slope) in slopes.states.items()}]

        def moved(weights: Sequence[float]) -> dict[str, Value]:
            return {
                name: _moved(build, state, [stage[name] for stage in found], weights, dt)
                for name, (state, _) in slopes.states.items()
            }

        for node, row in zip(tableau.nodes, tableau.stages, strict=True):
            found.append(dict(slopes.at(moved(row), node)))
        return moved(tableau.weights)

    return step_with(module, integrate)


def _moved(build: Builder, start: Value, slopes: Sequence[Value], weights: Sequence[float], dt: Value) -> Value:
    """start + dt * sum of weighted slopes."""
    total: Value | None = None
    for slope, weight in zip(slopes, weights, strict=True):
        if weight == 0:
            continue
        term = slope if weight == 1 else write.mul(build, write.const(build, weight), slope)
        total = term if total is None else write.add(build, total, term)
    return start if total is None else write.add(build, start, write.mul(build, dt, total))
