"""`start path = e` and the start of a state read what is known before the first step: no states, and no inputs that have frames.

Whether an input has a time axis is decided by the data, so here only states, spikes and time are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.rules.facts import Facts, walk
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree


def starts_are_known(facts: Facts) -> Iterator[Diagnostic]:
    """CS319."""
    expressions: list[tuple[str, tree.Expression]] = [(start.target, start.value) for start in facts.model.starts]
    for variable in facts.model.variables.values():
        if variable.kind == "state":
            expressions += [(variable.path, one) for one in (variable.value, variable.draw) if one is not None]
    for target, expression in expressions:
        place = _moving(facts, expression, set())
        if place is not None:
            reference, path = place
            message = f"the start of `{target}` reads `{path}`, which is not known before the first step"
            yield Diagnostic("CS319", message, reference.span or expression.span)


def _moving(facts: Facts, expression: tree.Expression, seen: set[str]) -> tuple[tree.Expression, str] | None:
    for node in walk(expression):
        if isinstance(node, tree.Name) and node.name == "t":
            return node, "t"
    for path, reference in facts.read_by(expression):
        variable = facts.model.variables.get(path)
        if variable is None or path in seen:
            continue
        seen.add(path)
        if variable.kind in ("state", "noise") or path in facts.ports:
            return reference, path
        if variable.value is not None and variable.kind in ("let", "output", "param", "constant"):
            found = _moving(facts, variable.value, seen)
            if found is not None:
                return reference, found[1]
    return None
