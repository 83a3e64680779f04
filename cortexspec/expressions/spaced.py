"""`linspace(0, 1, count = 5)` and `logspace(0.5, 32, count = 7)` of numbers as the lists that they are, for what is read before
anything is computed."""

from __future__ import annotations

from cortexspec.expressions import tree

_DIGITS = 12  # so that 10 is 10, and a cell's name is short
_MOST = 100_000


def spaced(call: tree.Call) -> tree.ListOf | None:
    """The list; None where the ends are no numbers of one unit (for `logspace` of one sign), or `count` is no whole number above 0."""
    by_place = [one.value for one in call.arguments if not one.name]
    counts = [*by_place[2:], *(one.value for one in call.arguments if one.name == "count")]
    ends = [_number(one) for one in by_place[:2]]
    if len(call.arguments) != 3 or not isinstance(call.function, tree.Name):
        return None
    match ends, counts:
        case [(low, unit), (high, other)], [tree.Number(unit="", text=text)] if text.isdigit():
            count = int(text)
        case _:
            return None
    equal_ratios = call.function.name == "logspace"
    alike = unit == other or (low == 0 and not unit) or (high == 0 and not other)  # a plain 0 has any unit
    if not alike or (equal_ratios and low * high <= 0) or not 0 < count <= _MOST:
        return None
    unit = unit or other
    shares = (place / max(1, count - 1) for place in range(count))
    values = (low * (high / low) ** share if equal_ratios else low * (1 - share) + high * share for share in shares)
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
