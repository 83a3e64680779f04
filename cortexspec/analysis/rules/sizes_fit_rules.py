"""Rules that pair sources and targets want them to be as many."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Projection
from cortexspec.analysis.rules.facts import Facts
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.ir.types import Axis


def sizes_fit_rules(facts: Facts) -> Iterator[Diagnostic]:
    """CS504."""
    for projection in facts.model.projections:
        name = _rule(projection)
        if name != "one_to_one" or not projection.source_axes:
            continue
        source, target = _count(facts, projection, "source"), _count(facts, projection, "target")
        if source is not None and target is not None and source != target:
            message = f"`one_to_one` pairs {source} sources with {target} targets"
            span = (projection.rule.span if projection.rule is not None else None) or projection.span
            yield Diagnostic("CS504", message, span, help="use `all_to_all`, or give both one size")


def _rule(projection: Projection) -> str:
    rule = projection.rule
    node = rule.function if isinstance(rule, tree.Call) else rule
    return node.name if isinstance(node, tree.Name) else "all_to_all"


def _count(facts: Facts, projection: Projection, side: str) -> int | None:
    """How many there are, where sizes are known."""
    path = projection.target
    if side == "source" and isinstance(projection.source, tree.Reference):
        path = projection.source.path
    names = projection.source_axes if side == "source" else projection.target_axes
    sizes = {axis.name: axis.size for member in facts.members(path) for axis in _axes(facts, member)}
    groups = [group for group in facts.model.groups if group.axis in names]
    if groups:
        return None  # the members' sizes add up; groups are not paired by this rule yet
    total = 1
    for name in names:
        size = sizes.get(name)
        if size is None or not size.symbols <= facts.model.sizes.keys():
            return None
        total *= size.evaluate(facts.model.sizes)
    return total


def _axes(facts: Facts, path: str) -> tuple[Axis, ...]:
    variable = facts.model.variables.get(path)
    return variable.type.axes if variable is not None else ()
