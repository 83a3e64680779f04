"""Which projections have edges: those whose connections a rule draws, or whose weight has one value for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cortexspec import library
from cortexspec.analysis.model import Model, Projection
from cortexspec.contracts.connection_rule import ConnectionRule
from cortexspec.expressions.tree import Argument, Call, Expression, Name, Reference
from cortexspec.ir.module import Buffer, Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering.delays import delays_each


def rule_name(rule: Expression | None) -> str:
    match rule:
        case Call(function=Name(name)) | Name(name):
            return name
        case _:
            return "all_to_all"


def rule_arguments(
    rule: Expression | None, known: Mapping[str, ConnectionRule] = library.connection_rules
) -> Iterator[tuple[str, Argument]]:
    """Each argument of a rule under its name, for which `known` has the rules of plugins too."""
    entry = known.get(rule_name(rule))
    names = entry.arguments if entry is not None else ()
    for place, argument in enumerate(rule.arguments if isinstance(rule, Call) else ()):
        yield argument.name or (names[place] if place < len(names) else ""), argument


def is_dense(rule: Expression | None) -> bool:
    entry = library.connection_rules.get(rule_name(rule))
    return entry is not None and entry.dense


def has_edges(model: Model, projection: Projection) -> bool:
    """Whether its connections are listed: the rule draws them, or the weight or the delay has one value for each."""
    if not is_dense(projection.rule) or delays_each(model, projection):
        return True
    weight = model.variables.get(projection.weight) if projection.weight is not None else None
    return weight is not None and any(axis.role == "edge" for axis in weight.type.axes)


def edge_axis(projection: Projection) -> Axis:
    return Axis(f"{projection.path}.edge", Size.symbol(f"{projection.path}.edges"), "edge")


def is_listed(model: Model, projection: Projection) -> bool:
    """Whether the weight is a list with one value for each connection."""
    weight = model.variables.get(projection.weight) if projection.weight is not None else None
    if weight is None or weight.value is None or weight.draw is not None:
        return False
    return any(axis.role == "edge" for axis in weight.type.axes)


def index_buffers(model: Model) -> Iterator[Buffer]:
    """`NAME.pre`, `NAME.post`, and where a list is read `NAME.place`: which of all drawn connections each is."""
    for projection in model.projections:
        if has_edges(model, projection):
            for side in ("pre", "post", "place")[: 3 if is_listed(model, projection) else 2]:
                value = Value(f"{projection.path}.{side}", Type((edge_axis(projection),), "int"))
                yield Buffer(value, "index", source="wiring")


def slot_buffer(projection: Projection) -> Buffer:
    """`NAME.slot` [edge]: the place of each connection in a table [slot, target] that has a column for each target."""
    value = Value(f"{projection.path}.slot", Type((edge_axis(projection),), "int"))
    return Buffer(value, "index", source="slots")


def starts_buffer(projection: Projection) -> Buffer:
    """`NAME.starts`: where the connections of each source begin, and where the last one's end."""
    axis = Axis(f"{projection.path}.row", Size.symbol(f"{projection.path}.rows"))
    return Buffer(Value(f"{projection.path}.starts", Type((axis,), "int")), "index", source="slots")


def slot_axis(projection: Projection) -> Axis:
    """As many slots as the target with most connections has, or some more."""
    return Axis(f"{projection.path}.slot", Size.symbol(f"{projection.path}.slots"))


def source_path(projection: Projection) -> str:
    return projection.source.path if isinstance(projection.source, Reference) else ""
