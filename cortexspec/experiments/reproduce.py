"""`reproduce`: run the cells that claims name (only those that no earlier run finished), judge the claims, keep the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.cells import CellStore, Result
from cortexspec.experiments.claim import BASE, CellKey, Grid, Row, judge, needed_cells
from cortexspec.experiments.pool import run_all
from cortexspec.experiments.session import AUTO, Choice, ExperimentRead, Session, read_experiments
from cortexspec.experiments.statistics import Spread, Verdict
from cortexspec.experiments.train import Report
from cortexspec.ir.op import Array
from cortexspec.runtime.registry import require_backend

WHEN_ASKED = ("smoke", "parity", "demo", "full")  # profiles: small versions of a paper, and what takes hours
Status = Literal["kept", "ran", "not run"]
OnCell = Callable[
    ["Task", Result, Status, int, int], None
]  # the cell, its result, what happened, how many are done, of how many


@dataclass(frozen=True, slots=True)
class Task:
    """One cell with one seed: everything a worker needs to run it."""

    choice: Choice
    cell: CellKey
    seed: int
    key: str
    store: Path


@dataclass(frozen=True, slots=True)
class Table:
    """What `reproduce` gives: the rows by experiment, each cell's results by seed, and why a cell did not run."""

    rows: Mapping[str, tuple[Row, ...]]
    results: Mapping[CellKey, Mapping[int, Result]]
    not_run: Mapping[CellKey, str] = field(default_factory=dict[CellKey, str])
    grids: Mapping[str, Grid] = field(default_factory=dict[str, Grid])

    def measure(self, cell: CellKey, name: str) -> Array:
        """A measure over the seeds [seed, own...]; NaN where a seed diverged."""
        return _over_seeds(self.results[cell], name)

    @property
    def failed(self) -> bool:
        """Whether a claim fails (`--strict`)."""
        return any(row.verdict.word == "fails" for rows in self.rows.values() for row in rows)


def run_task(task: Task, report: Report | None = None) -> Result:
    """Runs one cell and keeps its result before giving it."""
    session = Session.open(task.choice, task.cell, task.seed, task.store)
    result = session.result(report=report)
    CellStore(task.store).keep(task.key, session.description, result)
    return result


def reproduce(
    choice: Choice,
    experiments: Sequence[str] = (),
    *,
    profile: str = "",
    store: Path,
    workers: int | None = None,
    executor: Executor | None = None,
    on_cell: OnCell | None = None,
    run: Callable[[Task], Result] = run_task,
) -> Table:
    """Runs what the claims of the named experiments need (default: every one but those of a profile) and judges them.

    An experiment whose name is `PROFILE` or ends in `_PROFILE` belongs to a profile; those of `smoke`, `parity`, `demo` and `full`
    run when they are asked for alone. Results are kept in `store` as each cell ends; a later call finds them. A cell whose data is
    absent is `not run`; a diverged one is a result. Raises: SpecError for a spec that does not check, for an experiment that
    it does not have, and for a backend that is not installed.
    """
    if choice.backend != AUTO:
        require_backend(choice.backend)
    read = read_experiments(choice)
    _check_names(experiments, read)
    chosen = [name for name in read if _belongs(name, experiments, profile)]
    grids = {name: experiment.grid for name, experiment in read.items()}
    cells = list(dict.fromkeys(cell for name in chosen for cell in _cells_of(read[name], grids)))
    results: dict[CellKey, dict[int, Result]] = {cell: {} for cell in cells}
    not_run: dict[CellKey, str] = {}
    wanted: dict[str, list[Task]] = {}  # by address: cells of several experiments may be one
    for cell in cells:
        for seed in grids[cell.experiment].seeds:
            try:
                key = Session.address(choice, cell, seed)
            except SpecError as error:
                if any(diagnostic.code != "CS901" for diagnostic in error.diagnostics):
                    raise
                not_run[cell] = error.diagnostics[0].message
                continue
            wanted.setdefault(key, []).append(Task(choice, cell, seed, key, store))
    done = 0

    def ended(key: str, result: Result, status: Status) -> None:
        nonlocal done
        done += 1
        for same in wanted[key]:
            results[same.cell][same.seed] = result
        if on_cell is not None:
            on_cell(wanted[key][0], result, status, done, len(wanted))

    kept = CellStore(store)
    missing: list[Task] = []
    for key, (first, *_) in wanted.items():
        result = kept.find(key)
        if result is None:
            missing.append(first)
        else:
            ended(key, result, "kept")
    for task, result in run_all(run, _by_what_they_read(missing), workers, executor):
        ended(task.key, result, "ran")
    rows = {name: tuple(_judged(read[name], grids, results, not_run)) for name in chosen}
    return Table(rows, results, not_run, {name: grids[name] for name in chosen})


def _by_what_they_read(tasks: Sequence[Task]) -> list[Task]:
    """Cells that read the same recording follow each other: a worker keeps the last ones that it made."""
    together: dict[tuple[str, ...], list[Task]] = {}
    for task in tasks:
        read = Session.reads(task.choice, task.cell, task.seed)
        together.setdefault(read or (task.key,), []).append(task)
    return [task for group in together.values() for task in group]


def _check_names(experiments: Sequence[str], read: Mapping[str, ExperimentRead]) -> None:
    """Raises: SpecError CS301."""
    for name in experiments:
        if name not in read:
            near = get_close_matches(name, list(read), 1)
            help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(read) or 'none'}"
            raise SpecError([Diagnostic("CS301", f"there is no experiment `{name}`", help=help)])


def _belongs(name: str, experiments: Sequence[str], profile: str) -> bool:
    if experiments:
        return name in experiments
    if profile:
        return _is_of(name, profile)
    return not any(_is_of(name, one) for one in WHEN_ASKED)


def _is_of(name: str, profile: str) -> bool:
    return name == profile or name.endswith(f"_{profile}")


def _cells_of(experiment: ExperimentRead, grids: Mapping[str, Grid]) -> Iterable[CellKey]:
    """The cells its claims read, and base at every point."""
    grid = experiment.grid
    if not experiment.claims:
        return
    for point in grid.points():
        yield CellKey(grid.experiment, BASE, point)
    for claim in experiment.claims:
        yield from needed_cells(claim, grids, grid.experiment)


def _judged(
    experiment: ExperimentRead,
    grids: Mapping[str, Grid],
    results: Mapping[CellKey, Mapping[int, Result]],
    not_run: Mapping[CellKey, str],
) -> Iterable[Row]:
    def lookup(cell: CellKey, measure: str) -> Array:
        return _over_seeds(results[cell], measure)

    for claim in experiment.claims:
        missing = [cell for cell in needed_cells(claim, grids, experiment.grid.experiment) if cell in not_run]
        if missing:
            yield Row(
                claim, claim.row, Verdict("not run", not_run[missing[0]]), Spread(np.nan, np.nan, np.nan, np.nan, 0)
            )
        else:
            yield from judge(claim, grids, experiment.grid.experiment, lookup)


def _over_seeds(by_seed: Mapping[int, Result], measure: str) -> Array:
    values: list[Any] = [
        np.nan if result.diverged else result.measures.get(measure, np.nan) for _, result in sorted(by_seed.items())
    ]
    return np.array(values)
