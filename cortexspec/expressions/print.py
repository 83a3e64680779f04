"""Expressions as text: one line, the fewest parentheses, and `parse(print(e)) == e`."""

from typing import assert_never

from cortexspec.expressions import tree

# How tightly each form holds together; a part that holds less tightly than its place asks for gets parentheses.
_OR, _AND, _NOT, _COMPARISON, _RANGE, _SUM, _PRODUCT, _SIGNED, _POWER, _POSTFIX = range(1, 11)

_BINARY: dict[str, tuple[int, int, int]] = {  # operator: (itself, its left part at least, its right part at least)
    "or": (_OR, _OR, _AND),
    "and": (_AND, _AND, _NOT),
    **dict.fromkeys(("==", "!=", "<=", ">=", "<", ">"), (_COMPARISON, _RANGE, _RANGE)),
    "..": (_RANGE, _SUM, _SUM),
    **dict.fromkeys(("+", "-"), (_SUM, _SUM, _PRODUCT)),
    **dict.fromkeys(("*", "/", "@"), (_PRODUCT, _PRODUCT, _SIGNED)),
    "^": (_POWER, _POSTFIX, _SIGNED),
}
_TIGHT = ("..", "*", "/", "^")


def print_expression(expression: tree.Expression) -> str:
    """The expression as text of the language."""
    return _print(expression, _OR)


def print_equation_side(expression: tree.Expression) -> str:
    """The left side of an equation or a declared value without a name: a sum at most."""
    return _print(expression, _SUM)


def print_path(expression: tree.Expression) -> str:
    """What stands where the grammar wants a name, its members and its indices."""
    return _print(expression, _POSTFIX)


def print_modifier(modifier: tree.Modifier) -> str:
    match modifier.kind:
        case "trainable":
            return "trainable"
        case "per":
            return f"per {modifier.extent}"
        case "every":
            assert modifier.value is not None
            return f"every {_print(modifier.value, _OR)}"
        case "in" | "~":
            assert modifier.value is not None
            return f"{modifier.kind} {_print(modifier.value, _POSTFIX)}"


def print_argument(argument: tree.Argument) -> str:
    parts = [print_modifier(modifier) for modifier in argument.modifiers]
    if argument.value is not None:
        value = _print(argument.value, _OR)
        parts.insert(0, f"{argument.name} = {value}" if argument.name else value)
    else:
        parts.insert(0, argument.name)
    return " ".join(parts)


def print_arguments(arguments: tuple[tree.Argument, ...]) -> str:
    return ", ".join(print_argument(argument) for argument in arguments)


def print_ranges(ranges: tuple[tree.Range, ...]) -> str:
    """`for a in xs, [b, c] in ys`."""
    return "for " + ", ".join(f"{_range_names(one.names)} in {_print(one.values, _OR)}" for one in ranges)


def _range_names(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _print(expression: tree.Expression, at_least: int) -> str:
    text, tightness = _form(expression)
    return text if tightness >= at_least else f"({text})"


def _form(expression: tree.Expression) -> tuple[str, int]:
    match expression:
        case tree.Number(text=text, unit=unit):
            return (f"{text} {unit}", _POSTFIX) if unit else (text, _POSTFIX)
        case tree.Text(value=value):
            return f'"{value}"', _POSTFIX
        case tree.Name(name=name):
            return name, _POSTFIX
        case tree.Reference(path=path):
            return path, _POSTFIX
        case tree.Member(owner=owner, name=name):
            return f"{_print(owner, _POSTFIX)}.{name}", _POSTFIX
        case tree.Derivative(operand=operand, order=order):
            return _print(operand, _POSTFIX) + "'" * order, _POSTFIX
        case tree.Index(operand=operand, arguments=arguments):
            return f"{_print(operand, _POSTFIX)}[{print_arguments(arguments)}]", _POSTFIX
        case tree.Call(function=function, arguments=arguments):
            return f"{_print(function, _POSTFIX)}({print_arguments(arguments)})", _POSTFIX
        case tree.Unary(operator=operator, operand=operand):
            if operator == "-":
                return f"-{_print(operand, _SIGNED)}", _SIGNED
            return f"not {_print(operand, _NOT)}", _NOT
        case tree.Binary():
            return _binary(expression), _BINARY[expression.operator][0]
        case tree.ListOf(items=items, unit=unit):
            text = f"[{', '.join(_print(item, _OR) for item in items)}]"
            return (f"{text} {unit}" if unit else text), _POSTFIX
        case tree.Comprehension(item=item, ranges=ranges):
            return f"[{_print(item, _OR)} {print_ranges(ranges)}]", _POSTFIX
        case _:
            assert_never(expression)


def _binary(expression: tree.Binary) -> str:
    operator = expression.operator
    _, left_at_least, right_at_least = _BINARY[operator]
    left = _print(expression.left, left_at_least)
    right = _print(expression.right, right_at_least)
    if operator == "^" and _ends_in_unit(expression.left):
        left = f"({left})"  # `5 mV^2` is 5 square millivolts
    blanks = operator not in _TIGHT or (operator == "/" and _would_join(expression))
    return f"{left} {operator} {right}" if blanks else f"{left}{operator}{right}"


def _would_join(division: tree.Binary) -> bool:
    """`5 mV / s` divides by the variable s; without the blanks, `mV/s` would be the unit."""
    return _ends_in_unit(division.left) and isinstance(_first(division.right), tree.Name | tree.Reference)


def _ends_in_unit(expression: tree.Expression) -> bool:
    match expression:
        case tree.Number() | tree.ListOf():
            return expression.unit != ""
        case tree.Binary(right=last) | tree.Unary(operand=last):
            return _ends_in_unit(last) and not print_expression(expression).endswith(")")
        case _:
            return False


def _first(expression: tree.Expression) -> tree.Expression:
    match expression:
        case tree.Member(owner=first) | tree.Derivative(operand=first) | tree.Index(operand=first):
            return _first(first)
        case tree.Call(function=first) | tree.Binary(operator="^", left=first):
            return _first(first)
        case _:
            return expression
