"""The figures of one trained session: phase portraits, voltages, the loss landscape, parameters by instance; and those of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.analysis.model import Model, Population, Projection
from cortexspec.diagnostics import SpecError
from cortexspec.experiments import figures, spike_figures
from cortexspec.experiments.cells import CellStore, Result, address
from cortexspec.experiments.claim import BASE, CellKey, Grid
from cortexspec.experiments.landscape import loss_landscape
from cortexspec.experiments.reproduce import Table
from cortexspec.experiments.session import Choice, Session
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.ir.op import Array
from cortexspec.lowering.edges import source_path
from cortexspec.runtime.simulation import Simulation
from cortexspec.runtime.spike_trains import ARRAYS, SpikeTrains, spike_trains, spiking
from cortexspec.runtime.wiring import neurons_of
from cortexspec.units import DIMENSIONLESS, from_coherent

_COLUMNS = 6  # variants in a figure of spikes
_SHORTEST_TRAINS, _LONGEST_TRAINS = 20.0, 1000.0  # ms
_TRIALS = 200  # held-out trials whose trajectories are drawn


def draw_session(
    session: Session,
    folder: Path,
    classes: Sequence[int] = (1, 3),
    points: int = 15,
    report: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """All figures of a trained session of an image experiment; gives the files. `points`: the side of the landscape's grid."""
    simulation, split = session.simulation, session.dataset.test
    fields = split.take(np.arange(min(_TRIALS, len(split))))
    labels = fields["label"]
    inputs = {name: array for name, array in fields.items() if name in simulation.model.inputs}
    second = [name for name in simulation.states if name.endswith(".v'")]
    firsts = [name.removesuffix("'") for name in second]
    run = simulation.simulate(inputs, record=[*firsts, *second])
    files: list[Path] = []
    shown = {name: str(run[name].attrs["units"]) for name in (*firsts, *second)}
    for v, w in zip(firsts, second, strict=True):
        name = v.removesuffix(".v")
        path = folder / f"phase_{name.replace('.', '_')}.png"
        flat_v, flat_w = (_first_instance(run[each]) for each in (v, w))
        files.append(figures.phase_portrait(path, flat_v, flat_w, labels, (shown[v], shown[w]), name, classes))
    voltages = {v.removesuffix(".v"): _first_instance(run[v]) for v in firsts}
    if voltages:
        time = np.asarray(run["time"], float)
        path = folder / "voltages.png"
        files.append(figures.traces(path, time, voltages, labels, shown[firsts[0]], classes))
    declared = {param.value.name: param for param in simulation.plain.params}
    per_time = DIMENSIONLESS / simulation.model.time_unit
    rates = {
        name: from_coherent(array, "Hz")
        for name, array in simulation.parameters().items()
        if declared[name].reparametrised and declared[name].natural.unit == per_time
    }
    if rates:
        files.append(figures.distributions(folder / "parameters.png", rates, "Hz"))
    found = loss_landscape(session, points=points, report=report)
    note = f"range {found.range:.3g}, not normalised; fixed batch, evaluation mode"
    files.append(figures.landscape(folder / "landscape.png", found.alphas, found.betas, found.loss, note))
    return files


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure of an experiment, and what it shows."""

    path: Path
    experiment: str
    caption: str


def draw_table(table: Table, folder: Path) -> list[Drawn]:
    """What an experiment's cells gave, drawn: learning curves by variant; accuracy and every other number by variant, with the spread
    over seeds; each claimed number against each vary axis; accuracy against the number of parameters; measures with a value for each
    element, a column a seed; square matrices that are measured, and size of weight against distance where one of them is a distance."""
    files: list[Drawn] = []
    for name in table.rows:
        grid = table.grids[name]
        cells = {cell: found for cell, found in table.results.items() if cell.experiment == name and found}
        files += [Drawn(path, name, caption) for path, caption in _figures(table, grid, cells, folder)]
    return files


def _figures(
    table: Table, grid: Grid, cells: Mapping[CellKey, Mapping[int, Result]], folder: Path
) -> Iterator[tuple[Path, str]]:
    name, units = grid.experiment, grid.units
    variants = list(dict.fromkeys(cell.variant for cell in cells))
    swept = [axis for axis in grid.axes if len(axis.rows) > 1]
    curves: dict[str, list[Any]] = {}
    for cell, found in cells.items():
        for result in found.values():
            if result.history:
                read = [{told: units.value(told, value) for told, value in each.items()} for each in result.history]
                curves.setdefault(cell.variant, []).append(read)
    if curves:
        path = figures.learning_curves(
            folder / f"{name}_learning.png", curves, {told: units.of(told) for told in units.measured}
        )
        yield path, "Learning curves: the mean over seeds, and their range."
    numbers = [each for each in grid.measures if cells and all(_is_number(table.measure(cell, each)) for cell in cells)]
    if not swept and len(variants) > 1:
        values = {
            each: {cell.variant: units.value(each, table.measure(cell, each)) for cell in cells} for each in numbers
        }
        values = {each: found for each, found in values.items() if any(np.isfinite(v).any() for v in found.values())}
        spread = "a point a seed, the mean, one standard deviation to either side."
        if "accuracy" in values:
            accuracy = {"accuracy": values.pop("accuracy")}
            yield figures.by_variant(folder / f"{name}_accuracy.png", accuracy), f"Accuracy by variant: {spread}"
        if values := {units.heading(each): found for each, found in values.items()}:
            yield figures.by_variant(folder / f"{name}_measures.png", values), f"Measures by variant: {spread}"
    for measure in _claimed(table, name, numbers):
        for axis in swept:
            if all(isinstance(row[0], int | float) for row in axis.rows):
                by = axis.names[0]
                series = {variant: _against(table, cells, variant, by, measure) for variant in variants}
                path = folder / f"{name}_{measure}_by_{by}.png"
                figures.measure_by(path, by, units.heading(measure), series)
                yield path, f"`{measure}` against `{by}`: a point a seed, lines through the means."
    for measure in grid.measures:
        for cell, found in cells.items():
            kept = {f"seed {seed}": np.asarray(r.measures.get(measure, 0.0)) for seed, r in sorted(found.items())}
            elements = {seed: units.value(measure, array) for seed, array in kept.items()}
            if all(array.ndim == 1 and not np.iscomplexobj(array) for array in elements.values()):
                path = folder / f"{name}_{cell.variant}_{measure}.png"
                figures.distributions(path, elements, units.heading(measure))
                yield path, f"`{measure}` of `{cell.variant}`: every element, a column a seed."
    if not swept:
        yield from _matrix_figures(grid, _matrices(grid, cells), folder)
    if "size" in grid.measures and "accuracy" in grid.measures and cells:
        sizes: dict[float, list[float]] = {}
        for cell in cells:
            if cell.variant == BASE:
                accuracy = table.measure(cell, "accuracy")
                sizes.setdefault(float(table.measure(cell, "size")[0]), []).extend(accuracy.tolist())
        path = folder / f"{name}_accuracy_by_parameters.png"
        yield figures.measure_by(path, "parameters", "accuracy", {BASE: sizes}), "Accuracy against size."


def _matrices(grid: Grid, cells: Mapping[CellKey, Mapping[int, Result]]) -> dict[str, dict[str, Array]]:
    """Of each measure that is a square matrix: that of the first seed, by variant, in the unit that people read."""
    found: dict[str, dict[str, Array]] = {}
    for measure in grid.measures:
        for cell, by_seed in cells.items():
            first = by_seed[min(by_seed)].measures.get(measure)
            matrix = np.asarray(first if first is not None else 0.0)
            if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 1 and not np.iscomplexobj(matrix):
                found.setdefault(measure, {})[cell.variant] = grid.units.value(measure, matrix)
    return found


def _matrix_figures(
    grid: Grid, matrices: Mapping[str, Mapping[str, Array]], folder: Path
) -> Iterator[tuple[Path, str]]:
    experiment, units = grid.experiment, grid.units
    far = {measure: each for measure, each in matrices.items() if all(map(is_distance, each.values()))}
    for measure, each in matrices.items():
        if measure in far:
            continue
        path = figures.weight_matrices(folder / f"{experiment}_{measure}.png", each, units.of(measure))
        yield path, f"`{measure}` [target, source] by variant, of the first seed."
        for distance, known in far.items():
            pairs = {
                variant: (known[variant], matrix)
                for variant, matrix in each.items()
                if variant in known and known[variant].shape == matrix.shape
            }
            if pairs:
                path = folder / f"{experiment}_{measure}_by_{distance}.png"
                figures.weight_by_distance(path, pairs, units.of(distance), units.of(measure))
                caption = (
                    f"Size of `{measure}` against `{distance}`, of the first seed; ρ is Spearman's rank correlation."
                )
                yield path, caption


def is_distance(matrix: Array) -> bool:
    """Whether a square matrix may hold distances: symmetric, 0 on the diagonal, above 0 beside it."""
    beside = ~np.eye(len(matrix), dtype=bool)
    return bool(
        np.allclose(np.diag(matrix), 0) and (matrix[beside] > 0).all() and np.allclose(matrix, matrix.T, rtol=1e-4)
    )


def _claimed(table: Table, experiment: str, numbers: Sequence[str]) -> list[str]:
    """Those that the experiment's claims read."""
    read = {name for row in table.rows.get(experiment, ()) for name in _names(row.claim.value)}
    return [name for name in numbers if name in read]


