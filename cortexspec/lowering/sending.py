"""`send`: what a source sends with a spike in the place of 1, carried to the step in which it arrives."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Model, Projection, Synapse
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.ir.module import State, Value
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering.depends import references
from cortexspec.lowering.edges import source_path
from cortexspec.lowering.sides import side_axes
from cortexspec.lowering.trains import sends_spikes


def sent_of(projection: Projection) -> str:
    """The state that carries what each source has sent at the end of the last step, in the place of its count."""
    return f"{projection.path}.send.amount"


def sends(projection: Projection) -> bool:
    return projection.synapse is not None and projection.synapse.send is not None


def sent_state(model: Model, projection: Projection, trial: Axis) -> State:
    """Shapes: [source, trial]; in the unit of what arrives, over that of weight per time."""
    synapse = projection.synapse
    assert synapse is not None
    unit = model.variables[synapse.input].type.unit * model.time_unit
    if projection.weight is not None:
        unit = unit / model.variables[projection.weight].type.unit
    axes = side_axes(model, source_path(projection), projection.source_axes)
    return State(
        Value(sent_of(projection), Type((*axes, trial), "float", unit)), projection.path, "send", "send.amount"
    )


def not_yet(model: Model, projection: Projection, synapse: Synapse) -> Iterator[Diagnostic]:
    """The reactions that this version does not lower, at their places."""
    span = synapse.span or projection.span
    reacts = synapse.on_pre or synapse.on_post or synapse.send is not None
    if reacts and projection.around:
        yield _later("a synapse that reacts to spikes, inside an array of parts, is", span)
    if (synapse.on_pre or synapse.send is not None) and not sends_spikes(model, projection):
        yield _later("`on pre` for a source that sends no spikes is", span)
    for side, other, updates in (("pre", "post", synapse.on_pre), ("post", "pre", synapse.on_post)):
        for update in updates:
            if synapse.extents.get(update.state) == other:
                yield _later(f"changing a state per {other} on {side} is", update.span or span)
    for path in references(synapse.send) if synapse.send is not None else ():
        if synapse.extents.get(path) in ("post", "connection"):
            yield _later(f"sending what is per {synapse.extents[path]} is", span)


def _later(what: str, span: Span | None) -> Diagnostic:
    return Diagnostic("CS700", f"{what} not supported yet", span)
