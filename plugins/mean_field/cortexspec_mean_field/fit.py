"""Parameters of a circuit from tuning curves, by maximum likelihood, with error bars from the observed information."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_mean_field.network import BalancedNetwork
from cortexspec_mean_field.theory import STEP, Closing, RiceTheory, moved, rice_theory

Array = np.ndarray[Any, Any]
_ITERATIONS, _SETTLED = 50, 1e-7
Build = Callable[[Mapping[str, Any]], BalancedNetwork]


@dataclass(frozen=True, slots=True)
class Fit:
    """`errors` are standard errors; `covariance` [parameter, parameter] is in the order of `values`."""

    values: Mapping[str, float]
    errors: Mapping[str, float]
    covariance: Array
    log_likelihood: float
    evaluations: int


class _Objective:
    """-log p and its gradient by the logarithms of the parameters; each solution starts from the one before."""

    def __init__(
        self,
        build: Build,
        names: tuple[str, ...],
        log_density: Callable[[RiceTheory], Any],
        order: float,
        closure: Closing,
    ):
        self.build, self.names, self.log_density, self.order, self.closure = build, names, log_density, order, closure
        self.near: RiceTheory | None = None
        self.evaluations = 0

    def __call__(self, logs: Array) -> tuple[float, Array]:
        self.evaluations += 1
        values = dict(zip(self.names, np.exp(logs), strict=True))
        try:
            theory = rice_theory(self.build(values), self.order, closure=self.closure, start=self.near)
        except SpecError:  # no such state: as unlikely as can be
            return np.inf, np.zeros_like(logs)
        found = self.log_density(theory)
        if not np.isfinite(found):
            return np.inf, np.zeros_like(logs)
        self.near = theory
        slopes = [
            np.imag(self.log_density(moved(theory, self.build({**values, name: values[name] * (1 + 1j * STEP)}))))
            / STEP
            for name in self.names
        ]
        return -float(found), -np.array(slopes)


def fit(
    build: Build,
    start: Mapping[str, float],
    log_density: Callable[[RiceTheory], Any],
    *,
    order: float = 2,
    closure: Closing = "poisson",
) -> Fit:
    """The parameters, all positive, of greatest likelihood from `start`: Newton's method in their logarithms.

    `build(parameters)` gives the network and `log_density(theory)` the log-likelihood of the data, both with complex numbers.
    Raises: SpecError where the theory has no solution at `start`, CS955 where the data cannot be there, or nothing is found.
    """
    names = tuple(start)
    objective = _Objective(build, names, log_density, order, closure)
    rice_theory(build(start), order, closure=closure)
    place = np.log([start[name] for name in names])
    value, slope = objective(place)
    if not np.isfinite(value):
        raise _lost("the data have no density at the start: some rates are above what neurons can reach there")
    for _ in range(_ITERATIONS):
        information = _information(objective, place)
        step = -np.linalg.solve(_upward(information), slope)
        place, value, slope, moved_on = _backtrack(objective, place, value, slope, step)
        if not moved_on or np.abs(step).max() < _SETTLED:
            break
    else:
        raise _lost("the likelihood has no maximum that Newton's method comes to from this start")
    values, information = np.exp(place), _information(objective, place)
    if np.linalg.eigvalsh(information).min() <= 0:
        raise _lost("the likelihood is flat in some direction, so the data do not tell these parameters apart")
    covariance = np.linalg.inv(information) * np.outer(values, values)
    return Fit(
        dict(zip(names, values.tolist(), strict=True)),
        dict(zip(names, np.sqrt(np.diag(covariance)).tolist(), strict=True)),
        covariance,
        -value,
        objective.evaluations,
    )


def _backtrack(
    objective: _Objective, place: Array, value: float, slope: Array, step: Array
) -> tuple[Array, float, Array, bool]:
    """As far along the step as -log p falls: a factor of e in a parameter at most."""
    step = step / max(1.0, np.abs(step).max())
    for _ in range(30):
        found, its_slope = objective(place + step)
        if found < value:
            return place + step, found, its_slope, True
        step = step / 2
    return place, value, slope, False


def _upward(information: Array) -> Array:
    """The same with curvatures made positive."""
    sizes, directions = np.linalg.eigh(information)
    return directions @ np.diag(np.maximum(np.abs(sizes), 1e-6 * np.abs(sizes).max())) @ directions.T


def _lost(what: str) -> SpecError:
    return SpecError([Diagnostic("CS955", f"no fit: {what}", help="start nearer, or fit fewer parameters")])


def _information(objective: _Objective, place: Array, step: float = 1e-4) -> Array:
    """Second derivatives of -log p, by differences of its gradient."""
    rows = [(objective(place + e)[1] - objective(place - e)[1]) / (2 * step) for e in step * np.eye(len(place))]
    return (np.array(rows) + np.array(rows).T) / 2