def _is_number(values: Array) -> bool:
    return values.ndim == 1 and np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)


def _names(node: tree.Expression) -> set[str]:
    own = {node.name} if isinstance(node, tree.Name) else set[str]()
    return own.union(*(_names(child) for child in children(node)))


def draw_networks(
    choice: Choice, table: Table, folder: Path, steps: int = 200, *, store: Path | None = None
) -> list[Drawn]:
    """Of circuits whose neurons are on or off: a sketch of the populations, and what they do in each variant, of the first seed.

    The runs are short, and on the interpreter; results of other experiments that a cell reads are those of `store`.
    """
    files: list[Drawn] = []
    sketched = set[str]()
    for name, grid in table.grids.items():
        cells = [cell for cell, found in table.results.items() if cell.experiment == name and found]
        swept = any(len(axis.rows) > 1 for axis in grid.axes)
        runs: dict[str, dict[str, Array]] = {}
        for cell in cells if not swept and any(table.rows.get(name, ())) else ():
            session = Session.open(choice, cell, grid.seeds[0], store)
            simulation = session.on("interpreter")
            on_off = {
                one.path: one.outputs[0] for one in simulation.model.populations if _is_on_off(one, simulation.model)
            }
            if not on_off or session.data.dataset is not None or session.inputs:
                continue
            if simulation.model.circuit not in sketched:
                sketched.add(simulation.model.circuit)
                path = figures.sketch(folder / f"{simulation.model.circuit}.png", *_populations(simulation))
                files.append(
                    Drawn(path, name, "The populations: sizes, and how many connections go from each to each.")
                )
            try:
                run = simulation.simulate(
                    duration=session.warm_up + steps * (simulation.settings.dt or 1.0), record=list(on_off.values())
                )
            except SpecError:  # it diverges in a run that is longer than the experiment's own
                continue
            runs[cell.variant] = {path: np.asarray(run[output])[0][-steps:] for path, output in on_off.items()}
        if runs:
            path = figures.rasters(folder / f"{name}_rasters.png", runs)
            files.append(
                Drawn(path, name, f"Which neurons are on in {steps} steps after the warm-up, of the first seed.")
            )
    return files


