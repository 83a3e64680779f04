"""What a projection delivers at its target: the sum over its sources of weight times value, written by axis names."""

from __future__ import annotations

from dataclasses import replace

from cortexspec.analysis.model import Projection
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate
from cortexspec.expressions.tree import Name, Reference
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError
from cortexspec.lowering.delays import delays_each, is_delayed, past_of, slot_axis, steps_of
from cortexspec.lowering.edges import has_edges, rule_arguments, rule_name, source_path
from cortexspec.lowering.frame import Frame, Here, Unwritten, written_axes
from cortexspec.lowering.renewed import after_update
from cortexspec.lowering.sending import sends, sent_of
from cortexspec.lowering.trains import sends_spikes
from cortexspec.lowering.wiring import (
    add_at_slots,
    fits_in_memory,
    local_axis,
    matrix_axes,
    side_axes,
    sum_from_table,
    sum_of_events,
    sum_of_past,
    sum_over_edges,
    weight_matrix,
)
from cortexspec.units import DIMENSIONLESS, Unit


def port(frame: Frame, path: str) -> Operand:
    """What arrives at an input: the sum of its projections in written order, its default where there is none.

    At the input of a synapse, what its own projection sends.
    """
    variable = frame.model.variables[path]
    for projection in frame.model.projections:
        if projection.synapse is not None and projection.synapse.input == path:
            return frame.as_declared(replace(variable, around=()), _arriving(frame, projection), projection.span)
    total: Value | None = None
    for projection in frame.model.projections:
        operand = arriving_at(frame, projection, path)
        if operand is None:
            continue
        operand = frame.as_declared(replace(variable, around=()), operand, projection.span)
        total = operand.value if total is None else write.add(frame.build, total, operand.value)
    if total is not None:
        return frame.whole(variable, total)
    if variable.value is None:
        raise frame.stop("CS503", f"nothing is connected to `{path}`, and it has no default", variable.span)
    return frame.translated(variable, variable.value)


def arriving_at(frame: Frame, projection: Projection, path: str) -> Operand | None:
    """What a projection delivers at this input: all of it, or the input's stretch of a group's; None where it ends elsewhere."""
    if projection.target == path:
        return delivered(frame, projection)
    try:
        group, rest = frame.group_of(projection.target)
    except KeyError:
        return None
    members = [f"{member}.{rest}" if rest else member for member in group.members]
    if path not in members:
        return None
    whole, start = delivered(frame, projection), Size.of(0)
    for member in group.members[: members.index(path)]:
        start = start + frame.member_axis(group, member, rest).size
    axis = frame.member_axis(group, group.members[members.index(path)], rest)
    if not whole.type.has(group.axis):
        return whole
    value = write.slice_(frame.build, whole.value, group.axis, start, start + axis.size, axis)
    return Operand(value, tuple(axis.name if name == group.axis else name for name in whole.axes))


def delivered(frame: Frame, projection: Projection) -> Operand:
    """`NAME.arriving`. Raises: Unwritten."""
    key = f"{projection.path}.arriving"
    if key not in frame.known:
        before, frame.build.span = frame.build.span, projection.span or frame.build.span
        try:
            frame.known[key] = _delivered(frame, projection)
        except RuleError as error:
            raise frame.stop(error.code, error.message, projection.span, label=error.label, help=error.help) from None
        finally:
            frame.build.span = before
    return frame.known[key]


def _delivered(frame: Frame, projection: Projection) -> Operand:
    """The output of the synapse, or what arrives where there is none."""
    synapse = projection.synapse
    if synapse is None:
        return _arriving(frame, projection)
    path = synapse.output.path if isinstance(synapse.output, Reference) else synapse.input
    operand = frame.read(path)
    target = frame.model.variables.get(projection.target)
    order = written_axes(target) if target is not None else projection.target_axes
    return Operand(operand.value, tuple(name for name in order if operand.type.has(name)))


def _arriving(frame: Frame, projection: Projection) -> Operand:
    """The weighted sum over the sources as it arrives in this step; for a train, its impulses as the frame reads them."""
    if sends_spikes(frame.model, projection):
        if frame.impulses == "none":  # nothing is summed
            return Operand(write.const(frame.build, 0.0, _unit(frame, projection)))
        value = frame.impulse(f"{projection.path}.arriving", _amount(frame, projection))
    else:
        value = (
            _delayed(frame, projection)
            if is_delayed(projection)
            else _summed(frame, projection, _weight(frame, projection))
        )
    target = frame.model.variables.get(projection.target)
    return Operand(value, written_axes(target) if target is not None else projection.target_axes)


