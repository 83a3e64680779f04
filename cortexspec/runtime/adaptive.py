"""Runs by an adaptive solver, which is the backend's own: scipy, torchdiffeq or diffrax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array
from cortexspec.runtime.compile import Wanted
from cortexspec.runtime.given import Given
from cortexspec.runtime.quantities import Quantity, whole_steps
from cortexspec.runtime.recordings import Recording, outputs_of

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Loaded, Simulation

_END = "[time = end]"
_ROWS = 100  # rows of a recording where no dt says how many
_PROBE = 2000  # steps in which to look for the equation that ran away


def run_adaptive(
    simulation: Simulation,
    given: Given,
    duration: float,
    members: Mapping[str, Sequence[str]],
    parameters: Mapping[str, Quantity] | None,
    seed: int | None,
    first_trial: int,
) -> tuple[dict[str, Recording], Array]:
    """Recordings and their times, one row every dt, or a hundred in all.

    Raises: SpecError CS700 for what an adaptive solver cannot do: updates in steps, inputs that change with time.
    """
    _check(simulation, given)
    dt = simulation.settings.dt
    steps = whole_steps(duration, dt) if dt is not None else _ROWS
    times = np.linspace(0.0, duration, steps + 1)
    wanted = Wanted(rollout=False, pieces=("init", "derivative", "output"))
    loaded = simulation.load(wanted, None, trials=given.trials)
    kept = simulation.raw_parameters()
    if parameters:
        raw = {**kept, **simulation.raw_of(parameters)}
        loaded.simulator.set_parameters(simulation.in_layout(loaded.module, raw))
    try:
        inputs = _arguments(simulation, loaded, given, seed, first_trial)
        states = {
            name: array for name, array in loaded.simulator.call("init", inputs).items() if name in simulation.states
        }
        solver: Any = loaded.simulator
        settings = simulation.settings
        # The solver keeps its own time; a step has no number.
        try:
            run = solver.adaptive(inputs, states, times, settings.solver, settings.rtol, settings.atol)
        except SpecError as error:
            raise _with_place(simulation, given, error, duration, parameters, seed, first_trial) from None
        found = _read(simulation, loaded, run, inputs, times, members)
    finally:
        if parameters:
            loaded.simulator.set_parameters(simulation.in_layout(loaded.module, kept))
    return found, times[1:]


def _with_place(
    simulation: Simulation,
    given: Given,
    error: SpecError,
    duration: float,
    parameters: Mapping[str, Quantity] | None,
    seed: int | None,
    first_trial: int,
) -> SpecError:
    """A solver that gives up does not say where. Short steps of rk4 mostly run away in the same equation."""
    from cortexspec.runtime.finite import where_it_broke

    raw = simulation.raw_parameters() | (simulation.raw_of(parameters) if parameters else {})
    steps = (simulation, given, raw, _PROBE, seed, first_trial)
    place = where_it_broke(*steps, solver="rk4", dt=duration / _PROBE)
    (first, *rest) = error.diagnostics
    if place.span is None:
        return SpecError(error.diagnostics, simulation.sources)
    label, help = place.label, "smaller parameters, or another solver"
    return SpecError([replace(first, span=place.span, label=label, help=help), *rest], simulation.sources)


def _check(simulation: Simulation, given: Given) -> None:
    solver = simulation.settings.solver
    for population in simulation.model.populations:
        if population.updates or population.spike is not None:
            message = f"the adaptive solver `{solver}` cannot run `{population.path}`, which changes in steps"
            raise SpecError(
                [Diagnostic("CS700", message, population.span, help="use a fixed-step solver, such as rk4")]
            )
        if population.noises:
            message = f"the noise `{population.noises[0]}` needs the solver `euler_maruyama`, `{solver}` is adaptive"
            raise SpecError([Diagnostic("CS721", message, population.span)])
    if given.streams:
        message = f"the adaptive solver `{solver}` takes no inputs with one frame a step: `{given.streams[0]}`"
        raise SpecError([Diagnostic("CS700", message)])


def _arguments(
    simulation: Simulation, loaded: Loaded, given: Given, seed: int | None, first_trial: int
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in ("init", "derivative", "output"):
        if name in loaded.module.functions:
            found |= simulation.arguments(loaded, name, given, seed, first_trial)
    return found


def _read(
    simulation: Simulation,
    loaded: Loaded,
    run: Mapping[str, Array],
    inputs: Mapping[str, Array],
    times: Array,
    members: Mapping[str, Sequence[str]],
) -> dict[str, Recording]:
    """States as they were solved; outputs and lets from the states at each time."""
    asked = [one for parts in members.values() for one in parts]
    rows: dict[str, list[Array]] = {}
    names = {one.removesuffix(_END) for one in asked}
    types: dict[str, Any] = {}
    for function in ("derivative", "output"):
        if function not in loaded.module.functions:
            continue
        given = set(loaded.module.function(function).output_names) & names - set(simulation.states)
        if not given:
            continue
        types |= outputs_of(loaded.module, function)
        for place in range(1, len(times)):
            now = {name: array[place] for name, array in run.items()}
            shown = loaded.simulator.call(function, {**inputs, **now, "t": np.asarray(times[place])})
            for name in given:
                rows.setdefault(name, []).append(shown[name])
    found: dict[str, Recording] = {}
    layout = loaded.module.layout
    for one in asked:
        path, at_end = one.removesuffix(_END), one.endswith(_END)
        type_ = types[path] if path in rows else simulation.value_of(path).type
        stacked = np.stack(rows[path]) if path in rows else np.asarray(run[path])[1:]
        axes = layout.sort(type_.names)
        found[one] = (
            Recording(stacked[-1], axes, type_.unit) if at_end else Recording(stacked, ("time", *axes), type_.unit)
        )
    return found
