"""Recordings as an xarray Dataset: axes named in written order, values in the unit the author showed, provenance in the attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.ir.types import Type
from cortexspec.lowering.declarations import TIME, TRIAL
from cortexspec.runtime.given import Given
from cortexspec.units import DIMENSIONLESS, Unit, from_coherent

if TYPE_CHECKING:
    import xarray

    from cortexspec.runtime.simulation import Simulation

_END = "[time = end]"


@dataclass(frozen=True, slots=True)
class Recording:
    """An array as a program gives it: the names of its axes, its unit in the coherent set."""

    array: Array
    axes: tuple[str, ...]
    unit: Unit


def outputs_of(module: Module, function: str) -> dict[str, Type]:
    """The types of a function's outputs by public name."""
    made = module.function(function)
    return {name: value.type for name, value in zip(made.output_names, made.outputs, strict=True)}


def dataset(
    simulation: Simulation,
    members: Mapping[str, Sequence[str]],
    recordings: Mapping[str, Recording],
    times: Array,
    given: Given,
    seed: int | None,
) -> xarray.Dataset:
    """`members`: what each recorded name is made of."""
    import xarray

    import_module("cortexspec.runtime.plotting")  # registers `run.cortex.plot()`

    steps = len(times)
    variables: dict[str, Any] = {}
    for name, parts in members.items():
        recording, shown = _named(simulation, name, parts, recordings, given.trials)
        array, axes, text = recording.array, recording.axes, shown or recording.unit.name()
        if text not in ("", "1"):
            array = from_coherent(array, text)
        key = name.removesuffix(_END)
        variables[key if key not in variables else name] = (
            axes, array, {"units": text if text else "1", "path": name},
        )  # fmt: skip
    time_unit = simulation.model.time_unit.name() if simulation.model.time_unit != DIMENSIONLESS else "steps"
    coordinates: dict[str, Any] = {TRIAL.name: np.arange(given.trials)}
    if any(TIME.name in axes for axes, *_ in variables.values()):
        coordinates[TIME.name] = (TIME.name, np.asarray(times), {"units": time_unit})
    result = xarray.Dataset(variables, coordinates)
    result.attrs = {**provenance(simulation, seed), "steps": steps}
    return result


def provenance(simulation: Simulation, seed: int | None) -> dict[str, Any]:
    """What made a result."""
    from importlib.metadata import version

    settings = simulation.settings
    return {
        **simulation.provenance,
        "circuit": simulation.circuit,
        "identity": simulation.identity,
        "backend": settings.backend,
        "dtype": settings.options.dtype,
        "solver": settings.solver,
        "dt": settings.dt if settings.dt is not None else float("nan"),
        "seed": settings.seed if seed is None else seed,
        "wiring": settings.seed if settings.wiring is None else settings.wiring,
        "cortexspec": version("cortexspec"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _named(
    simulation: Simulation, name: str, parts: Sequence[str], recordings: Mapping[str, Recording], trials: int
) -> tuple[Recording, str]:
    """The recording with its axes in written order, and the unit the author wrote; of a group, its members end to end."""
    made = [_one(simulation, part, recordings[part], trials) for part in parts]
    if len(made) == 1:
        return made[0]
    first, shown = made[0]
    group = next(group for group in simulation.model.groups if name.startswith(f"{group.path}."))
    populations = {population.path: population.axis for population in simulation.model.populations}
    owner = next((member for member in group.members if parts[0].startswith(f"{member}.")), group.members[0])
    own = populations.get(owner, first.axes[-1])
    place = first.axes.index(own) if own in first.axes else len(first.axes) - 1
    joined = np.concatenate([one.array for one, _ in made], axis=place)
    axes = (*first.axes[:place], group.axis, *first.axes[place + 1 :])
    return Recording(joined, axes, first.unit), shown


def _one(simulation: Simulation, name: str, recording: Recording, trials: int) -> tuple[Recording, str]:
    """With all axes of the declaration in written order: what is the same along one of them is repeated."""
    path = name.removesuffix(_END)
    variable = simulation.model.variables.get(path)
    written = variable.axes_written if variable is not None else ()
    wanted = [axis for axis in (TRIAL.name, TIME.name) if axis in recording.axes or axis == TRIAL.name]
    wanted += [*written, *(axis for axis in recording.axes if axis not in (TRIAL.name, TIME.name, *written))]
    have = [axis for axis in wanted if axis in recording.axes]
    array = np.asarray(recording.array).transpose([recording.axes.index(axis) for axis in have])
    lengths = dict(zip(have, array.shape, strict=True)) | ({TRIAL.name: trials} if TRIAL.name not in have else {})
    if variable is not None:
        lengths |= {a: variable.type.axis(a).size.evaluate(simulation.sizes) for a in written if a not in have}
    array = array[tuple(slice(None) if axis in have else np.newaxis for axis in wanted)]
    array = np.broadcast_to(array, [lengths[axis] for axis in wanted])
    return Recording(array, tuple(wanted), recording.unit), variable.unit_shown if variable is not None else ""