def draw_spikes(choice: Choice, table: Table, folder: Path, *, store: Path) -> list[Drawn]:
    """Of experiments that run neurons that spike: rasters, distributions of rates and spectra, a column a variant, at the first place
    of the grid and for the first seed.

    The runs are a fifth as long as the experiment's own, a second at most, after its warm-up, and kept in `store` as results are.
    """
    files: list[Drawn] = []
    for name, grid in table.grids.items():
        first = next(iter(grid.points()), ())
        cells = [cell for cell, found in table.results.items() if cell.experiment == name and found]
        runs: dict[str, Mapping[str, SpikeTrains]] = {}
        for cell in [one for one in cells if one.point == first][:_COLUMNS] if any(table.rows.get(name, ())) else ():
            trains = _trains_of(Session.open(choice, cell, grid.seeds[0], store), CellStore(store))
            if trains:
                runs[cell.variant] = trains
        if runs:
            path = spike_figures.activity(folder / f"{name}_spikes.png", runs)
            caption = (
                "What fires, of the first seed: a sample of neurons; rates over all neurons, their mean dashed; power of the "
                "activity over that of independent Poisson trains."
            )
            files.append(Drawn(path, name, caption))
    return files


def _trains_of(session: Session, store: CellStore) -> Mapping[str, SpikeTrains]:
    """What the circuit of a session fires, kept or run now; nothing where none of its neurons spike,
    no run is measured or it is short, or time has no unit."""
    simulation, dt = session.simulation, session.simulation.settings.dt
    if simulation.model.time_unit == DIMENSIONLESS or not (spiking(simulation) and dt and session.runs):
        return {}
    if session.data.dataset is not None or session.inputs:
        return {}
    length = dt * round(min(dt * simulation.steps() / 5, _LONGEST_TRAINS) / dt)
    if length < _SHORTEST_TRAINS:
        return {}
    description = {**session.description, "trains": length}
    kept = store.find(address(description))
    if kept is None:
        try:
            found = spike_trains(simulation, length, warm_up=session.warm_up, seed=session.seed)
        except SpecError:  # it diverges
            return {}
        arrays = {f"{path}/{name}": array for path, one in found.items() for name, array in one.arrays().items()}
        store.keep(address(description), description, Result(arrays))
        return found
    paths = dict.fromkeys(name.rpartition("/")[0] for name in kept.measures)
    return {
        path: SpikeTrains(dt, **{name: np.asarray(kept.measures[f"{path}/{name}"]) for name in ARRAYS})
        for path in paths
    }


