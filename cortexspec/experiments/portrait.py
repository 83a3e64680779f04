"""The figures of one trained session: phase portraits, voltages, the loss landscape, parameters by instance; and those of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.experiments import figures
from cortexspec.experiments.claim import BASE, CellKey
from cortexspec.experiments.landscape import loss_landscape
from cortexspec.experiments.reproduce import Table
from cortexspec.experiments.session import Session
from cortexspec.ir.op import Array
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
    """Learning curves by variant, and accuracy against each vary axis and against the number of parameters."""
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
        if "accuracy" not in grid.measures or not cells:
            continue
        for axis in grid.axes:
            if len(axis.rows) > 1 and all(isinstance(row[0], int | float) for row in axis.rows):
                series = {variant: _against(table, cells, variant, axis.names[0]) for variant in variants}
                path = folder / f"{name}_accuracy_by_{axis.names[0]}.png"
                files.append(figures.measure_by(path, axis.names[0], "held-out accuracy", series))
        if "size" in grid.measures:
            sizes: dict[float, list[float]] = {}
            for cell in cells:
                if cell.variant == BASE:
                    accuracy = table.measure(cell, "accuracy")
                    sizes.setdefault(float(table.measure(cell, "size")[0]), []).extend(accuracy.tolist())
            path = folder / f"{name}_accuracy_by_parameters.png"
            files.append(figures.measure_by(path, "parameters", "held-out accuracy", {BASE: sizes}))
    return files


def _against(table: Table, cells: dict[CellKey, Any], variant: str, axis: str) -> dict[float, list[float]]:
    series: dict[float, list[float]] = {}
    for cell in cells:
        if cell.variant == variant:
            series.setdefault(float(dict(cell.point)[axis]), []).extend(table.measure(cell, "accuracy").tolist())
    return series


def _first_instance(recording: Any) -> Array:
    """[trial, time] of the first instance and neuron."""
    array = np.asarray(recording.transpose("trial", "time", ...), float)
    return array.reshape(*array.shape[:2], -1)[:, :, 0]
