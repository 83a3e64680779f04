"""Delays: what of the past is carried from step to step, in whole steps of dt.

A delayed train keeps what is still on its way, already weighted and summed at its targets: `NAME.delay.ring` [slot, target, trial],
slot k arrives k + 1 steps after the present one. What is continuous keeps the values of its source: `NAME.delay.history`
[slot, source, trial], slot k is the value k + 1 steps ago; before t = 0 that of t = 0 holds. `NAME.delay.steps` is the delay in
steps, of the projection or of each connection, which `runtime.delays` rounds. No spec can write these names: a delay has no members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cortexspec.analysis.model import Model, Projection
from cortexspec.expressions.tree import Number
from cortexspec.ir.module import Buffer, State, Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering.trains import sends_spikes
from cortexspec.units import Unit


def is_delayed(projection: Projection) -> bool:
    delay = projection.delay
    return delay is not None and not (isinstance(delay, Number) and delay.value == 0)


def delays_each(model: Model, projection: Projection) -> bool:
    """Whether connections differ in their delay."""
    variable = model.variables.get(f"{projection.path}.delay")
    return is_delayed(projection) and variable is not None and bool(variable.type.axes)


def slot_axis(projection: Projection) -> Axis:
    """As many slots as the longest delay has steps."""
    return Axis(f"{projection.path}.delay.slot", Size.symbol(slots_of(projection)))


def slots_of(projection: Projection) -> str:
    return f"{projection.path}.delay.slots"


def steps_of(projection: Projection) -> str:
    return f"{projection.path}.delay.steps"


def past_of(model: Model, projection: Projection) -> str:
    """The state that carries what is on its way."""
    return f"{projection.path}.delay.{'ring' if sends_spikes(model, projection) else 'history'}"


def steps_buffer(model: Model, projection: Projection, edge: Axis) -> Buffer:
    axes = (edge,) if delays_each(model, projection) else ()
    return Buffer(Value(steps_of(projection), Type(axes, "int")), "index", source="delays")


def past_state(model: Model, projection: Projection, axes: Sequence[Axis], unit: Unit, trial: Axis) -> State:
    """`axes` are those of the targets for a train, of the sources for what is continuous."""
    type_ = Type((slot_axis(projection), *axes, trial), "float", unit)
    name = past_of(model, projection)
    return State(Value(name, type_), projection.path, "delay", name.removeprefix(f"{projection.path}."))


def delayed(model: Model) -> Iterator[Projection]:
    return (projection for projection in model.projections if is_delayed(projection))
