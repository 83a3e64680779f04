"""Measures of a circuit itself, found without a run: what an AnalysisEntry is given, and the gradient through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cortexspec.contracts.measure import Reader
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.interpreter import run
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.types import Type
from cortexspec.lowering.declarations import TIME, TRIAL
from cortexspec.lowering.readout import Readout
from cortexspec.passes.differentiate import forward_and_backward
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.runtime.compile import FIXED_STEP, Wanted, lowered, program_module, read_out, stepped

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Simulation

_READ = "read"


class CircuitAsItStands:
    """The `contracts.measure.Circuit` of a simulation. `lets` are the names that arguments may read."""

    def __init__(self, simulation: Simulation, lets: Mapping[str, tree.Expression]):
        self.simulation, self.lets = simulation, dict(lets)

    def pull_back(
        self, function: Function, values: Mapping[str, Array], cotangents: Mapping[str, Array], wrt: Sequence[str]
    ) -> dict[str, Array]:
        forward, backward = forward_and_backward(function, wrt)
        sizes, layout = self.simulation.sizes, self.simulation.plain.layout
        found = run(forward, values, sizes, layout)
        zeros = {f"d:{name}": np.zeros_like(found[name]) for name in function.output_names if name in found}
        given = {**values, **found, **zeros, **{f"d:{name}": array for name, array in cotangents.items()}}
        read = {value.name for value in backward.inputs}
        gradients = run(backward, {name: array for name, array in given.items() if name in read}, sizes, layout)
        return {name: gradients[f"grad:{name}"] for name in wrt}

    def reader(self, argument: tree.Expression) -> Reader:
        """An argument of a measure as a function of states [trial, element] by name.

        Raises: SpecError CS308 for something that a step alone knows.
        """
        end = tree.Index(argument, (tree.Argument(tree.Name("end"), "time"),), span=argument.span)
        try:
            function = function_of(self.simulation, Readout(_READ, {_READ: end}, scalars=False, lets=self.lets))
        except SpecError as error:
            if error.diagnostics[0].code != "CS301":
                raise
            message = f"`{print_expression(argument)}` is not known from the states alone"
            found = Diagnostic("CS308", message, argument.span, help="name a state, or what an output makes of states")
            raise SpecError([found], self.simulation.sources) from None
        names = function.outputs[0].type.names
        layout = self.simulation.plain.layout

        def read(states: Mapping[str, Array]) -> Array:
            trials = max((len(array) for array in states.values()), default=1)
            given = values_at_start(self.simulation, states, trials)
            sizes = {**self.simulation.sizes, TRIAL.name: trials}
            array = np.asarray(
                run(function, {one.name: given[one.name] for one in function.inputs}, sizes, layout)[_READ]
            )
            order = layout.sort(names)
            if TRIAL.name not in order:
                return np.broadcast_to(array.reshape(1, -1), (trials, array.size))
            return np.moveaxis(array, order.index(TRIAL.name), 0).reshape(trials, -1)

        return read


def function_of(simulation: Simulation, readout: Readout) -> Function:
    """What a readout computes from states and fields, with no step between them. Its inputs are those that it reads."""
    if readout.told is not None:
        return _function_of(simulation, readout)
    what = repr(readout)
    if what not in simulation.functions:
        simulation.functions[what] = _function_of(simulation, readout)
    return simulation.functions[what]


def _function_of(simulation: Simulation, readout: Readout) -> Function:
    wanted = Wanted(readouts=(readout,), rollout=False, resumed=(readout.function,))
    settings = simulation.settings
    module = program_module(
        simulation.model, wanted, solver=settings.solver, dt=settings.dt, stimuli=simulation.stimuli,
        sizes={**simulation.sizes, TIME.name: 0}, sources=simulation.sources, seed=settings.seed,
    )  # fmt: skip
    function = without_a_step(module.function(readout.function))
    read = {operand.name for line in function.body for operand in line.operands} | {v.name for v in function.outputs}
    return replace(function, inputs=tuple(value for value in function.inputs if value.name in read))


def types_of(
    simulation: Simulation,
    values: Mapping[str, tree.Expression],
    lets: Mapping[str, tree.Expression],
    streams: Sequence[str] = (),
) -> Mapping[str, Type]:
    """What each step of a run has of these expressions, by name. `streams`: inputs with one frame a step.

    Raises: SpecError where one does not check.
    """
    what = repr((values, lets, tuple(streams)))
    if what not in simulation.types:
        simulation.types[what] = _types_of(simulation, values, lets, streams)
    return simulation.types[what]


def _types_of(
    simulation: Simulation,
    values: Mapping[str, tree.Expression],
    lets: Mapping[str, tree.Expression],
    streams: Sequence[str],
) -> Mapping[str, Type]:
    plain, solver = simulation.plain, simulation.settings.solver
    if streams:
        found = lowered(simulation.model, streams=streams, stimuli=simulation.stimuli, sources=simulation.sources)
        plain = replace(found, sizes=simulation.sizes)
    module = stepped(plain, solver) if solver in FIXED_STEP else plain
    readout = Readout("types", values, scalars=False, lets=lets)
    function = read_out(simulation.model, module, readout, False, simulation.sources, True)
    return {name: value.type for name, value in zip(function.output_names, function.outputs, strict=True)}


def without_a_step(function: Function) -> Function:
    """The function of a run that has no step: what a loop carries stays as it was."""
    kept: dict[str, Value] = {}
    body: list[Line] = []
    for line in function.body:
        operands = tuple(kept.get(value.name, value) for value in line.operands)
        if isinstance(line.op, Scan) and line.op.over.name == TIME.name:
            _, carried, _ = line.op.split(operands)
            kept |= {result.name: value for result, value in zip(line.results, carried, strict=False)}
        else:
            body.append(replace(line, operands=operands))
    outputs = tuple(kept.get(value.name, value) for value in function.outputs)
    return remove_dead(replace(function, body=tuple(body), outputs=outputs))


def values_at_start(simulation: Simulation, states: Mapping[str, Array], trials: int) -> dict[str, Array]:
    """What the functions of `simulation.plain` read, axes in its layout's order; states that are not given at their start."""
    module, layout = simulation.plain, simulation.plain.layout
    values: dict[str, Array] = dict(simulation.in_layout(module, simulation.raw_parameters() | simulation.buffers()))
    sizes = {**simulation.sizes, TRIAL.name: trials}
    for entry in module.inputs:
        shape = [entry.value.type.axis(name).size.evaluate(sizes) for name in layout.sort(entry.value.type.names)]
        values[entry.value.name] = np.full(shape, entry.default or 0.0)
    values |= {"seed": np.array(simulation.settings.seed), "n": np.array(0), "t": np.array(0.0)}
    values |= {"dt": np.array(simulation.settings.dt or 1.0), TRIAL.name: np.arange(trials)}
    init = module.function("init")
    started = run(init, {one.name: values[one.name] for one in init.inputs}, sizes, layout)
    for state in module.states:
        name, order = state.value.name, layout.sort(state.value.type.names)
        values[name] = started[name]
        if name in states:
            own = [state.value.type.axis(axis).size.evaluate(sizes) for axis in order if axis != TRIAL.name]
            values[name] = np.moveaxis(np.asarray(states[name]).reshape(trials, *own), 0, order.index(TRIAL.name))
    return values


__all__ = ["CircuitAsItStands", "function_of", "values_at_start"]
