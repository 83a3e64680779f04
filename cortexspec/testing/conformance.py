"""The whole suite as tasks, in the order in which a backend's author wants to see them: operations, loops, draws, circuits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from cortexspec.contracts.backend import Backend
from cortexspec.testing.bits import bits_rows
from cortexspec.testing.cases import CMC, Case, cases, fast_cases
from cortexspec.testing.lowerings import loop_rows, operation_rows
from cortexspec.testing.parity import Row, check, reason
from cortexspec.testing.settings import DEFAULTS, SINGLE, Setting, matrix, pipelines

SHORT = (23, 23)  # steps of values and gradients in the full matrix: segments of 5, and of 8 cut into 3, leave a rest
IN_FULL = ("cmc euler",)  # under every pipeline x save policy x nesting x gradient; the others under the two defaults


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
            yield Row(self.title, self.about, "", np.inf, 0.0, verdict="failed", note=reason(error))


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
        Task("operations", "each alone", lambda: operation_rows(backend, layouts=2 if everything else 1)),
        Task("loops", "every plan", lambda: loop_rows(backend)),
        Task("random draws", "bit by bit", lambda: bits_rows(backend)),
    ]
    for case in fast_cases() if fast else cases():
        found += _of_case(backend, case, everything)
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


def _of_case(backend: Backend, case: Case, everything: bool) -> Iterator[Task]:
    for setting in DEFAULTS:
        more = ("differences",) if setting == DEFAULTS[0] else ()
        yield _task(backend, case, setting, ("values", "gradients", *more))
    if not everything or case not in euler_cases():
        return
    yield _task(backend, case, SINGLE, ("values", "gradients"))
    short = case.shorter(*SHORT)
    every = tuple(pipelines(backend.pipeline))
    for setting in every[len(DEFAULTS) :]:
        yield _task(backend, short, setting, ("values", "gradients"))
    for setting in matrix(every if case.title in IN_FULL else DEFAULTS):
        yield _task(backend, short, setting, ("gradients",))


def euler_cases() -> tuple[Case, ...]:
    """The circuits that run under the full matrix."""
    return tuple(replace(case, solver="euler") for case in CMC)


def _task(backend: Backend, case: Case, setting: Setting, quantities: tuple[str, ...]) -> Task:
    return Task(case.title, setting.name, lambda: check(backend, case, setting, quantities))
