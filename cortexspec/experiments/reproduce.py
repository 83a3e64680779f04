"""`reproduce`: run the cells that claims name (only those that no earlier run finished), judge the claims, keep the table."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.cells import CellStore, Result, as_kept, now
from cortexspec.experiments.claim import BASE, CellKey, Grid, Row, judge, needed_cells
from cortexspec.experiments.executors import opened
from cortexspec.experiments.session import AUTO, Choice, ExperimentRead, Session, read_experiments
from cortexspec.experiments.shown_units import ShownUnits
from cortexspec.experiments.statistics import Spread, Verdict
from cortexspec.experiments.train import Report
from cortexspec.ir.op import Array
from cortexspec.runtime.registry import require_backend, versions

WHEN_ASKED = ("smoke", "parity", "demo", "full")  # profiles: small versions of a paper, and what takes hours
Status = Literal["kept", "ran", "failed"]


@dataclass(frozen=True, slots=True)
class Task:
    """One cell with one seed: everything a worker needs to run it."""

    choice: Choice
    cell: CellKey
    seed: int
    key: str
    store: Path
    units: ShownUnits = field(default=ShownUnits(), compare=False)  # for who follows


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell has no result: in a line, and all there is to read about it; diagnostics where the spec is wrong."""

    reason: str
    details: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


