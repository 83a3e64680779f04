"""Spike trains: what of them is carried from step to step, and which names it has.

A train is a sum of impulses. Between two steps it is the number of spikes of each neuron that were found at the end of the last
one, `POP.spike.count`: 0 or 1 for a threshold, a count for a train that is drawn. A neuron with a refractory period also carries
`POP.spike.held`, the steps for which it is still held; one whose surrogate is 0 far from the threshold `POP.spike.reached`,
what a backward pass has to look at. No spec can write these names, since a spike has no members.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Model, Population, Projection
from cortexspec.expressions.tree import Call, Name, Reference
from cortexspec.ir.module import State, Value
from cortexspec.ir.ops.spike import SUPPORT
from cortexspec.ir.types import Axis, Type

_REACHED = "spike.reached"


def train_of(population: Population) -> str:
    return f"{population.path}.spike"


def count_of(train: str) -> str:
    """The state that says how often each neuron fired at the end of the last step."""
    return f"{train}.count"


def held_of(train: str) -> str:
    """The state that says for how many steps a neuron is refractory still."""
    return f"{train}.held"


def reached_of(train: str) -> str:
    """The state that is 1 where a neuron fired, or came so near its threshold that its surrogate has a slope; 0 elsewhere."""
    return f"{train}.reached"


def of_a_backward_pass(state: State) -> bool:
    """Whether nothing but a gradient reads it: no run begins differently for want of it, and nobody looks at it."""
    return state.variable == _REACHED


def below_of(train: str) -> str:
    """Whether a neuron that fires by crossing was at its threshold or below at the beginning of the step."""
    return f"{train}.below"


def support_of(population: Population) -> float | None:
    """How far from its threshold, times the steepness, a surrogate's slope is not 0; None where it is nowhere 0, or there is none."""
    match population.spike.surrogate if population.spike is not None else None:
        case Call(function=Name(name)) | Name(name):
            return SUPPORT.get(name)
        case _:
            return None


def is_train(model: Model, path: str) -> bool:
    """Whether the path is a spike train: an output by this name that nothing defines."""
    variable = model.variables.get(path)
    return path.endswith(".spike") and variable is not None and variable.kind == "output" and variable.value is None


def sends_spikes(model: Model, projection: Projection) -> bool:
    """Whether its source is a train, or a group of trains."""
    if not isinstance(projection.source, Reference):
        return False
    path = projection.source.path
    for group in model.groups:
        if path.startswith(f"{group.path}."):
            rest = path.removeprefix(group.path)
            return all(is_train(model, f"{member}{rest}") for member in group.members)
    return is_train(model, path)


def has_trains(model: Model) -> bool:
    return any(population.spike is not None for population in model.populations)


def train_states(model: Model, trial: Axis) -> Iterator[State]:
    """The states that detection carries. Shapes: [instance, neuron, trial]; pure numbers."""
    for population in model.populations:
        if population.spike is None:
            continue
        train = train_of(population)
        type_ = Type((*model.variables[train].type.axes, trial))
        yield State(Value(count_of(train), type_), population.path, population.neuron, "spike.count")
        if population.spike.refractory is not None:
            yield State(Value(held_of(train), type_), population.path, population.neuron, "spike.held")
        if support_of(population) is not None:
            yield State(Value(reached_of(train), type_), population.path, population.neuron, _REACHED)