def _is_on_off(population: Population, model: Model) -> bool:
    """Whether its output is a state whose next value is a draw of 0 or 1."""
    drawn = {one.state for one in population.updates if _is_drawn(one.value, model)}
    return bool(population.outputs) and not population.equations and population.outputs[0] in drawn


def _is_drawn(node: tree.Expression, model: Model) -> bool:
    """Whether an expression is a Bernoulli draw, or is made of one through lets."""
    match node:
        case tree.Call(function=tree.Name("bernoulli")):
            return True
        case tree.Call(arguments=arguments):
            return any(one.value is not None and _is_drawn(one.value, model) for one in arguments)
        case tree.Reference(path) if path in model.variables and model.variables[path].kind == "let":
            value = model.variables[path].value
            return value is not None and _is_drawn(value, model)
        case _:
            return any(_is_drawn(child, model) for child in children(node))


def _populations(simulation: Simulation) -> tuple[dict[str, int], dict[tuple[str, str], tuple[int, float]]]:
    """Sizes, and of each pair (source, target) the number of connections and their mean weight (0 where it is not known)."""
    model, sizes = simulation.model, simulation.sizes
    counts = {one.path: sum(s.size for s in neurons_of(model, one.outputs[0], sizes)) for one in model.populations}
    arrays = {**simulation.parameters(), **simulation.buffers()}
    links: dict[tuple[str, str], tuple[int, float]] = {}
    for projection in model.projections:
        path = source_path(projection)
        if path in model.inputs or f"{projection.path}.pre" not in arrays:
            continue
        source, target = (_owners(model, one, sizes) for one in (path, projection.target))
        pre, post = source[arrays[f"{projection.path}.pre"]], target[arrays[f"{projection.path}.post"]]
        weight = _weight(simulation, projection, arrays)
        for pair in dict.fromkeys(zip(pre.tolist(), post.tolist(), strict=True)):
            before, _ = links.get(pair, (0, 0.0))
            links[pair] = before + int(((pre == pair[0]) & (post == pair[1])).sum()), weight
    return counts, links


def _owners(model: Model, path: str, sizes: Mapping[str, int]) -> Array:
    """The population of each neuron in a list, end to end."""
    stretches = neurons_of(model, path, sizes)
    return np.concatenate([np.full(one.size, one.owner) for one in stretches])


def _weight(simulation: Simulation, projection: Projection, arrays: Mapping[str, Array]) -> float:
    """The mean weight: the projection's own parameter, or the one that it is tied to."""
    if projection.weight is None:
        return 1.0
    if projection.weight in arrays:
        return float(np.mean(arrays[projection.weight]))
    tied = simulation.model.variables[projection.weight].value
    known = tied.path if isinstance(tied, tree.Reference) else ""
    return float(np.mean(arrays[known])) if known in arrays else 0.0


def _against(
    table: Table, cells: Mapping[CellKey, Any], variant: str, axis: str, measure: str
) -> dict[float, list[float]]:
    series: dict[float, list[float]] = {}
    for cell in cells:
        if cell.variant == variant:
            values = table.units(cell.experiment).value(measure, table.measure(cell, measure))
            series.setdefault(float(dict(cell.point)[axis]), []).extend(values.tolist())
    return series


def _first_instance(recording: Any) -> Array:
    """[trial, time] of the first instance and neuron."""
    array = np.asarray(recording.transpose("trial", "time", ...), float)
    return array.reshape(*array.shape[:2], -1)[:, :, 0]
