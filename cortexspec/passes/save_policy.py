"""Say what each loop keeps for its reverse pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from cortexspec.ir.module import Function, Line
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.linearity import Linearity
from cortexspec.passes.loop import loop_of
from cortexspec.passes.prices import Prices

Save = Literal["carry", "residuals"] | tuple[str, ...]
_NO_SIZES: Mapping[str, int] = MappingProxyType({})


def save_policy(
    function: Function,
    save: Save = "residuals",
    depth: int | None = None,
    terms: int | None = None,
    sizes: Mapping[str, int] = _NO_SIZES,
) -> Function:
    """Every loop keeps `save`; with `depth` only loops that stand in so many others (0: the outermost).

    With `terms`, a loop whose reverse pass would make a sum of so many products again, or more, keeps its residuals.
    """
    lines = list(function.body)
    for place, line in enumerate(lines):
        if isinstance(line.op, Scan):
            body = save_policy(line.op.body, save, None if depth is None else depth - 1, terms, sizes)
            own = save if depth in (None, 0) else line.op.save
            if depth in (None, 0) and terms is not None and _multiplies_again(line, terms, Prices(sizes)):
                own = "residuals"
            lines[place] = replace(line, op=replace(line.op, body=body, save=own))
    return replace(function, body=tuple(lines))


def _multiplies_again(scan: Line, terms: int, prices: Prices) -> bool:
    """Whether a step's derivative reads what a large product has gone into: what is linear in it has the same derivative everywhere."""
    loop = loop_of(scan)
    linearity = Linearity(loop)
    made: set[str] = set()
    for line in loop.lines:
        if line.results[0].name in linearity.fixed:
            continue
        reads = any(operand.name in made for operand in line.operands)
        if reads and line.results[0].name not in linearity.lines:
            return True
        if reads or _terms(line, prices) >= terms:
            made.update(result.name for result in line.results)
    return False


def _terms(line: Line, prices: Prices) -> int:
    """How many products each element of the result is the sum of."""
    if not isinstance(line.op, Contract):
        return 0
    return prices.places(line.operands[0].type.axis(name) for name in line.op.over)
