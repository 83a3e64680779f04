"""`logspace(0.5, 32, count = 7)` of numbers as the list that it is, for what is read before anything is computed."""

from __future__ import annotations

from cortexspec.expressions import tree

_DIGITS = 12  # so that 10 is 10, and a cell's name is short
_MOST = 100_000


def spaced(call: tree.Call) -> tree.ListOf | None:
    """The list; None where the ends are no numbers of one unit and one sign, or `count` is no whole number above 0."""
    ends = [_number(one.value) for one in call.arguments if not one.name]
    counts = [one.value for one in call.arguments if one.name == "count"]
    match ends, counts:
        case [(low, unit), (high, same)], [tree.Number(unit="", text=text)] if unit == same and low * high > 0:
            count = int(text) if text.isdigit() else 0
        case _:
            return None
    if len(call.arguments) != 3 or not 0 < count <= _MOST:
        return None
    ratios = (place / max(1, count - 1) for place in range(count))
    values = (low * (high / low) ** share for share in ratios)
    return tree.ListOf(tuple(_literal(value, unit, call) for value in values), span=call.span)


def _number(node: tree.Expression | None) -> tuple[float, str] | None:
    match node:
        case tree.Number(value=value, unit=unit):
            return value, unit
        case tree.Unary(operator="-", operand=tree.Number(value=value, unit=unit)):
            return -value, unit
        case _:
            return None


def _literal(value: float, unit: str, call: tree.Call) -> tree.Expression:
    number = tree.Number(f"{abs(value):.{_DIGITS}g}", unit, span=call.span)
    return tree.Unary("-", number, span=call.span) if value < 0 else number