def _weight(frame: Frame, projection: Projection) -> Operand | None:
    return frame.read(projection.weight) if projection.weight is not None else None


def _summed(frame: Frame, projection: Projection, weight: Operand | None) -> Value:
    return _value(frame, projection, _sent(frame, projection).value, weight)


def _amount(frame: Frame, projection: Projection) -> Value:
    """How much a train delivers at once: the sum of weight times count over the sources, where it arrives in this step."""
    if not is_delayed(projection):
        return _value(frame, projection, _counts(frame, projection), _weight(frame, projection))
    pushed, whole = _on_the_way(frame, projection)
    return write.index(frame.build, pushed, whole.name, 0)


def _counts(frame: Frame, projection: Projection) -> Value:
    """How many spikes each source sends at the beginning of this step: 0 or 1, or a count where a train is drawn; with `send` what
    it sends."""
    if sends(projection):
        return frame.input(frame.declared.states[sent_of(projection)].value)
    with frame.counting():
        return _sent(frame, projection).value


# Delays


def _on_the_way(frame: Frame, projection: Projection) -> tuple[Value, Axis]:
    """What arrives in this step and in those after it, [slot, target], with the axis of slots: what was on its way, and what
    the spikes of this step add at the slot that their delay names."""
    key, build = f"{projection.path}.delay.sent", frame.build
    slot = slot_axis(projection)
    if key not in frame.known:
        whole = local_axis(projection, "slots", slot.size + Size.of(1))
        ring = frame.input(frame.declared.states[past_of(frame.model, projection)].value)
        counts, weight = _counts(frame, projection), _weight(frame, projection)
        steps = frame.input(frame.declared.buffers[steps_of(projection)].value)
        if delays_each(frame.model, projection):
            new = add_at_slots(frame, projection, counts, weight, steps, whole)
        else:
            value = _value(frame, projection, counts, weight)
            here = write.eq(build, write.iota(build, whole), steps)
            new = write.where(build, here, value, write.zero_like(build, value))
        added = write.add(build, write.pad(build, ring, slot.name, 0, 1, whole), new)
        frame.known[key] = Operand(added, (whole.name,))
    known = frame.known[key]
    return known.value, known.type.axis(known.axes[0])


def _delayed(frame: Frame, projection: Projection) -> Value:
    """The weighted sum over what the sources were, each a delay ago."""
    build, weight = frame.build, _weight(frame, projection)
    steps = frame.input(frame.declared.buffers[steps_of(projection)].value)
    whole, slot = _history(frame, projection)
    if delays_each(frame.model, projection):
        return sum_of_past(frame, projection, whole, slot, steps, weight)
    return _value(frame, projection, write.gather(build, whole, steps, slot.name), weight)


def _history(frame: Frame, projection: Projection) -> tuple[Value, Axis]:
    """What the sources are and were, [slot, source], slot k for k steps ago; and the axis of slots."""
    build, slot = frame.build, slot_axis(projection)
    past = frame.input(frame.declared.states[past_of(frame.model, projection)].value)
    now = past_start(frame, projection)
    whole, one = build.axis("slot", slot.size + Size.of(1)), build.axis("now", 1)
    return write.concat(build, [write.expand(build, now, [one]), past], [one.name, slot.name], whole), whole


def past_start(frame: Frame, projection: Projection) -> Value:
    """The value of the source with all its axes, which before t = 0 is that of t = 0."""
    source = _sent(frame, projection).value
    wanted = frame.declared.states[past_of(frame.model, projection)].value.type
    axes = [axis for axis in wanted.axes if axis.role == "plain" and axis.name != slot_axis(projection).name]
    return write.expand(frame.build, source, [axis for axis in axes if not source.type.has(axis.name)])


def next_past(frame: Frame, projection: Projection) -> Value:
    """What is carried to the next step: a step nearer, or a step older."""
    build, slot = frame.build, slot_axis(projection)
    if sends_spikes(frame.model, projection):
        pushed, whole = _on_the_way(frame, projection)
        return write.slice_(build, pushed, whole.name, 1, whole.size, slot)
    history, whole = _history(frame, projection)
    return write.slice_(build, history, whole.name, 0, slot.size, slot)


