"""One cell with one seed: its circuit compiled, its data read, trained and measured."""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.analysis.apply_variant import Cell, Merged, cell_of, merge_like
from cortexspec.analysis.data_sets import check_dataset, signature_of
from cortexspec.analysis.draws import hangs_on_draws
from cortexspec.analysis.elaborate import (
    around_of,
    check_cell,
    circuit_of,
    experiments_of,
    library_of,
    model_of_cell,
    time_unit_of,
)
from cortexspec.analysis.model import ClaimModel, ExperimentModel, Model
from cortexspec.analysis.report import Report
from cortexspec.analysis.training import OBJECTIVES, running_mean
from cortexspec.contracts.backend import Options, Recipe, Trainer
from cortexspec.contracts.dataset import Dataset, DatasetEntry, Field, Places, Split
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.across import (
    Elsewhere,
    Known,
    Lookup,
    evaluate,
    lets_elsewhere,
    read_by,
    reads,
    settled,
)
from cortexspec.experiments.cells import CellStore, Result, address
from cortexspec.experiments.claim import BASE, CellKey, Grid, number_of, units_written
from cortexspec.experiments.images import IMAGES
from cortexspec.experiments.objective import MeasuredObjective, trained_names
from cortexspec.experiments.optimise import OF_OBJECTIVE, Search, optimise
from cortexspec.experiments.settings import claims_of, grid_of, parameters_of, plan_of, search_of, section
from cortexspec.experiments.shown_units import ShownUnits
from cortexspec.experiments.train import Plan, check_streams, train
from cortexspec.experiments.train import Report as TrainReport
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.ir.op import Array
from cortexspec.language.print_spec import print_spec
from cortexspec.lowering import entries
from cortexspec.lowering.readout import Readout
from cortexspec.runtime.api import input_sizes, source_of
from cortexspec.runtime.compile import Source, Wanted, experiment_of, require_plugins
from cortexspec.runtime.data_files import DataFiles
from cortexspec.runtime.dynamics import Flow, spectrum
from cortexspec.runtime.given import read_inputs
from cortexspec.runtime.measure import moves_by_itself, need_a_run, recorded, runs
from cortexspec.runtime.measure import plan_of as measures_apart
from cortexspec.runtime.quantities import whole_steps
from cortexspec.runtime.read import SUFFIXES
from cortexspec.runtime.registry import first_backend, load_backend
from cortexspec.runtime.simulation import Loaded, Settings, Simulation
from cortexspec.runtime.statistics import Computed, computed, that_are_matrices, that_need_statistics
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Experiment, Spec, Template
from cortexspec.units import DIMENSIONLESS

