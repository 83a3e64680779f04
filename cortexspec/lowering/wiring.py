"""Projections whose connections are drawn or listed: edges from source to target, held as index buffers.

A module declares for each the buffers `NAME.pre` and `NAME.post` [edge], places in the flattened lists of sources and targets,
and has a function `wiring` that gives what the rule's arguments are worth; `runtime.wiring` draws the edges from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cortexspec.analysis.model import Model, Projection
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate
from cortexspec.ir.module import Function, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering import sides
from cortexspec.lowering.delays import delayed
from cortexspec.lowering.edges import (
    edge_axis,
    has_edges,
    is_listed,
    rule_arguments,
    slot_axis,
    slot_buffer,
    source_path,
    starts_buffer,
)
from cortexspec.lowering.entries import rules
from cortexspec.lowering.frame import Frame, Here, Plan, Unwritten, guarded
from cortexspec.lowering.trains import reached_of, support_of, train_of

# A matrix [target, source] of more elements than this is not held: what arrives is then summed edge by edge.
DENSE_LIMIT = 2**24


def wiring(plan: Plan) -> Function | None:
    """The arguments of each rule that draws, as `NAME.p`, `NAME.n`, `NAME.where`, ..., and as `NAME.listed` the length of a list
    of weights; None where there is none of them. Input: `seed`."""
    frame = Frame(plan, "start")
    outputs: dict[str, Value] = {}
    for projection in plan.model.projections:
        if not has_edges(plan.model, projection):
            continue
        for name, argument in rule_arguments(projection.rule, rules(plan.model)):
            with guarded():
                if argument.value is None:
                    continue
                operand = translate(argument.value, Here(frame, projection.around), frame.build)
                if operand is None:
                    raise Unwritten
                outputs[f"{projection.path}.{name}"] = operand.value
        with guarded():
            listed = _list_of(plan, projection)
            if listed is not None:
                outputs[f"{projection.path}.listed"] = write.size_of(frame.build, listed)
    return frame.function("wiring", outputs) if outputs else None


def _list_of(plan: Plan, projection: Projection) -> Axis | None:
    """The axis of a list that gives each connection its weight; None where the weight is no list. Raises: Unwritten."""
    frame = Frame(plan, "start")  # of its own: how many connections there are is not known where wiring is drawn
    if projection.weight is None or not is_listed(frame.model, projection):
        return None
    weight = frame.model.variables[projection.weight]
    assert weight.value is not None
    operand = translate(weight.value, Here(frame, weight.around, weight), frame.build)
    if operand is None:
        raise Unwritten
    listed = operand.written[0] if len(operand.axes) == 1 else None
    return None if listed is None or listed.role == "edge" else listed


# Sides


def side_axes(frame: Frame, path: str, names: Sequence[str]) -> tuple[Axis, ...]:
    """The axes by these names of what a projection reads or ends at."""
    return sides.side_axes(frame.model, path, names)


def local_axis(projection: Projection, stem: str, size: Size) -> Axis:
    """An axis of what a projection delivers, of one name wherever that is written, so that lines written twice are found to be alike."""
    return Axis(f"{projection.path}.{stem}~1", size)


def count_of(axes: Iterable[Axis]) -> Size:
    total = Size.of(1)
    for axis in axes:
        total = total * axis.size
    return total


def matrix_axes(frame: Frame, projection: Projection) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """The axes of a weight, target's and source's: one that both sides have is called `_target` and `_source`."""
    targets = side_axes(frame, projection.target, projection.target_axes)
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    shared = {axis.name for axis in targets} & {axis.name for axis in sources}
    rows = tuple(replace(a, name=f"{a.name}_target") if a.name in shared else a for a in targets)
    columns = tuple(replace(a, name=f"{a.name}_source") if a.name in shared else a for a in sources)
    return rows, columns


def fits_in_memory(frame: Frame, projection: Projection) -> bool:
    """Whether the matrix [target, source] may be held."""
    rows, columns = matrix_axes(frame, projection)
    size = count_of((*rows, *columns))
    return not size.symbols <= frame.model.sizes.keys() or size.evaluate(frame.model.sizes) <= DENSE_LIMIT


# What arrives


def ends(frame: Frame, projection: Projection) -> tuple[Value, Value]:
    """`NAME.pre` and `NAME.post` [edge]."""
    pre, post = (frame.declared.buffers[f"{projection.path}.{side}"].value for side in ("pre", "post"))
    return frame.input(pre), frame.input(post)


def weight_matrix(frame: Frame, projection: Projection, weight: Operand | None) -> Operand:
    """[target, source]: the weights of the edges between two neurons, added up; 0 where there is none."""
    build, edge = frame.build, edge_axis(projection)
    rows, columns = matrix_axes(frame, projection)
    each = weight is not None and weight.type.has(edge.name)
    if weight is not None and each:
        values = weight.value
    else:
        values = write.expand(build, write.const(build, 1.0), [edge])
    pre, post = ends(frame, projection)
    width = write.size_of(build, Axis("sources", count_of(columns)))
    place = write.add(build, write.mul(build, post, write.cast(build, width, "int")), pre)
    flat = build.axis(f"{projection.path}.pairs", count_of((*rows, *columns)))
    matrix = write.scatter_add(build, values, place, flat, [edge.name])
    matrix = write.split(build, matrix, flat.name, [*rows, *columns])
    if weight is not None and not each:
        matrix = write.mul(build, matrix, weight.value)
    return Operand(matrix, tuple(axis.name for axis in (*rows, *columns)))


def weights_of_edges(frame: Frame, projection: Projection, weight: Operand | None) -> Value | None:
    """The weight of each edge [edge], or one for all; None for 1."""
    build, edge = frame.build, edge_axis(projection)
    if weight is None or weight.type.has(edge.name):
        return weight.value if weight is not None else None
    rows, columns = matrix_axes(frame, projection)
    if not {axis.name for axis in (*rows, *columns)} & weight.type.names:
        return weight.value
    value = write.expand(build, weight.value, [a for a in (*rows, *columns) if not weight.type.has(a.name)])
    flat = build.axis(f"{projection.path}.pairs", count_of((*rows, *columns)))
    pre, post = ends(frame, projection)
    width = write.size_of(build, Axis("sources", count_of(columns)))
    place = write.add(build, write.mul(build, post, write.cast(build, width, "int")), pre)
    return write.gather(build, write.merge(build, value, [a.name for a in (*rows, *columns)], flat), place, flat.name)


def add_at_slots(
    frame: Frame, projection: Projection, source: Value, weight: Operand | None, steps: Value, slots: Axis
) -> Value:
    """[slot, target]: what each edge reads of its source times its weight, added at the slot that its delay names."""
    if projection.path in frame.plan.sparse:
        return _delivered(frame, projection, source, weight, slots, steps)
    build, edge = frame.build, edge_axis(projection)
    targets = side_axes(frame, projection.target, projection.target_axes)
    pre, post = ends(frame, projection)
    value = _of_edges(frame, projection, source, pre)
    factor = weights_of_edges(frame, projection, weight)
    value = value if factor is None else write.mul(build, value, factor)
    row = build.axis("targets", count_of(targets))
    flat = build.axis("arrivals", slots.size * row.size)
    width = write.cast(build, write.size_of(build, row), "int")
    place = write.add(build, write.mul(build, steps, width), post)
    total = write.split(build, write.scatter_add(build, value, place, flat, [edge.name]), flat.name, [slots, row])
    return write.split(build, total, row.name, list(targets))


def _of_edges(frame: Frame, projection: Projection, source: Value, pre: Value) -> Value:
    """What each edge reads of its source [edge]."""
    build = frame.build
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    column = build.axis("sources", count_of(sources))
    value = write.expand(build, source, [axis for axis in sources if not source.type.has(axis.name)])
    return write.gather(build, write.merge(build, value, [a.name for a in sources], column), pre, column.name)


def sum_of_past(
    frame: Frame, projection: Projection, past: Value, slots: Axis, steps: Value, weight: Operand | None
) -> Value:
    """[target]: each edge reads its source as it was a delay ago, from `past` [slot, source]."""
    build, edge = frame.build, edge_axis(projection)
    targets = side_axes(frame, projection.target, projection.target_axes)
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    pre, post = ends(frame, projection)
    column = build.axis("sources", count_of(sources))
    flat = build.axis("past", slots.size * column.size)
    width = write.cast(build, write.size_of(build, column), "int")
    place = write.add(build, write.mul(build, steps, width), pre)
    value = write.merge(build, past, [slots.name, *(axis.name for axis in sources)], flat)
    value = write.gather(build, value, place, flat.name)
    factor = weights_of_edges(frame, projection, weight)
    value = value if factor is None else write.mul(build, value, factor)
    row = build.axis("targets", count_of(targets))
    total = write.scatter_add(build, value, post, row, [edge.name])
    return write.split(build, total, row.name, list(targets))


def delays(plan: Plan) -> Function | None:
    """The delay of each projection that has one, in time, as `NAME.delay`; None where none has. Input: `seed`."""
    frame = Frame(plan, "start")
    outputs: dict[str, Value] = {}
    for projection in delayed(plan.model):
        with guarded():
            outputs[f"{projection.path}.delay"] = frame.read(f"{projection.path}.delay").value
    return frame.function("delays", outputs) if outputs else None


def sum_over_edges(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """What arrives without a matrix: each edge reads its source, and adds to its target."""
    build, edge = frame.build, edge_axis(projection)
    targets = side_axes(frame, projection.target, projection.target_axes)
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    pre, post = ends(frame, projection)
    row, column = build.axis("targets", count_of(targets)), build.axis("sources", count_of(sources))
    value = write.expand(build, source, [axis for axis in sources if not source.type.has(axis.name)])
    value = write.gather(build, write.merge(build, value, [a.name for a in sources], column), pre, column.name)
    if weight is not None:
        known = (edge.name, *projection.around)
        others = [axis.name for axis in weight.type.axes if axis.role != "sample" and axis.name not in known]
        if others:
            message = f"a weight along `{others[0]}` of so many pairs is not supported yet"
            raise frame.stop("CS700", message, projection.span)
        value = write.mul(build, value, weight.value)
    total = write.scatter_add(build, value, post, row, [edge.name])
    return write.split(build, total, row.name, list(targets))


def has_table(model: Model, projection: Projection) -> bool:
    """Whether what arrives may be summed from a table [slot, target]: drawn connections with a weight each, or one for all."""
    weight = model.variables[projection.weight].type if projection.weight is not None else None
    if projection.weight is not None and model.variables[projection.weight].kind == "state":
        return False
    plain = weight is None or not weight.axes or weight.names == frozenset((edge_axis(projection).name,))
    return has_edges(model, projection) and plain and not projection.around and not projection.cuts


def sum_of_events(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """What arrives from spikes: only the connections of sources that fired are read."""
    slot = local_axis(projection, "now", Size.of(1))
    return write.index(frame.build, _delivered(frame, projection, source, weight, slot), slot.name, 0)


def _delivered(
    frame: Frame,
    projection: Projection,
    source: Value,
    weight: Operand | None,
    slot: Axis,
    steps: Value | None = None,
) -> Value:
    """[slot, target]: what the sources that fired send, each connection to the slot that its delay names."""
    build, edge = frame.build, edge_axis(projection)
    targets = side_axes(frame, projection.target, projection.target_axes)
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    post, starts = ends(frame, projection)[1], frame.input(starts_buffer(projection).value)
    row, column = (
        local_axis(projection, name, count_of(axes)) for name, axes in (("targets", targets), ("sources", sources))
    )
    value = write.expand(build, source, [axis for axis in sources if not source.type.has(axis.name)])
    value = write.merge(build, value, [axis.name for axis in sources], column)
    each = weight is not None and weight.type.has(edge.name)
    factor = weight.value if weight is not None and each else write.const(build, 1.0)
    rest = value.type.without([column.name])
    ring = write.zeros(build, Type((slot, row, *rest), "float", value.type.unit * factor.type.unit))
    now, axes = write.integer(build, 0), (column.name, slot.name, row.name)
    reached = _reached(frame, projection, value, column)
    delay = 0 if steps is None else steps
    total = write.deliver(build, value, starts, post, factor, ring, now, axes, delay, reached)
    total = write.split(build, total, row.name, list(targets))
    return total if weight is None or each else write.mul(build, total, weight.value)


def _reached(frame: Frame, projection: Projection, value: Value, column: Axis) -> Value | None:
    """[source]: 0 where no derivative by what is sent is asked for; None where that may be everywhere."""
    path = source_path(projection)
    for population in frame.model.populations:
        if train_of(population) == path and support_of(population) is not None:
            near = frame.input(frame.declared.states[reached_of(path)].value)
            axes = [axis.name for axis in side_axes(frame, path, projection.source_axes)]
            return write.merge(frame.build, near, axes, column)
    return None


def sum_from_table(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """What arrives where few of the pairs are connected: a sum over the sources of each target alone."""
    build, edge = frame.build, edge_axis(projection)
    targets = side_axes(frame, projection.target, projection.target_axes)
    sources = side_axes(frame, source_path(projection), projection.source_axes)
    pre, slot = ends(frame, projection)[0], frame.input(slot_buffer(projection).value)
    row, column = build.axis("targets", count_of(targets)), build.axis("sources", count_of(sources))
    places = slot_axis(projection)
    flat = build.axis(f"{projection.path}.table", places.size * row.size)

    def table(values: Value) -> Value:
        return write.split(build, write.scatter_add(build, values, slot, flat, [edge.name]), flat.name, [places, row])

    each = weight is not None and weight.type.has(edge.name)
    weights = weight.value if weight is not None and each else write.expand(build, write.const(build, 1.0), [edge])
    value = write.expand(build, source, [axis for axis in sources if not source.type.has(axis.name)])
    value = write.merge(build, value, [axis.name for axis in sources], column)
    total = write.sparse_product(build, table(weights), table(pre), value, places.name, column.name)
    total = write.split(build, total, row.name, list(targets))
    return total if weight is None or each else write.mul(build, total, weight.value)