def _unit(frame: Frame, projection: Projection) -> Unit:
    """The unit of a train, times the weight, times what is sent."""
    if projection.synapse is not None:
        return frame.model.variables[projection.synapse.input].type.unit
    weight = frame.model.variables[projection.weight].type.unit if projection.weight is not None else DIMENSIONLESS
    return weight / frame.model.time_unit


def _sent(frame: Frame, projection: Projection) -> Operand:
    """What leaves the source, `read = new` and dropout considered. Raises: Unwritten."""
    scope = Here(frame, projection.around)
    if projection.read_new:
        with after_update(frame, projection):
            source = translate(projection.source, scope, frame.build)
    else:
        source = translate(projection.source, scope, frame.build)
    if source is None:
        raise Unwritten
    if projection.dropout is None:
        return source
    rate = translate(projection.dropout, scope, frame.build)
    if rate is None:
        raise Unwritten
    known = rate.literal
    if rate.type.axes or (known is not None and not 0 <= float(known) < 1):
        said = (
            f", it is {float(known):g}" if known is not None and known.ndim == 0 else ", one for the whole projection"
        )
        raise RuleError("CS501", f"a dropout rate lies in [0, 1){said}")
    never = known is not None and float(known) == 0
    return source if never or not frame.plan.training else _dropped(frame, projection, source, rate.value)


def _dropped(frame: Frame, projection: Projection, source: Operand, rate: Value) -> Operand:
    """Sources set to 0 with probability `rate`, the rest scaled so that the mean stays; one mask a trial, the same at every step.

    Source: Srivastava et al. 2014, in the inverted form; Gal & Ghahramani 2016 for one mask a sequence.
    """
    build = frame.build
    axes = side_axes(frame, source_path(projection), projection.source_axes)
    around = [axis for axis in source.type.axes if axis.name in projection.around]
    keep = write.sub(build, write.const(build, 1.0), rate)
    keys = frame.keys()
    assert keys.seed is not None
    own = (*around, *(axis for axis in axes if axis not in around))
    mask = write.bernoulli(build, f"{projection.path}.dropout#0", own, keep, keys.seed, keys.trial)
    value = write.expand(build, source.value, [axis for axis in axes if not source.type.has(axis.name)])
    value = write.mul(build, value, write.div(build, write.cast(build, mask, "float"), keep))
    return Operand(value, tuple(axis.name for axis in axes))


