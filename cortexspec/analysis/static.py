"""Evaluates what must be known before elaboration: sizes, ranges, lists, template arguments. Nothing here can run for long."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from cortexspec.analysis.report import suggestion
from cortexspec.analysis.scope import (
    Body,
    CircuitHere,
    Declared,
    Entry,
    GroupHere,
    PopulationHere,
    Static,
    kind_of,
    members_of,
)
from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.spaced import spaced
from cortexspec.ir.size import Size
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, parse_unit, to_coherent

LONGEST_LIST = 100_000
LARGEST_SIZE = 2**40
CONSTANTS: Mapping[str, float | bool] = {
    "π": math.pi,
    "pi": math.pi,
    "infinity": math.inf,
    "true": True,
    "false": False,
}


class NotStatic(Exception):
    """The expression has no value before elaboration, or a wrong one; carries a diagnostic's parts."""

    def __init__(self, code: str, message: str, span: Span | None, help: str = "", label: str = ""):
        super().__init__(message)
        self.code, self.message, self.span, self.help, self.label = code, message, span, help, label


def evaluate(node: tree.Expression, body: Body) -> Static:
    """Raises: NotStatic."""
    return _Evaluator(body, frozenset()).value(node)


def evaluated(node: tree.Expression, body: Body) -> Static | None:
    """The value, or None where there is none before elaboration."""
    try:
        return evaluate(node, body)
    except NotStatic:
        return None


def whole_number(node: tree.Expression, body: Body) -> Static:
    """A value that counts something. Raises: NotStatic."""
    static = evaluate(node, body)
    number = static.number
    if number is None or isinstance(number, bool) or static.unit != DIMENSIONLESS or number != whole(number):
        text = print_expression(node)
        raise NotStatic("CS505", f"`{text}` is not a whole number", node.span, label=f"this is {show(static)}")
    if not 0 <= number <= LARGEST_SIZE:
        raise NotStatic("CS505", f"{int(number)} is no size that an array can have", node.span)
    return Static(int(number), size=static.size or Size.of(int(number)))


def whole(number: float) -> int | None:
    return int(number) if math.isfinite(number) else None


def show(static: Static) -> str:
    if isinstance(static.value, tuple):
        return "a list"
    if isinstance(static.value, str):
        return f'"{static.value}"'
    unit = "" if static.unit == DIMENSIONLESS else " " + static.unit.name()
    return f"{static.value:g}{unit}" if isinstance(static.value, float) else f"{static.value}{unit}".lower()


