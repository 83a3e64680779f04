"""The whole suite as tasks, in the order in which a backend's author wants to see them: operations, loops, draws, circuits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortexspec.contracts.backend import Backend
from cortexspec.testing.adaptive import adaptive_row
from cortexspec.testing.bits import bits_rows
from cortexspec.testing.cases import CMC, NETWORKS, READINGS, Case, cases, fast_cases
from cortexspec.testing.lowerings import loop_rows, operation_rows
from cortexspec.testing.parity import Row, check, judged, reason, verdict_of
from cortexspec.testing.settings import APART, DEFAULTS, GRADIENTS, OWN, SINGLE, Setting, matrix, pipelines
from cortexspec.testing.spike_statistics import statistics_rows
from cortexspec.testing.states import LONG, states_rows
from cortexspec.testing.states import SHORT as SHORT_STATES

SHORT = (23, 23)  # steps of values and gradients in the full matrix: segments of 5, and of 8 cut into 3, leave a rest


@dataclass(frozen=True)
class Task:
    """Some rows of the table. `title` is what a pattern picks by."""

    title: str
    about: str
    run: Callable[[], Iterable[Row]]

    def rows(self) -> Iterator[Row]:
        """Whatever goes wrong is a row too."""
        try:
            yield from self.run()
        except Exception as error:  # a backend under test may raise anything
            yield Row(self.title, self.about, "", np.inf, 0.0, verdict=verdict_of(error), note=reason(error))


def tasks(
    backend: Backend,
    *,
    fast: bool = False,
    everything: bool = False,
    wanted: Callable[[str], bool] = lambda title: True,
) -> list[Task]:
    """`fast`: a circuit once, and one under every solver. `everything`: each pass alone and left out, and gradients under every save
    policy, nesting and kind. `wanted` picks tasks by their title.
    """
    found = [
        Task("operations", "each kind", lambda: operation_rows(backend, layouts=2 if everything else 1)),
        Task("loops", "each kind", lambda: loop_rows(backend, everything)),
        Task("random draws", "bit by bit", lambda: bits_rows(backend)),
        Task("binary states", "step by step", lambda: states_rows(backend, LONG if everything else SHORT_STATES)),
    ]
    for case in fast_cases() if fast else cases(everything):
        found += [_task(backend, case, setting) for setting in DEFAULTS]
        if case.name in {network.name for network in NETWORKS}:
            found.append(_task(backend, case, OWN, ("gradients",)))
    single = CMC if everything else READINGS[:1] if fast else READINGS
    found += [_task(backend, case, SINGLE) for case in single]
    found += [_task(backend, case, APART) for case in (CMC[:1] if fast else CMC)]
    found += _adaptive(backend, fast, everything)
    if everything:
        found.append(Task("lif network statistics", SINGLE.name, lambda: statistics_rows(backend)))
        found += _matrix(backend)
    return [task for task in found if wanted(task.title)]


def rows(
    backend: Backend,
    *,
    fast: bool = False,
    everything: bool = False,
    wanted: Callable[[str], bool] = lambda title: True,
) -> Iterator[Row]:
    """The rows of all tasks."""
    for task in tasks(backend, fast=fast, everything=everything, wanted=wanted):
        yield from task.rows()


def _adaptive(backend: Backend, fast: bool, everything: bool) -> Iterator[Task]:
    """Every solver on one reading, the first on all others."""
    solvers = tuple(backend.adaptive_solvers)
    for case in READINGS[:1] if fast else (*READINGS, *NETWORKS[:1]):
        for solver in solvers if everything or case == READINGS[0] else solvers[:1]:
            one = replace(case, solver=solver)
            for setting in DEFAULTS[: None if everything else 1]:
                yield Task(one.title, setting.name, lambda one=one, s=setting: _judged(backend, adaptive_row, one, s))


def _judged(
    backend: Backend, row: Callable[[Backend, Case, Setting], Row], case: Case, setting: Setting
) -> Iterator[Row]:
    yield judged(row(backend, case, setting), backend.name)


def _matrix(backend: Backend) -> Iterator[Task]:
    """One reading under every pipeline x save policy x nesting; the other circuits take turns.

    The kinds of gradients take turns too, but for the pipeline as a whole and none, which have them all.
    """
    every = tuple(pipelines(backend.pipeline))
    whole, others = CMC[0].shorter(*SHORT), tuple(case.shorter(*SHORT) for case in CMC[1:])
    for place, setting in enumerate(every[len(DEFAULTS) :]):
        for case in (whole, others[place % len(others)]):
            yield _task(backend, case, setting, ("values", "gradients"))
    for place, setting in enumerate(matrix(DEFAULTS)):
        yield _task(backend, whole, setting, ("gradients",))
        yield _task(backend, others[place % len(others)], setting, ("gradients",))
    kinds = len(GRADIENTS)
    for place, setting in enumerate(matrix(every[len(DEFAULTS) :])):
        if place % kinds == (place // kinds) % kinds:
            yield _task(backend, whole, setting, ("gradients",))


def _task(backend: Backend, case: Case, setting: Setting, quantities: Sequence[str] = ()) -> Task:
    told = ("values", "gradients", "differences") if setting == DEFAULTS[0] else ("values", "gradients")
    return Task(case.title, setting.name, lambda: check(backend, case, setting, tuple(quantities) or told))
