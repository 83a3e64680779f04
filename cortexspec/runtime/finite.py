"""Where a run left the finite numbers: the run again, step by step in the interpreter, until a state is no number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cortexspec.diagnostics import Diagnostic
from cortexspec.interpreter import run
from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import Bernoulli
from cortexspec.lowering.declarations import TIME
from cortexspec.runtime.compile import lowered, stepped, with_constants
from cortexspec.runtime.given import Given

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Simulation


def where_it_broke(
    simulation: Simulation,
    given: Given,
    raw: Mapping[str, Array],
    steps: int,
    seed: int | None,
    first_trial: int,
    solver: str = "",
    dt: float | None = None,
    begun: tuple[Mapping[str, Array], int] | None = None,
) -> Diagnostic:
    """CS915 with the first state that is not finite, its population's equation, the trial and the step.

    The steps are those of the run, unless another solver and step are given. `begun`: the states, their axes sorted by name, after so many
    steps, from which it is gone through; the frames of `given` then begin there.
    """
    settings, model = simulation.settings, simulation.model
    module = stepped(
        lowered(model, streams=given.streams, stimuli=simulation.stimuli, sources=simulation.sources),
        solver or settings.solver,
    )
    constants = {"dt": dt or settings.dt or 1.0}
    init = with_constants(module.function("init"), constants)
    step = with_constants(module.function("step"), constants)
    sizes = {**simulation.sizes, "trial": given.trials}
    values = simulation.in_layout(module, {**raw, **simulation.buffers()})
    values |= {
        "seed": np.array(settings.seed if seed is None else seed),
        "trial": np.arange(first_trial, first_trial + given.trials),
    }
    frames: dict[str, Array] = {}
    for entry in module.inputs:
        name, order = entry.value.name, module.layout.sort(entry.value.type.names)
        if name in given.streams:
            frames[name] = given.arranged(name, (TIME.name, *order))
        else:
            values[name] = given.arranged(name, order)
    dtype = settings.options.dtype
    first = begun[1] if begun is not None else 0
    if begun is not None:
        state = {name: _in_order(simulation, module, name, array) for name, array in begun[0].items()}
        # What no run goes on from is not known, and changes nothing.
        for value in (one.value for one in module.states if one.value.name not in state):
            axes = [value.type.axis(name) for name in module.layout.sort(value.type.names)]
            state[value.name] = np.zeros([axis.size.evaluate(sizes) for axis in axes])
    else:
        state = _only(run(init, values, sizes, module.layout, dtype), simulation)
    found = _broken(state)
    number = first
    while found is None and number < steps:
        now = {name: frame[number - first] for name, frame in frames.items()}
        shown = run(step, {**values, **state, **now, "n": np.array(number)}, sizes, module.layout, dtype)
        state = _only(shown, simulation)
        found, number = _broken(state), number + 1
    if found is None:
        return Diagnostic(
            "CS915",
            "an output is not a finite number, though all states are",
            help="look for a division by 0 or a logarithm of 0 in the outputs",
        )
    name, place = found
    order = module.layout.sort(simulation.value_of(name).type.names)
    trial = int(place[order.index("trial")]) + first_trial
    return _message(simulation, name, trial, number)


def _in_order(simulation: Simulation, module: Module, state: str, array: Array) -> Array:
    """A state with its axes by name, in the layout's order."""
    names = tuple(sorted(simulation.value_of(state).type.names))
    return np.asarray(array).transpose([names.index(name) for name in module.layout.sort(names)])


def _only(shown: Mapping[str, Array], simulation: Simulation) -> dict[str, Array]:
    return {name: shown[name] for name in simulation.states}


def _broken(state: Mapping[str, Array]) -> tuple[str, tuple[int, ...]] | None:
    for name, array in state.items():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            return name, tuple(int(i) for i in bad[0])
    return None


def _message(simulation: Simulation, state: str, trial: int, step: int) -> Diagnostic:
    for population in simulation.model.populations:
        if state not in population.states:
            continue
        for equation in population.equations:
            if equation.state == state.rstrip("'"):
                return Diagnostic(
                    "CS915",
                    f"`{state}` of the population `{population.path}` is no finite number after step {step} of trial {trial}",
                    equation.span or population.span,
                    label="this equation ran away",
                    help="a shorter dt, another solver, or smaller parameters",
                )
        for update in population.updates:
            if update.state == state:
                return Diagnostic(
                    "CS915",
                    f"`{state}` of the population `{population.path}` is no finite number after step {step} of trial {trial}",
                    update.span or population.span,
                    label="this update ran away",
                    help=_help_of_update(simulation, population.path),
                )
    return Diagnostic("CS915", f"`{state}` is no finite number after step {step} of trial {trial}")


def _help_of_update(simulation: Simulation, population: str) -> str:
    """A population that draws by a probability may have met one that is none."""
    update = simulation.plain.functions.get("update")
    sites = [line.op.site for line in update.body if isinstance(line.op, Bernoulli)] if update is not None else []
    if any(site.startswith(f"{population}.") for site in sites):
        return "a `bernoulli(p)` with p outside [0, 1], or p no number, draws no number: record p"
    return ""
