"""What a projection delivers at its target: the sum over its sources of weight times value, written by axis names."""

from __future__ import annotations

from dataclasses import replace

from cortexspec import library
from cortexspec.analysis.model import Projection
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate
from cortexspec.diagnostics import Span
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.tree import Call, Expression, Name
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import RuleError
from cortexspec.lowering.frame import Frame, Here, Unwritten, written_axes


def port(frame: Frame, path: str) -> Operand:
    """What arrives at an input: the sum of its projections in written order, its default where there is none."""
    variable = frame.model.variables[path]
    arriving = [projection for projection in frame.model.projections if projection.target == path]
    if not arriving:
        if variable.value is None:
            raise frame.stop("CS503", f"nothing is connected to `{path}`, and it has no default", variable.span)
        return frame.translated(variable, variable.value)
    total: Value | None = None
    for projection in arriving:
        operand = delivered(frame, projection)
        operand = frame.as_declared(replace(variable, around=()), operand, projection.span)
        total = operand.value if total is None else write.add(frame.build, total, operand.value)
    assert total is not None
    return frame.whole(variable, total)


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
    source = translate(projection.source, Here(frame, projection.around), frame.build)
    if source is None:
        raise Unwritten
    weight = frame.read(projection.weight) if projection.weight is not None else None
    rule, self_connections = rule_of(projection.rule)
    if rule == "one_to_one":
        value = _one_to_one(frame, projection, source.value, weight)
    elif rule == "all_to_all":
        value = _all_to_all(frame, projection, source.value, weight, self_connections)
    else:
        raise frame.stop("CS700", f"the connection rule `{rule}` is not supported yet", _span(projection))
    return Operand(value, tuple(name for name in written_axes(frame.model.variables[projection.target])))


def rule_of(rule: Expression | None) -> tuple[str, bool]:
    """The name of the rule, and whether a neuron may connect to itself."""
    match rule:
        case None:
            return "all_to_all", True
        case Name(name):
            return name, True
        case Call(function=Name(name), arguments=arguments):
            off = any(a.name == "autapses" and a.value == Name("false") for a in arguments)
            return name, not off
        case _:
            return print_expression(rule), True


def is_dense(rule: Expression | None) -> bool:
    entry = library.connection_rules.get(rule_of(rule)[0])
    return entry is not None and entry.dense


def _span(projection: Projection) -> Span | None:
    return projection.rule.span if projection.rule is not None and projection.rule.span else projection.span


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


def _all_to_all(
    frame: Frame, projection: Projection, source: Value, weight: Operand | None, self_connections: bool
) -> Value:
    """A contraction over the source's axes. A weight without them is spread over the source's neurons."""
    build = frame.build
    axes = [name for name in projection.source_axes if source.type.has(name)]
    if weight is None:
        if not self_connections:
            raise frame.stop("CS700", "`autapses = false` without a weight is not supported yet", _span(projection))
        return write.sum_(build, source, axes)
    factor = weight.value
    renamed = {name: f"{name}_source" for name in axes if factor.type.has(f"{name}_source")}
    source = write.rename(build, source, renamed)
    over = [renamed.get(name, name) for name in axes]
    if not self_connections:
        factor = _without_self(frame, projection, factor)
    if over:
        value = write.contract(build, factor, source, over)
    else:
        value = write.mul(build, factor, source)
    targets = {
        axis.name: axis.name.removesuffix("_target") for axis in value.type.axes if axis.name.endswith("_target")
    }
    return write.rename(build, value, targets)


def _without_self(frame: Frame, projection: Projection, weight: Value) -> Value:
    """Zero where target and source are one neuron."""
    for name in projection.target_axes:
        row, column = f"{name}_target", f"{name}_source"
        if weight.type.has(row) and weight.type.has(column):
            places = [write.iota(frame.build, weight.type.axis(axis)) for axis in (row, column)]
            same = write.eq(frame.build, *places)
            return write.where(frame.build, same, write.zero_like(frame.build, weight), weight)
    return weight