def _value(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """The sum over the sources of weight times value, at the targets: what a projection delivers without delay.

    This is the one place that says how. For a train `source` is the count of spikes [source, trial], 0 or 1 for a threshold, and the
    result the impulse in the weight's unit; `add_at_slots` is the same where each connection has its delay.
    """
    if rule_name(projection.rule) == "one_to_one" and not has_edges(frame.model, projection):
        return _one_to_one(frame, projection, source, weight)
    if has_edges(frame.model, projection):
        if projection.path in frame.plan.sparse:
            by = sum_of_events if sends_spikes(frame.model, projection) else sum_from_table
            return by(frame, projection, source, weight)
        if not fits_in_memory(frame, projection) or _is_plastic(frame, projection):
            return sum_over_edges(frame, projection, source, weight)
        weight = weight_matrix(frame, projection, weight)
    elif not _self_connections(projection):
        weight = _without_self(frame, projection, weight)
    if projection.cuts:
        weight = _cut(frame, projection, weight)
    return _all_to_all(frame, projection, source, weight)


def _is_plastic(frame: Frame, projection: Projection) -> bool:
    return projection.weight in frame.declared.states


def _self_connections(projection: Projection) -> bool:
    return not any(
        name == "autapses" and argument.value == Name("false") for name, argument in rule_arguments(projection.rule)
    )


def _one_to_one(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """Source i to target i: the source's axes take the names of the target's, by position."""
    pairs = dict(zip(projection.source_axes, projection.target_axes, strict=False))
    pairs = {old: new for old, new in pairs.items() if source.type.has(old) and old != new}
    for old in [name for name in pairs.values() if source.type.has(name) and name not in pairs]:
        raise frame.stop(
            "CS700", f"`{old}` on both sides of a one-to-one connection is not supported yet", projection.span
        )
    value = write.rename(frame.build, source, pairs)
    if weight is None:
        return value
    names = {f"{name}_target": name for name in projection.target_axes if weight.type.has(f"{name}_target")}
    factor = weight.value
    for name in projection.target_axes:
        if factor.type.has(f"{name}_target") and factor.type.has(f"{name}_source"):
            factor = write.diagonal(
                frame.build,
                factor,
                f"{name}_target",
                f"{name}_source",
                replace(factor.type.axis(f"{name}_target"), name=name),
            )
            names.pop(f"{name}_target", None)
    return write.mul(frame.build, write.rename(frame.build, factor, names), value)


def _all_to_all(frame: Frame, projection: Projection, source: Value, weight: Operand | None) -> Value:
    """A contraction over the source's axes. A weight without them is spread over the source's neurons."""
    build = frame.build
    axes = [name for name in projection.source_axes if source.type.has(name)]
    if weight is None:
        return write.sum_(build, source, axes)
    factor = weight.value
    renamed = {name: f"{name}_source" for name in axes if factor.type.has(f"{name}_source")}
    source = write.rename(build, source, renamed)
    over = [renamed.get(name, name) for name in axes]
    if over:
        value = write.contract(build, factor, source, over)
    else:
        value = write.mul(build, factor, source)
    targets = {
        axis.name: axis.name.removesuffix("_target") for axis in value.type.axes if axis.name.endswith("_target")
    }
    return write.rename(build, value, targets)


def _whole_matrix(frame: Frame, projection: Projection, weight: Operand | None) -> Value:
    """The weight with all axes of the target and the source."""
    value = weight.value if weight is not None else write.const(frame.build, 1.0)
    axes = [axis for side in matrix_axes(frame, projection) for axis in side]
    return write.expand(frame.build, value, [axis for axis in axes if not value.type.has(axis.name)])


def _without_self(frame: Frame, projection: Projection, weight: Operand | None) -> Operand | None:
    """Zero where target and source are one neuron: there is one only where both sides have its axis."""
    rows, columns = matrix_axes(frame, projection)
    pairs = [(row, column) for row in rows for column in columns if _are_one_axis(row, column)]
    if not pairs:
        return weight
    matrix = _whole_matrix(frame, projection, weight)
    same: Value | None = None
    for pair in pairs:
        places = [write.iota(frame.build, axis) for axis in pair]
        equal = write.eq(frame.build, *places)
        same = equal if same is None else write.and_(frame.build, same, equal)
    assert same is not None
    return _zeroed(frame, matrix, same)


def _are_one_axis(row: Axis, column: Axis) -> bool:
    stem = row.name.removesuffix("_target")
    return stem != row.name and column.name == f"{stem}_source"


def _zeroed(frame: Frame, matrix: Value, where: Value) -> Operand:
    value = write.where(frame.build, where, write.zero_like(frame.build, matrix), matrix)
    return Operand(value, tuple(axis.name for axis in value.type.axes))


def _cut(frame: Frame, projection: Projection, weight: Operand | None) -> Operand:
    """Zero in the blocks [target, source] that a variant removed."""
    rows, columns = matrix_axes(frame, projection)
    matrix = _whole_matrix(frame, projection, weight)
    for block in projection.cuts:
        inside = [
            _within(frame, axis, member) for axes, member in zip((rows, columns), block, strict=True) for axis in axes
        ]
        found = [one for one in inside if one is not None]
        if not found:
            raise frame.stop("CS700", "this cut is not supported yet", projection.span)
        where = found[0]
        for one in found[1:]:
            where = write.and_(frame.build, where, one)
        matrix = _zeroed(frame, matrix, where).value
    return Operand(matrix, tuple(axis.name for axis in matrix.type.axes))


def _within(frame: Frame, axis: Axis, member: str) -> Value | None:
    """Whether a place along the axis belongs to the member of a group; None where all do."""
    window = Here(frame, ()).window(axis.name, member)
    if window is None:
        return None
    place = write.iota(frame.build, axis)
    low, high = (write.integer(frame.build, n) for n in (window.start, window.start + window.count))
    return write.and_(frame.build, write.ge(frame.build, place, low), write.lt(frame.build, place, high))
