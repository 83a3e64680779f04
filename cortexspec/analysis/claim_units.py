"""Units in claims: a measure is compared with, added to and published in quantities of its own kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from cortexspec.analysis.report import Report
from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.types import unit_in_words
from cortexspec.units import DIMENSIONLESS, Unit, unit_of

_ALIKE = ("+", "-", "<", ">", "<=", ">=", "==", "!=")
_SAME = ("abs", "round", "real", "imag", "quantile")
_REDUCED = ("max", "min", "mean", "median", "sum")  # of one quantity, or of several that are alike


class ClaimUnits:
    """`measured` gives the unit of a measure or let of the experiment, or of a measure `other.name`; None where it is not known."""

    def __init__(self, measured: Callable[[str], Unit | None], report: Report):
        self.measured, self.report = measured, report

    def of(self, node: tree.Expression) -> Unit | None:
        """The unit of an expression; None where it is not known, and for 0, which has any. Reports: CS401."""
        match node:
            case tree.Number(value=value, unit=unit):
                return None if value == 0 else unit_of(unit) if unit and unit != "%" else DIMENSIONLESS
            case tree.Name() | tree.Member():
                return self.measured(print_expression(node))
            case tree.Index(operand=operand):
                return self.of(operand)
            case tree.Unary(operand=operand):
                return self.of(operand)
            case tree.ListOf(items=items, unit=unit):
                return self.alike([self.of(item) for item in items], node.span) if not unit else unit_of(unit)
            case tree.Binary():
                return self._of_both(node)
            case tree.Call(function=tree.Name(name=name), arguments=arguments):
                units = [self.of(one.value) for one in arguments if one.value is not None and not one.name]
                if name in _REDUCED:
                    return self.alike(units, node.span)
                return units[0] if name in _SAME and units else None
            case _:
                return None

    def alike(self, units: Iterable[Unit | None], span: Span | None) -> Unit | None:
        """The one unit of quantities that are compared or added. Reports: CS401 where there are two."""
        known = [unit for unit in units if unit is not None]
        other = next((unit for unit in known if unit != known[0]), None)
        if other is not None:
            message = f"{unit_in_words(known[0])} and {unit_in_words(other)} meet in a claim"
            self.report.add("CS401", message, span, help="a figure has the unit of what is measured")
        return known[0] if known else None

    def _of_both(self, node: tree.Binary) -> Unit | None:
        left, right = self.of(node.left), self.of(node.right)
        if node.operator in _ALIKE:
            unit = self.alike((left, right), node.span)
            return unit if node.operator in "+-" else None
        if left is None or right is None:
            return None
        match node.operator, node.right:
            case "*", _:
                return left * right
            case "/", _:
                return left / right
            case "^", tree.Number(value=power):
                return left ** Fraction(str(power))
            case _:
                return None