class _Evaluator:
    """`busy` holds what is being evaluated, so that a definition by itself is found."""

    def __init__(self, body: Body, busy: frozenset[int]):
        self.body, self.busy = body, busy

    def value(self, node: tree.Expression) -> Static:
        match node:
            case tree.Number():
                return _number(node)
            case tree.Text(value):
                return Static(value)
            case tree.Name() | tree.Member():
                return self.entry(self.find(node), node)
            case tree.Unary():
                operand = self.value(node.operand)
                if node.operator == "not":
                    return Static(not operand.value)
                return _spread(lambda x: -x, operand, size=operand.size and operand.size * -1)
            case tree.Binary():
                return self.binary(node)
            case tree.ListOf():
                return self.list_of(node)
            case tree.Call():
                return self.call(node)
            case tree.Index():
                return self.index(node)
            case _:
                raise _unknown(node)

    def find(self, node: tree.Expression) -> Entry:
        match node:
            case tree.Name(name):
                found = self.body.find(name)
                if found is None and name in CONSTANTS:
                    return Static(CONSTANTS[name])
                if found is None:
                    help = suggestion(name, self.body.reachable())
                    raise NotStatic("CS301", f"there is no `{name}` here", node.span, help)
                return found
            case tree.Member(owner, name):
                found = members_of(self.find(owner)).get(name)
                if found is None:
                    raise _unknown(node)
                return found
            case _:
                raise _unknown(node)

    def entry(self, entry: Entry, node: tree.Expression) -> Static:
        match entry:
            case Static():
                return entry
            case Declared(kind="constant" | "let" | "param", draw=None, trainable=False, value=value) if (
                value is not None
            ):
                if id(entry) in self.busy:
                    raise NotStatic("CS305", f"`{entry.name}` is defined by itself", node.span)
                return _Evaluator(entry.reads_in, self.busy | {id(entry)}).value(value)
            case _:
                raise _unknown(node, f"`{print_expression(node)}` is {kind_of(entry)}")

    def binary(self, node: tree.Binary) -> Static:
        left, right = self.value(node.left), self.value(node.right)
        try:
            return _operate(node, left, right)
        except (OverflowError, ZeroDivisionError, ValueError, TypeError):
            raise NotStatic("CS505", f"`{print_expression(node)}` has no value", node.span) from None

    def list_of(self, node: tree.ListOf) -> Static:
        items = tuple(self.value(item) for item in node.items)
        if not node.unit:
            return Static(items, next((item.unit for item in items if item.number != 0), DIMENSIONLESS))
        unit = _unit(node.unit, node.span)
        return replace(_spread(lambda x: to_coherent(float(x), node.unit), Static(items)), unit=unit)

    def call(self, node: tree.Call) -> Static:
        name = node.function.name if isinstance(node.function, tree.Name) else ""
        arguments = [argument.value for argument in node.arguments if argument.value is not None and not argument.name]
        if name in ("linspace", "logspace"):
            values = spaced(node)
            if values is None:
                raise _unknown(node)
            return self.list_of(values)
        if name == "size" and len(arguments) == 1:
            return self.size(arguments[0])
        if name not in _FUNCTIONS or len(arguments) != len(node.arguments) or not arguments:
            raise _unknown(node)
        given = [self.value(argument) for argument in arguments]
        try:
            return _FUNCTIONS[name](given)
        except (OverflowError, ZeroDivisionError, ValueError, TypeError):
            raise NotStatic("CS505", f"`{print_expression(node)}` has no value", node.span) from None

    def size(self, node: tree.Expression) -> Static:
        """`size(cells)`: neurons of a population or group, instances of a part array, items of a list."""
        entry = self.find(node) if isinstance(node, (tree.Name, tree.Member)) else None
        match entry:
            case PopulationHere(axis=axis) | GroupHere(axis=axis):
                return Static(axis.size.evaluate(self.body.sizes), size=axis.size)
            case CircuitHere(axis=axis) if axis is not None:
                return Static(axis.size.evaluate(self.body.sizes), size=axis.size)
            case _:
                value = self.value(node).value
                if not isinstance(value, tuple):
                    raise _unknown(node)
                return Static(len(value), size=Size.of(len(value)))

    def index(self, node: tree.Index) -> Static:
        found = self.value(node.operand)
        for argument in node.arguments:
            place = self.value(argument.value).value if argument.value is not None and not argument.name else None
            if not isinstance(found.value, tuple) or not isinstance(place, int) or not 0 <= place < len(found.value):
                raise _unknown(node)
            found = found.value[place]
        return found


def _unknown(node: tree.Expression, why: str = "") -> NotStatic:
    text = print_expression(node)
    message = why + "; a constant is wanted here" if why else f"`{text}` is not known before elaboration"
    return NotStatic("CS303", message, node.span, label="a constant is wanted here")


def _number(node: tree.Number) -> Static:
    value: float | int = node.value
    if not node.unit:
        exact = "." not in node.text and "e" not in node.text.lower()
        return Static(int(node.text), size=Size.of(int(node.text))) if exact else Static(value)
    return Static(to_coherent(value, node.unit), _unit(node.unit, node.span))


def _unit(text: str, span: Span | None) -> Unit:
    try:
        return parse_unit(text)[0]
    except UnitError as error:
        raise NotStatic("CS104", str(error), span, error.help) from None


def _spread(function: Callable[[float | int], float | int], operand: Static, size: Size | None = None) -> Static:
    """The function on a number, or on every number of a list."""
    if isinstance(operand.value, tuple):
        return Static(tuple(_spread(function, item) for item in operand.value), operand.unit)
    if isinstance(operand.value, str):
        raise TypeError("a text is no number")
    return Static(function(operand.value), operand.unit, size)


def _operate(node: tree.Binary, left: Static, right: Static) -> Static:
    operator = node.operator
    if operator == "..":
        return _range(node, left, right)
    if operator in ("==", "!=") and isinstance(left.value, str):
        return Static((left.value == right.value) == (operator == "=="))
    if isinstance(left.value, tuple) or isinstance(right.value, tuple):
        return _elementwise(node, left, right)
    a, b = left.number, right.number
    if a is None or b is None:
        raise TypeError("a text is no number")
    if operator in ("and", "or"):
        return Static(bool(a and b) if operator == "and" else bool(a or b))
    if operator in _COMPARE:
        _same_unit(node, left, right)
        return Static(_COMPARE[operator](a, b))
    if operator in ("+", "-"):
        unit = _same_unit(node, left, right)
        size = None
        if left.size is not None and right.size is not None:
            size = left.size + right.size if operator == "+" else left.size - right.size
        return Static(a + b if operator == "+" else a - b, unit, size)
    if operator == "*":
        size = left.size * right.size if left.size is not None and right.size is not None else None
        return Static(a * b, left.unit * right.unit, size)
    if operator == "/":
        return Static(_quotient(a, b), left.unit / right.unit)
    if operator == "^":
        return _power(a, b, left, right)
    raise _unknown(node)


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _quotient(a: float | int, b: float | int) -> float | int:
    """32/4 is the whole number 8, 32/3 is not whole."""
    if isinstance(a, int) and isinstance(b, int) and b != 0 and a % b == 0:
        return a // b
    return a / b