class Watch(Protocol):
    """Who follows a sweep."""

    def begin(self, tasks: Sequence[Task]) -> None:
        """Every cell of it, before the first is looked for."""
        ...

    def ended(self, task: Task, outcome: Result | Failure, status: Status) -> None:
        """A cell was found, ran, or failed."""
        ...

    def drawing(self) -> None:
        """All cells are over, and their figures are drawn, for which networks may run again."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """What `reproduce` gives: the rows by experiment, each cell's results by seed, in coherent units, and why a cell did not run or
    failed.

    `addresses`: where each cell with its seed is kept. `seconds`: how long the call took.
    """

    rows: Mapping[str, tuple[Row, ...]]
    results: Mapping[CellKey, Mapping[int, Result]]
    not_run: Mapping[CellKey, str] = field(default_factory=dict[CellKey, str])
    grids: Mapping[str, Grid] = field(default_factory=dict[str, Grid])
    failures: Mapping[CellKey, Mapping[int, Failure]] = field(default_factory=dict[CellKey, Mapping[int, Failure]])
    addresses: Mapping[tuple[CellKey, int], str] = field(default_factory=dict[tuple[CellKey, int], str])
    seconds: float = 0.0

    def measure(self, cell: CellKey, name: str) -> Array:
        """A measure over the seeds [seed, own...]; NaN where a seed diverged or failed."""
        return _over_seeds(self.results[cell], self.failures.get(cell, {}), name)

    def units(self, experiment: str) -> ShownUnits:
        """Those that people read."""
        grid = self.grids.get(experiment)
        return grid.units if grid is not None else ShownUnits()

    @property
    def shown(self) -> tuple[str, ...]:
        """The experiments that there is something to tell about."""
        ran = {cell.experiment for cell in self.results}
        return tuple(name for name, rows in self.rows.items() if rows or name in ran)

    @property
    def failed(self) -> bool:
        """Whether a claim fails (`--strict`)."""
        return any(row.verdict.word == "fails" for rows in self.rows.values() for row in rows)

    @property
    def broken(self) -> bool:
        """Whether a cell failed to run."""
        return any(self.failures.values())


def run_task(task: Task, report: Report | None = None) -> Result:
    """Runs one cell and keeps its result before giving it; gives the one that is kept where somebody else was faster."""
    started = time.perf_counter()
    store = CellStore(task.store)
    found = store.find(task.key)
    if found is not None:
        return found
    with store.running(task.key):
        session = Session.open(task.choice, task.cell, task.seed, task.store)
        result = session.result(report=report)
        made = {"at": now(), **versions(session.choice.backend)}
        result = replace(result, seconds=time.perf_counter() - started, made=made)
        store.keep(task.key, session.description, result)
    return result


def reproduce(
    choice: Choice,
    experiments: Sequence[str] = (),
    *,
    profile: str = "",
    store: Path,
    workers: int | None = None,
    executor: Executor | str = "local",
    watch: Watch | None = None,
    run: Callable[[Task], Result] = run_task,
    only_kept: bool = False,
) -> Table:
    """Runs what the claims of the named experiments need (default: every one but those of a profile) and judges them; one that is
    named and claims nothing runs whole, every variant at every point.

    An experiment whose name is `PROFILE` or ends in `_PROFILE` belongs to a profile; those of `smoke`, `parity`, `demo` and `full`
    run when they are asked for alone. Results are kept in `store` as each cell ends; a later call finds them. A cell whose data is
    absent is `not run`; a diverged one is a result; one that fails is named in the table and stops no other.

    `executor`: one of `concurrent.futures`, or the name of one (`experiments.executors`); its workers must see `store` and the
    spec. `workers`: how many cells run at one time; 0 runs them in this process. `only_kept`: judge what is there, run nothing.
    Raises: SpecError for a spec that does not check, for an experiment that it does not have, for a backend or an executor that
    is not installed, and for a folder that cannot be written to or that another sweep uses.
    """
    started = time.perf_counter()
    if choice.backend != AUTO:
        require_backend(choice.backend)
    read = read_experiments(choice)
    _check_names(experiments, read)
    chosen = [name for name in read if _belongs(name, experiments, profile)]
    grids = {name: experiment.grid for name, experiment in read.items()}
    cells = list(dict.fromkeys(cell for name in chosen for cell in _cells_of(read[name], grids, name in experiments)))
    results: dict[CellKey, dict[int, Result]] = {cell: {} for cell in cells}
    failures: dict[CellKey, dict[int, Failure]] = {}
    wanted, not_run = _addressed(choice, cells, grids, store)

    def ended(key: str, outcome: Result | Failure, status: Status) -> None:
        for same in wanted[key]:
            if isinstance(outcome, Failure):
                failures.setdefault(same.cell, {})[same.seed] = outcome
            else:
                results[same.cell][same.seed] = outcome
        if watch is not None:
            watch.ended(wanted[key][0], outcome, status)

    if watch is not None:
        watch.begin([first for first, *_ in wanted.values()])
    kept = CellStore(store)
    with nullcontext() if only_kept else kept.held():
        missing: list[Task] = []
        for key, (first, *_) in wanted.items():
            result = kept.find(key)
            if result is None:
                missing.append(first)
            else:
                ended(key, result, "kept")
        if only_kept:
            not_run |= _not_finished(cells, grids, results, not_run)
        elif missing:
            for task, outcome in run_all(run, _by_what_they_read(missing), executor, workers, store):
                if isinstance(outcome, Failure):
                    ended(task.key, outcome, "failed")
                else:
                    ended(task.key, as_kept(outcome), "ran")
    why_not = {**not_run, **{cell: _failed(cell, by_seed) for cell, by_seed in failures.items()}}
    rows = {name: tuple(_judged(read[name], grids, results, why_not)) for name in chosen}
    addresses = {(task.cell, task.seed): key for key, tasks in wanted.items() for task in tasks}
    seconds = time.perf_counter() - started
    seen = {name: grids[name] for name in dict.fromkeys([*chosen, *(cell.experiment for cell in cells)])}
    return Table(rows, results, not_run, seen, failures, addresses, seconds)


def run_all(
    run: Callable[[Task], Result],
    tasks: Sequence[Task],
    executor: Executor | str = "local",
    workers: int | None = None,
    folder: Path = Path(),
) -> Iterator[tuple[Task, Result | Failure]]:
    """Each task with its outcome, in the order they finish; one that fails is an outcome as well.

    Raises: SpecError CS919 where results cannot be written, for there is no use in more of them; what `opened` raises.
    """
    attempt = partial(_attempt, run)
    if workers == 0:
        for task in tasks:
            yield task, _writable(attempt(task))
        return
    with opened(executor, workers, folder) as pool:
        futures = {pool.submit(attempt, task if executor == "local" else _elsewhere(task)): task for task in tasks}
        try:
            for future in as_completed(futures):
                task = futures[future]
                try:
                    outcome = future.result()
                except Exception as error:  # of the executor: a worker that was lost, a job that was refused
                    outcome = Failure(f"{error}" or type(error).__name__)
                yield task, _writable(outcome)
        finally:
            for future in futures:
                future.cancel()


def _attempt(run: Callable[[Task], Result], task: Task) -> Result | Failure:
    """In the worker, where the traceback is."""
    try:
        return run(task)
    except SpecError as error:
        first = error.diagnostics[0]
        return Failure(f"{first.code}: {first.message}", str(error), error.diagnostics, error.sources)
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())


def _writable(outcome: Result | Failure) -> Result | Failure:
    if isinstance(outcome, Failure) and any(one.code == "CS919" for one in outcome.diagnostics):
        raise SpecError(outcome.diagnostics, dict(outcome.sources))
    return outcome


def _elsewhere(task: Task) -> Task:
    """With paths that mean the same in a process that started in another folder."""
    data = None if task.choice.data is None else task.choice.data.absolute()
    return replace(
        task, choice=replace(task.choice, file=task.choice.file.absolute(), data=data), store=task.store.absolute()
    )


def _addressed(
    choice: Choice, cells: Sequence[CellKey], grids: Mapping[str, Grid], store: Path
) -> tuple[dict[str, list[Task]], dict[CellKey, str]]:
    """Tasks by address, for cells of several experiments may be one; and the cells whose data are absent."""
    wanted: dict[str, list[Task]] = {}
    not_run: dict[CellKey, str] = {}
    for cell in cells:
        for seed in grids[cell.experiment].seeds:
            try:
                key = Session.address(choice, cell, seed)
            except SpecError as error:
                if any(diagnostic.code != "CS901" for diagnostic in error.diagnostics):
                    raise
                not_run[cell] = error.diagnostics[0].message
                continue
            wanted.setdefault(key, []).append(Task(choice, cell, seed, key, store, grids[cell.experiment].units))
    return wanted, not_run


def _not_finished(
    cells: Sequence[CellKey],
    grids: Mapping[str, Grid],
    results: Mapping[CellKey, Mapping[int, Result]],
    known: Mapping[CellKey, str],
) -> dict[CellKey, str]:
    found: dict[CellKey, str] = {}
    for cell in cells:
        absent = [seed for seed in grids[cell.experiment].seeds if seed not in results[cell]]
        if absent and cell not in known:
            found[cell] = f"not finished: {_seeds(absent)} of `{cell.variant}`"
    return found


def _failed(cell: CellKey, by_seed: Mapping[int, Failure]) -> str:
    first = next(iter(by_seed.values()))
    return f"failed: {_seeds(list(by_seed))} of `{cell.variant}`: {first.reason}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"


def _by_what_they_read(tasks: Sequence[Task]) -> list[Task]:
    """Cells that read the same recording follow each other, for a worker keeps the last ones that it made; and so do those of
    an experiment that have one seed, for it keeps the last connections too."""
    together: dict[tuple[str, ...], list[Task]] = {}
    places = {name: place for place, name in enumerate(dict.fromkeys(task.cell.experiment for task in tasks))}
    for task in sorted(tasks, key=lambda task: (places[task.cell.experiment], task.seed)):
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


def _cells_of(experiment: ExperimentRead, grids: Mapping[str, Grid], named: bool) -> Iterable[CellKey]:
    """The cells its claims read, and base at every point; all of one that is named and claims nothing."""
    grid = experiment.grid
    if not (experiment.claims or named):
        return
    for variant in (BASE,) if experiment.claims else (BASE, *grid.variants):
        for point in grid.points():
            yield CellKey(grid.experiment, variant, point)
    for claim in experiment.claims:
        yield from needed_cells(claim, grids, grid.experiment)


def _judged(
    experiment: ExperimentRead,
    grids: Mapping[str, Grid],
    results: Mapping[CellKey, Mapping[int, Result]],
    not_run: Mapping[CellKey, str],
) -> Iterable[Row]:
    def lookup(cell: CellKey, measure: str) -> Array:
        return _over_seeds(results[cell], {}, measure)

    for claim in experiment.claims:
        missing = [cell for cell in needed_cells(claim, grids, experiment.grid.experiment) if cell in not_run]
        if missing:
            yield Row(
                claim, claim.row, Verdict("not run", not_run[missing[0]]), Spread(np.nan, np.nan, np.nan, np.nan, 0)
            )
        else:
            yield from judge(claim, grids, experiment.grid.experiment, lookup)


def _over_seeds(by_seed: Mapping[int, Result], failures: Mapping[int, Failure], measure: str) -> Array:
    values: dict[int, Array | None] = dict.fromkeys(failures)
    for seed, result in by_seed.items():
        known = not result.diverged and measure in result.measures
        values[seed] = np.asarray(result.measures[measure]) if known else None
    shape = next((value.shape for value in values.values() if value is not None), ())
    return np.array([np.full(shape, np.nan) if value is None else value for _, value in sorted(values.items())])