DATASETS: Mapping[str, DatasetEntry] = {entry.name: entry for entry in (IMAGES,)}
AUTO = "auto"
_AT_ONCE = 1000  # held-out trials in one call


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose: which file, which engine, which data folder.

    The backend `auto` is what is fastest for an experiment, of those that are installed: torch to train by a gradient circuits of
    neurons without matrices of their own, else JAX.
    """

    file: Path
    backend: str = "torch"
    dtype: str = "float32"
    data: Path | None = None
    gradient: str = "auto"


@dataclass(frozen=True, slots=True)
class ExperimentRead:
    """An experiment as `reproduce` needs it."""

    merged: Merged
    grid: Grid
    claims: tuple[ClaimModel, ...]


def read_experiments(choice: Choice) -> dict[str, ExperimentRead]:
    """Every experiment of the file, `like` resolved, with the units of what it measures where it checks.

    Raises: SpecError with every mistake of `like`, and for a circuit that is not there.
    """
    source = source_with_data(choice)
    report = Report()
    experiments = experiments_of(source.spec)
    read: dict[str, ExperimentRead] = {}
    library = library_of(source.spec, source.used, Report(), source.plugins, source.data)
    around = around_of(source.spec, Report())
    for name in experiments:
        merged = merge_like(experiments, name, report)
        if merged is not None and circuit_of(library, merged.circuit, report) is not None:
            wrong = Report()
            asked, model = check_cell(source.spec, library, merged, "", around, wrong)
            claims, grid = tuple(claims_of(merged.body)), grid_of(name, merged.body)
            drawn = grid.seeded or bool(asked and model and hangs_on_draws(asked, model, library))
            units = ShownUnits() if asked is None or wrong.failed else _units_of(asked, claims)
            grid = replace(grid, seeded=drawn, units=units)
            read[name] = ExperimentRead(merged, grid, claims)
    _require(report, source)
    return read


def _units_of(experiment: ExperimentModel, claims: Sequence[ClaimModel]) -> ShownUnits:
    """What an epoch tells of a measure that is optimised has its unit."""
    measured = {one.name: one.unit for one in experiment.measures if one.unit is not None}
    optimised = [print_expression(value) for word, value in (experiment.train or {}).items() if word in OBJECTIVES]
    told = {name: measured[one] for one in optimised if one in measured for name in OF_OBJECTIVE}
    return ShownUnits({**told, **measured}, units_written(claims))


@dataclass(frozen=True, slots=True)
class _Data:
    dataset: Dataset | None
    text: str


class Session:
    """A compiled cell. `description` is everything that its result depends on; its hash is the cell's address."""

    def __init__(self, choice: Choice, key: CellKey, seed: int, store: Path | None = None):
        source, cell, merged, known = _settled(choice, key, seed, store)
        choice = _with_backend(choice, cell)
        self.choice, self.key, self.seed = choice, key, seed
        self.body = cell.body
        self.data = _data_of(choice, cell.body, source, seed)
        self.description = _description(choice, key, seed)
        library = library_of(source.spec, source.used, Report(), source.plugins, source.data)
        model, found = model_of_cell(cell, library, time_unit_of(merged))
        if model is None:
            raise SpecError(found, dict(source.sources))
        require_plugins(source, found)
        self.train_section = section(cell.body, "train")
        searches = bool({"maximize", "minimize"} & self.train_section.keys())
        if searches:  # judged whole, and at its place, before anything is compiled
            experiment_of(source, key.experiment, key.variant, {k: v for k, v in key.point if k != "wiring"})
        simulate = section(cell.body, "simulate")
        self.search: Search | None = search_of(self.train_section, simulate) if searches else None
        self.plan: Plan | None = plan_of(self.train_section) if self.train_section and not searches else None
        if self.plan is not None and self.data.dataset is not None:
            check_streams(self.plan, self.data.dataset)
        shapes: dict[str, Sequence[int]] = {}
        if self.data.dataset is not None:
            fields = self.data.dataset.train.fields
            shapes = {n: f.array.shape[len(f.axes) :] for n, f in fields.items() if n in model.inputs}
        settings = Settings(
            backend=choice.backend,
            options=Options(dtype=_dtype(choice.dtype), gradient=_gradient(choice.gradient)),
            solver=_word(simulate.get("solver"), "euler"),
            dt=number_of(simulate["dt"]) if "dt" in simulate else None,
            duration=self._duration(simulate),
            seed=seed,
            wiring=int(number_of(simulate["wiring"])) if "wiring" in simulate else None,
            sizes=input_sizes(model, shapes),
            wired=bool(self.train_section or self.data.dataset) or not _is_found_without_connections(cell, model),
        )
        stimuli = _stimuli(cell.body)
        self.inputs: dict[str, Array] = {}
        for name in [name for name, value in stimuli.items() if known.reads(value)]:
            self.inputs[name] = known.frames(stimuli.pop(name))
        backend = load_backend(choice.backend)
        self.simulation = Simulation(model, backend, settings, sources=source.sources, stimuli=stimuli)
        measures = {one.name: one.value for one in cell.body if isinstance(one, written.Measure)}
        names = {**_lets(cell.body), **measures}
        defined = {name: one for name, one in measures.items() if not _speaks_of(one, cell.removed, names)}
        self.running = {name: inner for name, one in defined.items() if (inner := running_mean(one)) is not None}
        apart = that_need_statistics(defined, _lets(cell.body), entries.statistics(model))
        apart |= that_are_matrices(defined, _lets(cell.body), model)
        self.statistics = {name: one for name, one in defined.items() if name in apart}
        self.measures = {name: one for name, one in defined.items() if name not in {*self.running, *apart}}
        self.trials_of_run = int(number_of(simulate["trials"])) if "trials" in simulate else 1
        self.warm_up = number_of(simulate["warm_up"]) if "warm_up" in simulate else 0.0
        self._check_gathered(source)
        self._loaded: Loaded | None = None
        self._evaluated: Loaded | None = None

    @staticmethod
    def open(choice: Choice, key: CellKey, seed: int, store: Path | None = None) -> Session:
        """`store`: where results of other experiments that this one reads are found, and kept.

        Raises: SpecError for a cell that does not check, or whose data are not there (CS901).
        """
        return Session(choice, key, seed, store)

    def on(self, backend: str) -> Simulation:
        """The cell's circuit on another backend, as it is before training."""
        one = self.simulation
        settings = replace(one.settings, backend=backend)
        return Simulation(one.model, load_backend(backend), settings, sources=one.sources, stimuli=one.stimuli)

    @staticmethod
    def address(choice: Choice, key: CellKey, seed: int) -> str:
        """Where the cell's result is kept. Raises: SpecError CS901 where its data are not there."""
        return address(_description(choice, key, seed))

    @staticmethod
    def describe(choice: Choice, key: CellKey, seed: int) -> Mapping[str, Any]:
        """Everything that the cell's result depends on. Raises: SpecError CS901 where its data are not there."""
        return _description(choice, key, seed)

    def _duration(self, simulate: Mapping[str, tree.Expression]) -> float | None:
        """Of a run, in coherent units; `dataset.length` frames of `dt` each. Raises: SpecError CS916 where those are not known."""
        value = simulate.get("duration")
        if value is None or print_expression(value) != "dataset.length":
            return None if value is None else number_of(value)
        length = None if self.data.dataset is None else self.data.dataset.length
        if length is None or "dt" not in simulate:
            message = (
                "the length of the data set is not known" if length is None else "the length of a step is not known"
            )
            raise SpecError([Diagnostic("CS916", message, value.span, help="write the duration, and `dt`")])
        return length * number_of(simulate["dt"])

    @staticmethod
    def reads(choice: Choice, key: CellKey, seed: int) -> tuple[str, ...]:
        """The addresses of the cells of other experiments that this one reads."""
        return tuple(sorted(set(_description(choice, key, seed).get("reads", {}).values())))

    # What the training loop needs.

    @property
    def dataset(self) -> Dataset:
        if self.data.dataset is None:
            message = f"the experiment `{self.key.experiment}` trains without a data set"
            raise SpecError([Diagnostic("CS923", message, help='write `dataset = images("mnist")`')])
        return self.data.dataset

    @property
    def trials(self) -> int:
        return len(self.dataset.train)

    def trainable(self) -> Sequence[str]:
        read = {value.name for value in self.loaded.module.function("loss").inputs}
        chosen = trained_names(self.simulation, parameters_of(self.train_section))
        return [name for name in chosen if name in read]

    def trainer(self, recipe: Recipe) -> Trainer:
        return self.loaded.simulator.trainer(recipe)

    def batch(self, places: Array, first_trial: int) -> Mapping[str, Array]:
        return self._arguments("loss", self.dataset.train.batch(places), first_trial)

    @property
    def carried(self) -> Mapping[str, str]:
        return {name: f"{name}[time = end]" for name in self.simulation.states}

    def anew(self, places: Array, first_trial: int) -> Mapping[str, Array]:
        return self._begun(self.dataset.train.batch(places), first_trial)

    def after(self, segment: int) -> Mapping[str, Array]:
        return {"n": np.array(segment * self.simulation.steps())}

    def _begun(self, fields: Mapping[str, Field], first_trial: int) -> Mapping[str, Array]:
        """All states at the start of these trials."""
        found = self.loaded.simulator.call("init", self._arguments("init", fields, first_trial))
        return {name: found[name] for name in self.simulation.states}

    @property
    def _carries(self) -> bool:
        """Whether a segment begins with the states in which the one before it ended."""
        return self.plan is not None and self.plan.carry_state

    def held_out(self) -> Mapping[str, float]:
        """The measures on the held-out split, numbers only."""
        found = self._read_measures()
        numbers = {name: float(value) for name, value in found.items() if np.ndim(value) == 0}
        return {**({"held_out": numbers["accuracy"]} if "accuracy" in numbers else {}), **numbers}

    def arrays(self) -> dict[str, Array]:
        simulator = self.loaded.simulator
        return {f"p/{n}": a for n, a in simulator.parameters().items()} | {
            f"b/{n}": a for n, a in self._buffers().items()
        }

    def _buffers(self) -> dict[str, Array]:
        """Those of the circuit: what the program settles by them follows from them."""
        own = {buffer.value.name for buffer in self.simulation.plain.buffers}
        return {name: array for name, array in self.loaded.simulator.buffers().items() if name in own}

    def set_arrays(self, arrays: Mapping[str, Array]) -> None:
        simulator = self.loaded.simulator
        simulator.set_parameters({n.removeprefix("p/"): a for n, a in arrays.items() if n.startswith("p/")})
        simulator.set_buffers({n.removeprefix("b/"): a for n, a in arrays.items() if n.startswith("b/")})

    # Results.

    def _check_gathered(self, source: Source) -> None:
        """Raises: SpecError CS700 where a measure along a run is asked for on a data set."""
        if self.data.dataset is not None and self._gathered:
            message = f"`{self._gathered[0]}` is gathered along a run, which is not supported with a data set yet"
            raise SpecError([Diagnostic("CS700", message)], dict(source.sources))

    @property
    def _gathered(self) -> list[str]:
        """The measures of plugins that are called here."""
        lets, names = _lets(self.body), entries.measures(self.simulation.model)
        return [name for value in (*self.measures.values(), *lets.values()) for name in _called(value) if name in names]

    @property
    def _along_a_run(self) -> bool:
        """Whether measures are those of one long run, several trials of it, after a warm-up."""
        longer = self._gathered or self.trials_of_run > 1 or self.warm_up or self.inputs
        return self.data.dataset is None and bool(longer)

    @property
    def runs(self) -> bool:
        """Whether a measure is read along a run, not from the circuit itself."""
        lowered = {name: value for name, value in self.measures.items() if not _is_analysis(value)}
        return bool(lowered) and need_a_run(self.simulation, lowered, _lets(self.body))

    def train(self, folder: Path | None = None, report: TrainReport | None = None) -> list[dict[str, float]]:
        """Trains as the section says; afterwards `simulation` has the trained parameters. Raises: SpecError CS915."""
        if self.search is not None:
            identity = address({**self.description, "plan": repr(self.search)})
            self._loaded = None  # it has the parameters of before
            return optimise(self.objective, self.search, folder, report, identity)
        if self.plan is None:
            return []
        identity = address({**self.description, "plan": repr(self.plan)})
        history = train(self, self.plan, folder, report, identity)
        self.adopt()
        return history

    @cached_property
    def objective(self) -> MeasuredObjective:
        """What `maximize` or `minimize` names, at the parameters of `simulation`."""
        assert self.search is not None
        if self.search.objective in self.statistics:
            message = f"`{self.search.objective}` is a statistic, which cannot be optimised yet"
            raise SpecError([Diagnostic("CS700", message)])
        if self.inputs:
            message = (
                f"optimising under the stimulus `{next(iter(self.inputs))}` of another experiment is not supported yet"
            )
            raise SpecError([Diagnostic("CS700", message)])
        measures = {name: value for name, value in self.measures.items() if not _is_analysis(value)}
        return MeasuredObjective(self.simulation, self.search, measures, _lets(self.body), self.trials_of_run)

    def training(self) -> str:
        """What training will do, for people."""
        if self.search is not None:
            names, evaluations = self.objective.names, self.search.evaluations
            rest = f"{evaluations} evaluations of `{self.search.objective}`"
        else:
            assert self.plan is not None
            names = self.trainable()
            rest = f"{self.trials} trials, {self.plan.updates(self.trials)} updates"
        found = self.simulation.parameters()
        return f"{sum(found[name].size for name in names)} parameters, {rest}"

    def adopt(self) -> None:
        """Makes the trained parameters those of `simulation`."""
        module, simulator = self.loaded.module, self.loaded.simulator
        self.simulation.set_raw_parameters(self.simulation.in_written(module, simulator.parameters()))
        self.simulation.set_buffers(self.simulation.in_written(module, self._buffers()))

    def result(self, folder: Path | None = None, report: TrainReport | None = None) -> Result:
        """Trains where there is a `train` section, then measures. Divergence is a result."""
        started = time.perf_counter()
        try:
            history = self.train(folder, report)
            running = {name: history[-1][name] for name in self.running if history}
            measures = {**running, **self._read_measures(), **self._analysed()}
            made = self._computed(measures)
        except SpecError as error:
            diverged = [one for one in error.diagnostics if one.code == "CS915"]
            if not diverged:
                raise
            return Result({}, time.perf_counter() - started, diverged[0].message)
        notes = [self.data.dataset.note] if self.data.dataset is not None and self.data.dataset.note else []
        read = {f"`{one.file}`: {one.source}" for one in self.simulation.model.data.values() if one.source}
        seconds, note = time.perf_counter() - started, "; ".join([*notes, *sorted(read), *made.notes])
        return Result({**measures, **made.values}, seconds, "", tuple(history), note)

    @property
    def loaded(self) -> Loaded:
        """The program with the functions `loss` and `measures`."""
        if self._loaded is None:
            fields: dict[str, Any] = {}
            streams: tuple[str, ...] = ()
            if self.data.dataset is not None:
                given = self._given(self.dataset.train.batch(np.arange(1)))
                fields, streams = dict(given.fields), given.streams
            lets = _lets(self.body)
            ends = self.simulation.states if self._carries else ()
            readouts: list[Readout] = []
            if "loss" in self.train_section:
                own = {one.name: tree.Name(one.name) for one in self.simulation.model.penalties}
                penalties: dict[str, tree.Expression] = {**own, **_penalties(self.body)}
                names = ["loss_of_data" if penalties else "loss", *penalties]
                outputs = {names[0]: self.train_section["loss"], **penalties}
                total = tuple(names) if penalties else ()
                outputs |= self.running
                readouts.append(Readout("loss", outputs, total=total, lets=lets, fields=fields, ends=ends))
            lowered = {name: value for name, value in self.measures.items() if not _is_analysis(value)}
            if lowered and not self._along_a_run:
                readouts.append(Readout("measures", lowered, lets=lets, fields=fields, ends=ends))
            resumed = tuple(one.function for one in readouts) if ends else ()
            pieces = ("init",) if ends else ()
            wanted = Wanted(readouts=tuple(readouts), trained=("loss",), rollout=False, resumed=resumed, pieces=pieces)
            wrt = {"loss": self.simulation.trainable} if readouts and readouts[0].function == "loss" else {}
            self._loaded = self.simulation.load(
                wanted,
                self.simulation.steps(),
                streams=streams,
                fields=fields,
                train_stimuli=_train_stimuli(self.body),
                wrt=wrt,
                trials=self.plan.batch if self.plan is not None and self._carries else 1,
            )
        return self._loaded

    @property
    def evaluated(self) -> Loaded:
        """The program with `loss` as it is in evaluation: no dropout, running statistics."""
        if self._evaluated is None:
            given = self._given(self.dataset.train.batch(np.arange(1)))
            readout = Readout("loss", {"loss": self.train_section["loss"]}, lets=_lets(self.body), fields=given.fields)
            wanted = Wanted(readouts=(readout,), rollout=False)
            self._evaluated = self.simulation.load(
                wanted, self.simulation.steps(), streams=given.streams, fields=given.fields
            )
        return self._evaluated

    def evaluation_batch(self, places: Array) -> dict[str, Array]:
        """Inputs of `evaluated` for these training examples."""
        given = self._given(self.dataset.train.batch(places))
        return self.simulation.arguments(self.evaluated, "loss", given, self.seed, 0)

    def _given(self, fields: Mapping[str, Field]) -> Any:
        return read_inputs(self.simulation.model, self.simulation.plain, fields, None, fields=True)

    def _arguments(self, function: str, fields: Mapping[str, Field], first_trial: int) -> dict[str, Array]:
        return self.simulation.arguments(self.loaded, function, self._given(fields), self.seed, first_trial)

    def _read_measures(self) -> dict[str, Any]:
        """Every lowered measure on the held-out split; a mean over trials is taken over chunks of them."""
        if self._along_a_run:
            lowered = {name: value for name, value in self.measures.items() if not _is_analysis(value)}
            lets, trials = _lets(self.body), self.trials_of_run
            return self.simulation.measure(lowered, self.inputs, warm_up=self.warm_up, trials=trials, lets=lets)
        if "measures" not in self.loaded.module.functions:
            return {}
        if self.data.dataset is None:
            return dict(self.loaded.simulator.call("measures", self._arguments("measures", {}, 0)))
        split = self.dataset.test
        names = self.loaded.module.function("measures").output_names
        whole = [name for name in names if name in self.measures and not _is_mean(self.measures[name])]
        if self._carries:
            return self._read_along_streams(split, whole)
        at_once = len(split) if whole else _AT_ONCE
        totals: dict[str, Any] = {}
        for first in range(0, len(split), at_once):
            places = np.arange(first, min(first + at_once, len(split)))
            found = self.loaded.simulator.call("measures", self._arguments("measures", split.batch(places), first))
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + np.asarray(value, float) * len(places)
        return {name: totals[name] / len(split) for name in self.measures if name in totals}

    def _read_along_streams(self, split: Split, whole: Sequence[str]) -> dict[str, Any]:
        """Means over held-out streams, from their beginning to their end. Raises: SpecError CS700 for what is no mean."""
        if whole:
            message = f"`{whole[0]}` is no mean, and nothing else is measured along streams yet"
            raise SpecError([Diagnostic("CS700", message)])
        streams = self.dataset.streams
        totals: dict[str, Any] = {}
        state: Mapping[str, Array] = {}
        for first in range(0, len(split), streams):
            fields = split.batch(np.arange(first, first + streams))
            state = state or self._begun(fields, 0)
            inputs = {**self._arguments("measures", fields, 0), **state, **self.after(first // streams)}
            read = {value.name for value in self.loaded.module.function("measures").inputs}
            found = self.loaded.simulator.call("measures", {name: x for name, x in inputs.items() if name in read})
            state = {name: found[output] for name, output in self.carried.items()}
            for name in self.measures:
                if name in found:
                    totals[name] = totals.get(name, 0.0) + np.asarray(found[name], float) * streams
        return {name: total / len(split) for name, total in totals.items()}

    def known(self, measure: str, store: Path | None = None) -> Known:
        """A measure for another experiment to read: its recording where each step has a value, else its result.

        Raises: SpecError CS700 for a unit, for what this cell does not measure, and for a run that diverges.
        """
        value, lets = {**self.measures, **self.statistics}.get(measure), _lets(self.body)
        if value is None:
            raise _not_known(
                f"`{measure}` is not measured in the variant `{self.key.variant}` of `{self.key.experiment}`"
            )
        if self._along_a_run and moves_by_itself(value, {k: v for k, v in lets.items() if k != measure}):
            before = whole_steps(self.warm_up, self.simulation.settings.dt or 1.0)
            given = read_inputs(self.simulation.model, self.simulation.plain, self.inputs, self.trials_of_run)
            steps = before + self.simulation.steps()
            array, axes, unit = recorded(self.simulation, value, lets, given, steps=steps)
            if unit != DIMENSIONLESS:
                raise _not_known(f"`{measure}` has the unit {unit.name()}, which another experiment cannot read")
            return Known(array, axes, before)
        key = address(self.description)
        kept = None if store is None else CellStore(store).find(key)
        result = self.result() if kept is None else kept
        if kept is None and store is not None:
            CellStore(store).keep(key, self.description, result)
        if result.diverged:
            raise _not_known(f"`{self.key.experiment}` diverged: {result.diverged}")
        found = np.asarray(result.measures[measure], float)
        return Known(found, tuple(f"{measure}.{place}" for place in range(found.ndim)))

    def _analysed(self) -> dict[str, Any]:
        """Measures of the equations themselves: the spectrum of the Jacobian at rest."""
        return {name: self._spectrum() for name, value in self.measures.items() if _is_analysis(value)}

    def _computed(self, measures: Mapping[str, Any]) -> Computed:
        """Measures of statistics, from trained parameters and from what else was measured."""
        if not self.statistics:
            return Computed({})
        numbers = {name: value for name, value in measures.items() if np.ndim(value) == 0}
        return computed(self.simulation, self.statistics, _lets(self.body), numbers, self.seed)

    def _spectrum(self) -> Array:
        return spectrum(self.flow())

    def flow(self) -> Flow:
        """The circuit's vector field, with its present parameters and inputs at their defaults (0 without one)."""
        simulation = self.simulation
        plain = simulation.plain
        values = simulation.in_layout(plain, simulation.raw_parameters() | simulation.buffers())
        sizes = {**simulation.sizes, "trial": 1}
        for entry in plain.inputs:
            names = plain.layout.sort(entry.value.type.names)
            shape = [entry.value.type.axis(n).size.evaluate(sizes) for n in names]
            values[entry.value.name] = np.full(shape, entry.default or 0.0)
        return Flow(plain, values, simulation.sizes)


def _is_analysis(value: tree.Expression) -> bool:
    """`eigenvalues(jacobian())`: a property of the equations, found without a run."""
    return print_expression(value) == "eigenvalues(jacobian())"


def _speaks_of(node: tree.Expression, removed: Container[str], names: Mapping[str, tree.Expression]) -> bool:
    """Whether an expression reads what a variant removed, directly or through a let: it is undefined in that variant."""
    if isinstance(node, (tree.Name, tree.Member)) and print_expression(node) in removed:
        return True
    if isinstance(node, tree.Name) and node.name in names:
        others = {name: value for name, value in names.items() if name != node.name}
        return _speaks_of(names[node.name], removed, others)
    return any(_speaks_of(child, removed, names) for child in children(node))


def _is_found_without_connections(cell: Cell, model: Model) -> bool:
    """Whether all that is measured is found without a run, by what does not read the connections themselves."""
    lets, known = _lets(cell.body), entries.measures(model)
    measures = {one.name: one.value for one in cell.body if isinstance(one, written.Measure)}
    called = {name for value in (*measures.values(), *lets.values()) for name in _called(value)} & known.keys()
    if not called or any(getattr(known[name], "wired", True) for name in called):
        return False
    apart = that_need_statistics(measures, lets, entries.statistics(model)) | that_are_matrices(measures, lets, model)
    return not apart and not runs(measures_apart(measures, lets, known))


def _called(node: tree.Expression) -> Iterator[str]:
    """The names of the functions that an expression calls."""
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Name):
        yield node.function.name
    for child in children(node):
        yield from _called(child)


def _is_mean(value: tree.Expression) -> bool:
    """Whether chunks of trials may be averaged: a mean over everything, a number of the circuit, or what is linear in such."""
    match value:
        case tree.Unary(operator="-", operand=inner):
            return _is_mean(inner)
        case tree.Binary(operator="+" | "-", left=left, right=right):
            return _is_mean(left) and _is_mean(right)
        case tree.Binary(operator="*", left=left, right=right):
            return (_is_mean(left) and _is_number(right)) or (_is_number(left) and _is_mean(right))
        case tree.Binary(operator="/", left=left, right=right):
            return _is_mean(left) and _is_number(right)
        case tree.Call(function=tree.Name(name="mean"), arguments=(_,)):
            return True
        case tree.Call(
            function=tree.Name(name="count"), arguments=(tree.Argument(value=tree.Name(name="parameters")),)
        ):
            return True
        case _:
            return False


def _is_number(value: tree.Expression) -> bool:
    """Whether it reads nothing."""
    try:
        number_of(value)
    except SpecError:
        return False
    return True


def _lets(body: Sequence[written.Statement]) -> dict[str, tree.Expression]:
    return {
        one.name: one.value
        for each in body
        if isinstance(each, written.Declare) and each.kind == "let"
        for one in each.declarators
        if one.value is not None
    }


def _stimuli(body: Sequence[written.Statement]) -> dict[str, tree.Expression]:
    """`stimulus x = e` by the name of the input."""
    return {print_expression(one.target): one.value for one in body if isinstance(one, written.Stimulus)}


def _train_stimuli(body: Sequence[written.Statement]) -> dict[str, tree.Expression]:
    """Those that hold while training only."""
    sections = [each for each in body if isinstance(each, written.Section) and each.kind == "train"]
    return {name: value for each in sections for name, value in _stimuli(each.body).items()}


def _penalties(body: Sequence[written.Statement]) -> dict[str, tree.Expression]:
    return {
        one.name: one.value
        for each in body
        if isinstance(each, written.Section) and each.kind == "train"
        for one in each.body
        if isinstance(one, written.Penalty)
    }


def _data_of(choice: Choice, body: Sequence[written.Statement], source: Source, seed: int) -> _Data:
    """The data set of an experiment. Raises: SpecError CS901, CS911, CS912, CS923, at the place where the spec names it."""
    for one in body:
        if isinstance(one, written.Equation) and one.left == tree.Name("dataset"):
            report = Report()
            check_dataset(one.right, _datasets(choice), report)
            _require(report, source)
            try:
                entry = signature_of(one.right, _datasets(choice))
                return _data(choice, print_expression(one.right), seed if entry is not None and entry.draws else None)
            except SpecError as error:
                found = [replace(each, span=one.right.span) for each in error.diagnostics]
                raise SpecError(found, dict(source.sources)) from None
    return _Data(None, "")


@lru_cache(maxsize=8)
def _data(choice: Choice, text: str, seed: int | None) -> _Data:
    """The data set that `dataset = NAME(...)` names, which has been checked; `seed` where it draws.

    Raises: SpecError CS901, CS911.
    """
    from cortexspec.expressions.parse import parse_expression

    call = parse_expression(text)
    name, given = (call.function, call.arguments) if isinstance(call, tree.Call) else (call, ())
    entry = _datasets(choice)[print_expression(name)]
    positional = tuple(_argument(a.value) for a in given if not a.name and a.value is not None)
    named = {a.name: _argument(a.value) for a in given if a.name and a.value is not None}
    settings = {**({} if seed is None else {"seed": seed}), **entry.settings, **named}
    return _Data(entry.load(positional, settings, Places(_folder(choice), choice.data)), text)


def _datasets(choice: Choice) -> Mapping[str, DatasetEntry]:
    """The built-in data sets with those of the plugins that the spec uses."""
    entries = (entry for plugin in source_with_data(choice).plugins for entry in plugin.entries)
    return {**DATASETS, **{entry.name: entry for entry in entries if isinstance(entry, DatasetEntry)}}


def source_with_data(choice: Choice) -> Source:
    """The spec, whose data files may lie in the user's data folder too."""
    source = _source_as(choice.file, _stamp(choice.file))
    if choice.data is None:
        return source
    return replace(source, data=DataFiles.of(Places(_folder(choice), choice.data), source.plugins))


def _folder(choice: Choice) -> Path:
    return choice.file if choice.file.is_dir() else choice.file.parent


def _argument(value: tree.Expression) -> Any:
    match value:
        case tree.Text(value=text):
            return text
        case tree.Name(name="true" | "false" as word):
            return word == "true"
        case tree.ListOf(items=items):
            return tuple(_argument(one) for one in items)
        case _:
            return number_of(value)


def _stamp(file: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when somebody edits the spec, or a file beside it that it may use."""
    folder = file if file.is_dir() else file.parent
    found = [(path, path.stat()) for path in folder.glob("*.*") if path.suffix in SUFFIXES]
    return tuple(sorted((path.name, about.st_mtime_ns, about.st_size) for path, about in found))


@lru_cache(maxsize=4)
def _source_as(file: Path, stamp: object) -> Source:
    """The spec as its files are now, read once while nobody edits them."""
    return source_of(file)


def _edited(choice: Choice, key: CellKey) -> tuple[Source, Cell, Merged]:
    """The text of the circuit after the edits of experiment, variant and point. Raises: SpecError with every mistake."""
    return _edited_as(choice, key, _stamp(choice.file))


@lru_cache(maxsize=64)
def _edited_as(choice: Choice, key: CellKey, stamp: object) -> tuple[Source, Cell, Merged]:
    source = source_with_data(choice)
    report = Report()
    merged = merge_like(experiments_of(source.spec), key.experiment, report)
    return _cell_of(source, merged, key, report)


def _cell_of(source: Source, merged: Merged | None, key: CellKey, report: Report) -> tuple[Source, Cell, Merged]:
    library = library_of(source.spec, source.used, report, source.plugins, source.data)
    cell = None
    if merged is not None:
        template = library.templates.get(merged.circuit)
        texts = (
            {formal.name for formal in template.formals if formal.type == "text"}
            if template is not None
            else set[str]()
        )
        point = [_as_edit(name, value, name in texts) for name, value in key.point]
        variant = "" if key.variant == BASE else key.variant
        cell = cell_of(source.spec, library, merged, variant, report, point)
    _require(report, source)
    assert cell is not None and merged is not None
    return source, cell, merged


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """What a cell reads of other experiments; each value is found when it is first asked for."""

    names: Mapping[str, Elsewhere]
    lookup: Lookup
    seed: int

    def reads(self, value: tree.Expression) -> bool:
        return bool(reads(value, self.names))

    def frames(self, value: tree.Expression) -> Array:
        """[trial, time, own...], the warm-up in front; or fewer axes where it has fewer."""
        return evaluate(value, self.lookup, self.seed).array


def _settled(choice: Choice, key: CellKey, seed: int, store: Path | None) -> tuple[Source, Cell, Merged, _Elsewhere]:
    """The edited text with numbers for what it reads of other experiments."""
    source, cell, merged = _edited(choice, key)
    names = lets_elsewhere(merged.body, experiments_of(source.spec))
    others = {name: _cell_elsewhere(choice, key, names[name]) for name in names}

    def lookup(name: str) -> Known:
        return _known(choice, others[name], seed, names[name].measure, store, _stamp(choice.file))

    if read_by(merged, key.variant, names):
        _description(choice, key, seed)  # tells where experiments read each other
        merged = settled(merged, key.variant, names, lookup, seed)
        source, cell, merged = _cell_of(source, merged, key, Report())
    return source, cell, merged, _Elsewhere(names, lookup, seed)


@lru_cache(maxsize=4)
def _known(choice: Choice, key: CellKey, seed: int, measure: str, store: Path | None, stamp: object) -> Known:
    """A recording of millions of numbers is not kept on disk: a run is as fast."""
    return Session.open(choice, key, seed, store).known(measure, store)


def _cell_elsewhere(choice: Choice, key: CellKey, other: Elsewhere) -> CellKey:
    """The cell of another experiment at the same place of the grid. Raises: SpecError CS921 where there is not one."""
    source, _, _ = _edited(choice, key)
    report = Report()
    merged = merge_like(experiments_of(source.spec), other.experiment, report)
    _require(report, source)
    assert merged is not None
    here = dict(key.point)
    grid = grid_of(other.experiment, merged.body)
    points = [one for one in grid.points() if all(here.get(name, value) == value for name, value in one)]
    if len(points) != 1 or other.variant not in (BASE, *grid.variants):
        message = f"`{other.experiment}` has {len(points)} cells here, of which `{key.experiment}` reads one"
        raise SpecError([Diagnostic("CS921", message, merged.span)], dict(source.sources))
    return CellKey(other.experiment, other.variant, points[0])


def _not_known(message: str) -> SpecError:
    return SpecError([Diagnostic("CS700", message)])


def _as_edit(name: str, value: object, is_text: bool) -> written.Statement:
    """A place in the grid as an edit of the text; the seed of the wiring is a setting of the run. A text may lack its quotes."""
    right = f'"{value}"' if is_text and not str(value).startswith('"') else str(value)
    edit = written.Equation.model_validate({"left": name, "right": right})
    return written.Section(kind="simulate", body=(edit,)) if name == "wiring" else edit


@lru_cache(maxsize=512)
def _description_of_cell(choice: Choice, key: CellKey, stamp: object) -> Mapping[str, Any]:
    from cortexspec import library as built_in

    source, cell, merged = _edited(choice, key)
    elsewhere = lets_elsewhere(merged.body, experiments_of(source.spec))
    unread = elsewhere.keys() - read_by(merged, key.variant, elsewhere)  # the same cell without them
    templates = [one.model_copy(update={"doc": ""}) for _, one in sorted(cell.templates.items())]
    kept = tuple(
        _without(unread, one)
        for one in cell.body
        if not isinstance(one, (written.Claim, written.Variant))
        and not (isinstance(one, written.Section) and one.kind == "vary")
        and not (isinstance(one, written.Declare) and one.kind == "let" and _names_of(one) <= unread)
    )
    experiment = Experiment(name="cell", of=cell.circuit, arguments=cell.arguments, body=kept)
    # Where the data are drawn, those of one seed stand for what makes them; the cell's seed is told besides.
    data = _data_of(choice, cell.body, source, 0).dataset
    text = print_spec(Spec(items=(*templates, experiment)))
    files = _files_named(choice, text)
    return {
        "text": text,
        **({"files": files} if files else {}),
        "removed": sorted(cell.removed),
        "cuts": {name: list(map(list, cut)) for name, cut in sorted(cell.cuts.items())},
        "data": data.fingerprint if data is not None else "",
        "backend": _with_backend(choice, cell).backend,
        "dtype": choice.dtype,
        "library": sorted(built_in.groups),
        **({"plugins": sorted([one.plugin, one.version] for one in source.plugins)} if source.plugins else {}),
    }


def _files_named(choice: Choice, text: str) -> dict[str, str]:
    """SHA-256 of each data file that a text names, by its name."""
    found: dict[str, str] = {}
    for name in sorted(set(re.findall(r'"([^"\n]+\.\w+)"', text))):
        for folder in (_folder(choice), choice.data):
            path = folder / name if folder is not None else None
            if path is not None and name not in found and path.is_file():
                found[name] = _digest(path, path.stat().st_mtime_ns)
    return found


@lru_cache(maxsize=64)
def _digest(path: Path, stamp: int) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _names_of(one: written.Declare) -> set[str]:
    return {each.name for each in one.declarators}


def _without(names: Container[str], one: written.Statement) -> written.Statement:
    """A statement without the lets of these names."""
    if not isinstance(one, written.Declare) or one.kind != "let":
        return one
    return one.model_copy(update={"declarators": tuple(each for each in one.declarators if each.name not in names)})


def _description(choice: Choice, key: CellKey, seed: int, asked: tuple[CellKey, ...] = ()) -> dict[str, Any]:
    """Raises: SpecError CS305 where experiments read each other."""
    source, _, merged = _edited(choice, key)
    if key in asked:
        circle = " -> ".join(one.experiment for one in (*asked[asked.index(key) :], key))
        raise SpecError(
            [Diagnostic("CS305", f"experiments read each other: {circle}", merged.span)], dict(source.sources)
        )
    names = lets_elsewhere(merged.body, experiments_of(source.spec))
    read = {
        name: address(_description(choice, _cell_elsewhere(choice, key, names[name]), seed, (*asked, key)))
        for name in sorted(read_by(merged, key.variant, names))
    }
    found = {**_description_of_cell(choice, key, _stamp(choice.file)), "seed": seed}
    return {**found, "reads": read} if read else found


def _with_backend(choice: Choice, cell: Cell) -> Choice:
    """The choice with a backend that has a name (decision 0064)."""
    if choice.backend != AUTO:
        return choice
    by_gradient = "loss" in section(cell.body, "train")
    torch_first = by_gradient and not _has_neurons_with_matrices(cell.templates, cell.circuit)
    return replace(choice, backend=first_backend(("torch", "jax") if torch_first else ("jax", "torch")))


def _has_neurons_with_matrices(templates: Mapping[str, Template], name: str) -> bool:
    """Whether a neuron of this circuit, or of one within it, has a parameter of two axes of its own, as a small network has."""
    waiting, seen = [name], set[str]()
    while waiting:
        template = templates.get(waiting.pop())
        if template is None or template.name in seen:
            continue
        seen.add(template.name)
        for one in template.body:
            if isinstance(one, written.Instances):
                waiting += [each.type.name for each in one.instances if each.type is not None]
            elif template.kind == "neuron" and isinstance(one, written.Declare) and one.kind == "param":
                if any(len(each.axes) > 1 for each in one.declarators):
                    return True
    return False


def _require(report: Report, source: Source) -> None:
    if report.failed:
        raise SpecError(report.diagnostics, dict(source.sources))


def _word(value: tree.Expression | None, default: str) -> str:
    return value.name if isinstance(value, tree.Name) else default


def _dtype(text: str) -> Any:
    if text not in ("float32", "float64"):
        raise SpecError([Diagnostic("CS804", f"there is no dtype `{text}`", help="float32 or float64")])
    return text


def _gradient(text: str) -> Any:
    return text


__all__ = ["AUTO", "Choice", "ExperimentRead", "Session", "read_experiments"]
