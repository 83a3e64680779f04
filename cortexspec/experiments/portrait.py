"""The figures of one trained session: phase portraits, voltages, the loss landscape, parameters by instance; and those of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.analysis.model import Model, Population, Projection
from cortexspec.experiments import figures
from cortexspec.experiments.claim import BASE, CellKey
from cortexspec.experiments.landscape import loss_landscape
from cortexspec.experiments.reproduce import Table
from cortexspec.experiments.session import Choice, Session
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.ir.op import Array
from cortexspec.lowering.edges import source_path
from cortexspec.runtime.simulation import Simulation
from cortexspec.runtime.wiring import neurons_of
from cortexspec.units import DIMENSIONLESS, from_coherent

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


def draw_table(table: Table, folder: Path) -> list[Path]:
    """Learning curves by variant; each claimed measure by condition and against each vary axis; accuracy against the number of parameters;
    measures with a value for each element, a column a seed."""
    files: list[Path] = []
    for name, grid in table.grids.items():
        cells = {cell: found for cell, found in table.results.items() if cell.experiment == name and found}
        variants = list(dict.fromkeys(cell.variant for cell in cells))
        curves = {
            variant: [
                r.history
                for cell, found in cells.items()
                if cell.variant == variant
                for r in found.values()
                if r.history
            ]
            for variant in variants
        }
        if any(curves.values()):
            files.append(
                figures.learning_curves(folder / f"{name}_learning.png", {k: v for k, v in curves.items() if v})
            )
        for measure in _shown(table, name, cells):
            shown = "held-out accuracy" if measure == "accuracy" else measure
            swept = [axis for axis in grid.axes if len(axis.rows) > 1]
            for axis in swept:
                if all(isinstance(row[0], int | float) for row in axis.rows):
                    series = {variant: _against(table, cells, variant, axis.names[0], measure) for variant in variants}
                    path = folder / f"{name}_{measure}_by_{axis.names[0]}.png"
                    files.append(figures.measure_by(path, axis.names[0], shown, series))
            if not swept and len(variants) > 1:
                values = {cell.variant: table.measure(cell, measure) for cell in cells}
                known = {variant: array for variant, array in values.items() if np.isfinite(array).any()}
                files.append(figures.distributions(folder / f"{name}_{measure}.png", known, shown))
        for measure in grid.measures:
            for cell, found in cells.items():
                elements = {
                    f"seed {seed}": np.asarray(r.measures.get(measure, 0.0)) for seed, r in sorted(found.items())
                }
                if all(array.ndim == 1 and not np.iscomplexobj(array) for array in elements.values()):
                    path = folder / f"{name}_{cell.variant}_{measure}.png"
                    files.append(figures.distributions(path, elements, measure))
        if "size" in grid.measures and "accuracy" in grid.measures and cells:
            sizes: dict[float, list[float]] = {}
            for cell in cells:
                if cell.variant == BASE:
                    accuracy = table.measure(cell, "accuracy")
                    sizes.setdefault(float(table.measure(cell, "size")[0]), []).extend(accuracy.tolist())
            path = folder / f"{name}_accuracy_by_parameters.png"
            files.append(figures.measure_by(path, "parameters", "held-out accuracy", {BASE: sizes}))
    return files


def _shown(table: Table, experiment: str, cells: Mapping[CellKey, Any]) -> list[str]:
    """The measures of one number that the experiment's claims read."""
    read = {name for row in table.rows.get(experiment, ()) for name in _names(row.claim.value)}
    found = [name for name in table.grids[experiment].measures if name in read]
    return [name for name in found if all(_is_number(table.measure(cell, name)) for cell in cells)]


def _is_number(values: Array) -> bool:
    return values.ndim == 1 and np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)


def _names(node: tree.Expression) -> set[str]:
    own = {node.name} if isinstance(node, tree.Name) else set[str]()
    return own.union(*(_names(child) for child in children(node)))


def draw_networks(choice: Choice, table: Table, folder: Path, steps: int = 200) -> list[Path]:
    """Of circuits whose neurons are on or off: a sketch of the populations, and what they do in each variant, of the first seed.

    The runs are short, and on the interpreter.
    """
    files: list[Path] = []
    sketched = set[str]()
    quick = replace(choice, backend="interpreter")
    for name, grid in table.grids.items():
        cells = [cell for cell, found in table.results.items() if cell.experiment == name and found]
        swept = any(len(axis.rows) > 1 for axis in grid.axes)
        runs: dict[str, dict[str, Array]] = {}
        for cell in cells if not swept and any(table.rows.get(name, ())) else ():
            session = Session.open(quick, cell, grid.seeds[0])
            simulation = session.simulation
            on_off = {one.path: one.outputs[0] for one in simulation.model.populations if _is_on_off(one)}
            if not on_off or session.data.dataset is not None or session.inputs:
                continue
            if simulation.model.circuit not in sketched:
                sketched.add(simulation.model.circuit)
                files.append(figures.sketch(folder / f"{simulation.model.circuit}.png", *_populations(simulation)))
            run = simulation.simulate(duration=steps * (simulation.settings.dt or 1.0), record=list(on_off.values()))
            runs[cell.variant] = {path: np.asarray(run[output])[0] for path, output in on_off.items()}
        if runs:
            files.append(figures.rasters(folder / f"{name}_rasters.png", runs))
    return files


def _is_on_off(population: Population) -> bool:
    """Whether its output is a state that is drawn anew at each step."""
    updated = {f"{one.state}" for one in population.updates}
    return bool(population.outputs) and not population.equations and population.outputs[0] in updated


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
            series.setdefault(float(dict(cell.point)[axis]), []).extend(table.measure(cell, measure).tolist())
    return series


def _first_instance(recording: Any) -> Array:
    """[trial, time] of the first instance and neuron."""
    array = np.asarray(recording.transpose("trial", "time", ...), float)
    return array.reshape(*array.shape[:2], -1)[:, :, 0]
