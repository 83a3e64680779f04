"""What a synapse does when a neuron at one of its ends fires: `on pre`, `on post`, `send`.

All of it runs after the reset, at the end of the step in which the spike is found: first `on pre`, whose right sides and whose
`send` see the values before it, then `on post`, which sees those after. A state per pre or per post changes where its own neuron
fired, one per connection where the neuron at that end did. A drawn train that counts several spikes in a step runs a block once, and
sends as often as it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from cortexspec.analysis.model import Model, Projection, Synapse, Update
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate
from cortexspec.expressions.tree import Expression
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering.edges import source_path
from cortexspec.lowering.frame import Frame, Here, Unwritten
from cortexspec.lowering.sending import sent_of
from cortexspec.lowering.sides import group_of, side_axes
from cortexspec.lowering.trains import is_train
from cortexspec.lowering.wiring import count_of, ends, matrix_axes

Side = Literal["pre", "post"]


def react(frame: Frame, projection: Projection, outputs: dict[str, Value]) -> None:
    """Enters the states of the projection's synapse after its reactions, and what it sends. Raises: Unwritten.

    The frame reads trains as what has just been found (`Frame.counts`).
    """
    synapse = projection.synapse
    assert synapse is not None
    if synapse.send is not None:
        outputs[sent_of(projection)] = _sent(frame, projection, synapse.send)
    blocks: tuple[tuple[Side, Sequence[Update]], ...] = (("pre", synapse.on_pre), ("post", synapse.on_post))
    for side, updates in blocks:
        fired = _fired(frame, projection, side) if updates else None
        if fired is None:
            continue
        new = {one.state: _changed(frame, projection, synapse, one, side, fired) for one in updates}
        outputs |= new
        _see(frame, projection, new)


def _see(frame: Frame, projection: Projection, new: Mapping[str, Value]) -> None:
    """From here on the states are the new ones, and what was computed from them is computed again."""
    prefix = f"{projection.path}."
    frame.known = {path: known for path, known in frame.known.items() if not path.startswith(prefix)}
    for path, value in new.items():
        frame.known[path] = frame.whole(frame.model.variables[path], value)


def _fired(frame: Frame, projection: Projection, side: Side) -> Value | None:
    """1 where the neuron at that end fired, [neuron, trial], with its axes as that end calls them; None where none ever does."""
    path = source_path(projection) if side == "pre" else _train_at_target(frame.model, projection)
    if not path:
        return None
    with frame.counting():
        count = frame.read(path).value
    axes = side_axes(frame.model, path, projection.source_axes if side == "pre" else projection.target_axes)
    count = write.expand(frame.build, count, [axis for axis in axes if not count.type.has(axis.name)])
    if _is_drawn(frame.model, path):
        return write.cast(frame.build, write.gt(frame.build, count, write.zero_like(frame.build, count)), "float")
    return count


def _train_at_target(model: Model, projection: Projection) -> str:
    """The train of the neurons at which a projection ends; empty where they do not spike."""
    for population in model.populations:
        if projection.target in population.ports:
            train = f"{population.path}.spike"
            return train if is_train(model, train) else ""
    try:
        group, _ = group_of(model, projection.target)
    except KeyError:
        return ""
    return f"{group.path}.spike" if all(is_train(model, f"{one}.spike") for one in group.members) else ""


def _is_drawn(model: Model, path: str) -> bool:
    members = [path.removesuffix(".spike")]
    for group in model.groups:
        if group.path == members[0]:
            members = list(group.members)
    return any(
        population.path in members and population.spike is not None and population.spike.distribution is not None
        for population in model.populations
    )


def _changed(frame: Frame, projection: Projection, synapse: Synapse, update: Update, side: Side, fired: Value) -> Value:
    """(1 - z)*x + z*new: exact where z is 0 or 1, and the gradient passes z."""
    build, variable = frame.build, frame.model.variables[update.state]
    old = frame.read(update.state).value
    at_edges = synapse.extents[update.state] == "connection"
    around = (*projection.around, *(axis.name for axis in variable.type.axes))
    scope = _Ends(frame, projection) if at_edges else Here(frame, around, variable)
    operand = translate(update.value, scope, build)
    if operand is None:
        raise Unwritten
    z = scope.at(fired, side) if isinstance(scope, _Ends) else _called(frame, projection, fired, side, variable.type)
    new = frame.as_declared(replace(variable, around=variable.type.names), replace(operand, axes=()), update.span)
    stays = write.mul(build, write.sub(build, write.const(build, 1.0), z), old)
    return frame.spread(update.state, Operand(write.add(build, stays, write.mul(build, z, new.value))))


def _called(frame: Frame, projection: Projection, value: Value, side: Side, type_: Type) -> Value:
    """The value of one end with its axes called as in a state of that end."""
    names = projection.source_axes if side == "pre" else projection.target_axes
    suffix = "_source" if side == "pre" else "_target"
    renamed = {name: f"{name}{suffix}" for name in names if type_.has(f"{name}{suffix}") and not type_.has(name)}
    return write.rename(frame.build, value, renamed)


class _Ends(Here):
    """The names as a state per connection sees them: what lives at an end is read there, connection by connection."""

    def __init__(self, frame: Frame, projection: Projection):
        super().__init__(frame, ())
        self.projection = projection
        variable = frame.model.variables
        self.listed = any(
            axis.role == "edge"
            for path in (projection.synapse.states if projection.synapse is not None else ())
            for axis in variable[path].type.axes
        )
        self.rows, self.columns = matrix_axes(frame, projection)

    def read(self, path: str, build: Builder) -> Operand | None:
        variable = self.frame.model.variables.get(path)
        if variable is not None and variable.kind == "let" and path.startswith(f"{self.projection.path}."):
            return translate(variable.value, self, build) if variable.value is not None else None
        try:
            operand = self.frame.read(path)
        except Unwritten:
            return None
        names = operand.type.names
        if any(axis.name in names for axis in self.columns):
            value = self.at(self._plain(operand.value, self.columns, self.projection.source_axes), "pre")
        elif names & {*self.projection.target_axes, *(axis.name for axis in self.rows)}:
            value = self.at(self._plain(operand.value, self.rows, self.projection.target_axes), "post")
        else:
            value = operand.value
        return replace(operand, value=value, axes=())

    def _plain(self, value: Value, axes: Sequence[Axis], names: Sequence[str]) -> Value:
        pairs = {a.name: name for a, name in zip(axes, names, strict=True) if value.type.has(a.name) and a.name != name}
        return write.rename(self.frame.build, value, pairs)

    def at(self, value: Value, side: Side) -> Value:
        """What lives at one end, with its axes as that end calls them, for each connection."""
        frame, build = self.frame, self.frame.build
        axes = self.columns if side == "pre" else self.rows
        names = self.projection.source_axes if side == "pre" else self.projection.target_axes
        if not self.listed:
            return write.rename(build, value, {n: a.name for n, a in zip(names, axes, strict=True) if n != a.name})
        own = [replace(axis, name=name) for axis, name in zip(axes, names, strict=True)]
        value = write.expand(build, value, [axis for axis in own if not value.type.has(axis.name)])
        flat = build.axis("ends", count_of(own))
        index = ends(frame, self.projection)[0 if side == "pre" else 1]
        return write.gather(build, write.merge(build, value, names, flat), index, flat.name)


# What is sent


def _sent(frame: Frame, projection: Projection, what: Expression) -> Value:
    build = frame.build
    with frame.counting():
        count = frame.read(source_path(projection)).value
    columns = matrix_axes(frame, projection)[1]
    operand = translate(what, Here(frame, (*projection.around, *(axis.name for axis in columns))), build)
    if operand is None:
        raise Unwritten
    pairs = zip(columns, projection.source_axes, strict=True)
    renamed = {axis.name: name for axis, name in pairs if operand.type.has(axis.name) and axis.name != name}
    value = write.mul(build, count, write.rename(build, operand.value, renamed))
    return frame.spread(sent_of(projection), Operand(value))
