"""Degrees that no wiring can have: more sources or targets than there are, where the numbers are known without a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cortexspec.analysis.model import Model, Projection
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree

_PLACES = {"fixed_indegree": "source", "fixed_outdegree": "target"}
_NEAR = 1e-6  # 0.07*100 is 7, as it is when it is drawn


def impossible_degrees(model: Model) -> Iterator[Diagnostic]:
    """Each CS511 at the place of its degree. What a variant leaves of a network was drawn with all of it, and is not judged."""
    for projection in () if model.removed else model.projections:
        match projection.rule:
            case tree.Call(function=tree.Name(name), arguments=(first, *more)) if name in _PLACES:
                degree = _number(first.value, model) if first.name in ("", "K") else None
                # With repetition any degree can be had; `where` and a degree a neuron are left to the draw.
                if degree is None or any(one.name in ("multapses", "where", "chance") for one in more):
                    continue
                places = _places(model, projection, _PLACES[name], more)
                if places is not None and degree > places + _NEAR:
                    side = f"{_PLACES[name]}s"
                    message = f"`{name}` wants {degree:g} {side}, but `{projection.path}` has {places}"
                    help = "with `multapses = true` a pair may be connected more than once"
                    yield Diagnostic("CS511", message, first.value.span if first.value else projection.span, help=help)
            case _:
                pass


def _places(model: Model, projection: Projection, side: str, more: Sequence[tree.Argument]) -> int | None:
    """How many neurons there are to choose from; one fewer where none is connected to itself."""
    path = projection.source.path if isinstance(projection.source, tree.Reference) else ""
    found = model.variables.get(path if side == "source" else projection.target)
    own = projection.source_axes if side == "source" else projection.target_axes
    axes = [axis for axis in found.type.axes if axis.name in own] if found is not None else []
    if len(axes) != len(own):
        return None
    alone = projection.source_axes == projection.target_axes and any(
        one.name == "autapses" and one.value == tree.Name("false") for one in more
    )
    return math.prod(axis.size.evaluate(model.sizes) for axis in axes) - alone


def _number(node: tree.Expression | None, model: Model) -> float | None:
    """The value of an expression of numbers, sizes and lets; None where something else takes part."""
    match node:
        case tree.Number(unit="") as number:
            return number.value
        case tree.Reference(path) | tree.Name(path):
            if path in model.sizes:
                return model.sizes[path]
            known = model.variables.get(path)
            plain = known is not None and known.kind in ("let", "constant") and not known.type.axes
            return _number(known.value, model) if known is not None and plain else None
        case tree.Binary(operator, left, right) if operator in ("+", "-", "*", "/"):
            a, b = _number(left, model), _number(right, model)
            if a is None or b is None or (operator == "/" and b == 0):
                return None
            return {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or 1)}[operator]
        case _:
            return None