def _power(a: float | int, b: float | int, left: Static, right: Static) -> Static:
    if right.unit != DIMENSIONLESS:
        raise ValueError("an exponent is a pure number")
    unit = left.unit ** Fraction(b).limit_denominator(64) if left.unit != DIMENSIONLESS else DIMENSIONLESS
    value = float(a) ** float(b)
    if isinstance(value, complex):
        raise ValueError("a root of a negative number")
    if isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(value) < 2**53:
        return Static(int(value), unit)
    return Static(value, unit)


def _same_unit(node: tree.Binary, left: Static, right: Static) -> Unit:
    if left.unit == right.unit or right.number == 0:
        return left.unit
    if left.number == 0:
        return right.unit
    raise NotStatic(
        "CS401",
        f"quantities of different dimension meet: {left.unit.name()} and {right.unit.name()}",
        node.right.span,
        label=f"expected {left.unit.name()}, found {right.unit.name()}",
    )


def _range(node: tree.Binary, left: Static, right: Static) -> Static:
    first, last = left.value, right.value
    if not isinstance(first, int) or not isinstance(last, int):
        raise NotStatic("CS505", "a range goes from one whole number to another", node.span)
    if last - first >= LONGEST_LIST:
        raise NotStatic(
            "CS506", f"a range of {last - first + 1} numbers is too long", node.span, f"at most {LONGEST_LIST}"
        )
    return Static(tuple(Static(number, size=Size.of(number)) for number in range(first, last + 1)))


def _elementwise(node: tree.Binary, left: Static, right: Static) -> Static:
    lists = [side.value for side in (left, right) if isinstance(side.value, tuple)]
    length = len(lists[0])
    if any(len(items) != length for items in lists):
        raise NotStatic("CS501", "lists of different length meet", node.span)
    pairs = zip(_items(left, length), _items(right, length), strict=True)
    items = tuple(_operate(node, a, b) for a, b in pairs)
    return Static(items, items[0].unit if items else DIMENSIONLESS)


def _items(side: Static, length: int) -> Sequence[Static]:
    return side.value if isinstance(side.value, tuple) else [side] * length


def _rounding(function: Callable[[float], int]) -> Callable[[list[Static]], Static]:
    def rounded(values: list[Static]) -> Static:
        (value,) = values
        if value.unit != DIMENSIONLESS:
            raise ValueError("a quantity with a unit cannot be rounded")
        return _spread(lambda x: function(float(x)), value)

    return rounded


def _pure(function: Callable[[float], float]) -> Callable[[list[Static]], Static]:
    def pure(values: list[Static]) -> Static:
        (value,) = values
        if value.unit != DIMENSIONLESS:
            raise ValueError("a pure number is wanted")
        return _spread(lambda x: function(float(x)), value)

    return pure


def _root(values: list[Static]) -> Static:
    (value,) = values
    return replace(_spread(lambda x: math.sqrt(float(x)), value), unit=value.unit ** Fraction(1, 2), size=None)


def _absolute(values: list[Static]) -> Static:
    (value,) = values
    return _spread(abs, value)


def _extreme(pick: Callable[[Iterator[float]], float]) -> Callable[[list[Static]], Static]:
    def extreme(values: list[Static]) -> Static:
        (first, *_), items = values, list(values)
        if len(items) == 1 and isinstance(first.value, tuple):
            items = list(first.value)
        numbers = [item.number for item in items]
        if any(number is None for number in numbers) or any(item.unit != items[0].unit for item in items):
            raise ValueError("numbers of one unit are wanted")
        return Static(pick(iter([number for number in numbers if number is not None])), items[0].unit)

    return extreme


_FUNCTIONS: Mapping[str, Callable[[list[Static]], Static]] = {
    "round": _rounding(round),
    "floor": _rounding(math.floor),
    "ceil": _rounding(math.ceil),
    "sqrt": _root,
    "abs": _absolute,
    "min": _extreme(min),
    "max": _extreme(max),
    "exp": _pure(math.exp),
    "log": _pure(math.log),
    "sin": _pure(math.sin),
    "cos": _pure(math.cos),
    "tanh": _pure(math.tanh),
}
