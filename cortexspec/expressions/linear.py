"""An equation `left = right` solved for one quantity in which it is linear: `τ*v' = I - v` gives v' = (I - v)/τ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cortexspec.diagnostics import Span
from cortexspec.expressions.tree import (
    Argument,
    Binary,
    Call,
    Comprehension,
    Derivative,
    Expression,
    Index,
    ListOf,
    Member,
    Number,
    Unary,
)

IsTarget = Callable[[Expression], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """`coefficient*target + rest`; None stands for 0. A coefficient of 1 is `ONE`."""

    coefficient: Expression | None
    rest: Expression | None


ONE = Number("1")


class NotLinear(Exception):
    """The quantity stands where it may not; `span` is the place."""

    def __init__(self, span: Span | None):
        super().__init__("not linear")
        self.span = span


def solve(left: Expression, right: Expression, is_target: IsTarget) -> tuple[Expression, Expression]:
    """(numerator, denominator) of the quantity. Raises: NotLinear; the equation has it on neither side: span None."""
    one, other = linear_part(left, is_target), linear_part(right, is_target)
    denominator = _minus(one.coefficient, other.coefficient)
    if denominator is None:
        raise NotLinear(None)
    numerator = _minus(other.rest, one.rest)
    return numerator if numerator is not None else Number("0"), denominator


def linear_part(node: Expression, is_target: IsTarget) -> Part:
    """The expression as coefficient*target + rest. Raises: NotLinear."""
    if is_target(node):
        return Part(ONE, None)
    if not contains(node, is_target):
        return Part(None, node)
    match node:
        case Unary(operator="-", operand=inner):
            part = linear_part(inner, is_target)
            return Part(_negated(part.coefficient), _negated(part.rest))
        case Binary(operator="+", left=left, right=right):
            one, other = linear_part(left, is_target), linear_part(right, is_target)
            return Part(_plus(one.coefficient, other.coefficient), _plus(one.rest, other.rest))
        case Binary(operator="-", left=left, right=right):
            one, other = linear_part(left, is_target), linear_part(right, is_target)
            return Part(_minus(one.coefficient, other.coefficient), _minus(one.rest, other.rest))
        case Binary(operator="*", left=left, right=right):
            if contains(left, is_target) and contains(right, is_target):
                raise NotLinear(node.span)
            inside, factor = (left, right) if contains(left, is_target) else (right, left)
            part = linear_part(inside, is_target)
            return Part(_times(factor, part.coefficient), _times(factor, part.rest))
        case Binary(operator="/", left=left, right=right) if not contains(right, is_target):
            part = linear_part(left, is_target)
            return Part(_over(part.coefficient, right), _over(part.rest, right))
        case _:
            raise NotLinear(node.span)


def contains(node: Expression, is_target: IsTarget) -> bool:
    """Whether the quantity occurs in the expression."""
    return is_target(node) or any(contains(child, is_target) for child in children(node))


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    match node:
        case Unary(operand=inner) | Derivative(operand=inner):
            return (inner,)
        case Member(owner=owner):
            return (owner,)
        case Binary(left=left, right=right):
            return (left, right)
        case ListOf(items=items):
            return items
        case Call(function=function, arguments=arguments):
            return (function, *_values(arguments))
        case Index(operand=inner, arguments=arguments):
            return (inner, *_values(arguments))
        case Comprehension(item=item, ranges=ranges):
            return (item, *(one.values for one in ranges))
        case _:
            return ()


def _values(arguments: tuple[Argument, ...]) -> tuple[Expression, ...]:
    return tuple(argument.value for argument in arguments if argument.value is not None)


def _span(*nodes: Expression | None) -> Span | None:
    return next((node.span for node in nodes if node is not None and node.span is not None), None)


def _negated(x: Expression | None) -> Expression | None:
    return None if x is None else Unary("-", x, span=x.span)


def _plus(a: Expression | None, b: Expression | None) -> Expression | None:
    if a is None or b is None:
        return b if a is None else a
    return Binary("+", a, b, span=_span(a, b))


def _minus(a: Expression | None, b: Expression | None) -> Expression | None:
    if b is None:
        return a
    return _negated(b) if a is None else Binary("-", a, b, span=_span(a, b))


def _times(factor: Expression, x: Expression | None) -> Expression | None:
    if x is None:
        return None
    return factor if x is ONE else Binary("*", factor, x, span=_span(factor, x))


def _over(x: Expression | None, divisor: Expression) -> Expression | None:
    return None if x is None else Binary("/", x, divisor, span=_span(x, divisor))
