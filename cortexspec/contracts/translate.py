"""From an expression to lines of the IR: the one walker, for analysis (which keeps the types) and for lowering (which keeps the lines).

An expression means the operations it becomes, so a clash of units or axes is the complaint of an operation's rule. It is
reported at the place of the operand that broke the rule; the rest of the expression is not judged any further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Protocol, TypeAlias

import numpy as np

from cortexspec.contracts.operand import Operand, after
from cortexspec.contracts.operators import (
    OPERATORS,
    Window,
    fit,
    gather,
    list_of,
    literal,
    matrix_product,
    negative,
    power,
    slice_of,
    spell,
)
from cortexspec.contracts.plugin import DistributionEntry, FunctionEntry, Keys
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError
from cortexspec.units import DIMENSIONLESS, UnitError, parse_unit, to_coherent

Static: TypeAlias = "float | int | bool | str | tuple[Any, ...] | Shape | Operand"

CONSTANTS: Mapping[str, float] = {"π": math.pi, "pi": math.pi, "infinity": math.inf}


@dataclass(frozen=True, slots=True)
class Shape:
    """What `shape(x)` gives: the axes of x, as an argument of a part or a function."""

    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A distribution with its arguments, not drawn yet: `normal(0, 1)` inside `truncated(...)` or after `~`."""

    entry: DistributionEntry
    arguments: tuple[Operand | Drawn, ...]
    settings: Mapping[str, Operand]
    span: Span | None = None


class Scope(Protocol):
    """What names mean at one place of a spec. Analysis answers with values that have nothing but a type."""

    functions: Mapping[str, FunctionEntry]
    distributions: Mapping[str, DistributionEntry]
    sizes: Mapping[str, int]

    def read(self, path: str, build: Builder) -> Operand | None:
        """The value under a dotted path (primes for derivatives), or a built-in name (`t`, `dt`, `index`, `training`).

        None where it is known to be wrong already. Raises KeyError for an unknown path.
        """
        ...

    def call(self, path: str, arguments: Sequence[Operand], build: Builder, span: Span | None) -> Operand | None:
        """Calls the part at `path`. Raises KeyError for an unknown path, RuleError where the part refuses its inputs."""
        ...

    def draw(self, drawn: Drawn, build: Builder) -> Operand | None:
        """One draw as part of an expression; the scope knows its site and its keys."""
        ...

    def chance(self, span: Span | None) -> tuple[str, Keys] | None:
        """The site and the keys of the next draw in the expression, for a function that draws."""
        ...

    def window(self, axis: str, path: str) -> Window | None:
        """Where the member `path` of a group lies along the group's axis; None where it does not."""
        ...

    def at_end(self) -> Scope | None:
        """The scope in which time-dependent values are those of the last step; None where there is no time axis."""
        ...

    def report(self, diagnostic: Diagnostic) -> None: ...


def translate(expression: tree.Expression, scope: Scope, build: Builder) -> Operand | None:
    """The value of an expression, with its lines written to `build`; None after a mistake, which the scope was told."""
    return _Walker(scope, build).visit(expression)


def translate_draw(expression: tree.Expression, scope: Scope, build: Builder) -> Drawn | None:
    """A distribution after `~`, its arguments translated; None after a mistake, which the scope was told."""
    walker = _Walker(scope, build)
    if isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name):
        entry = scope.distributions.get(expression.function.name)
        if entry is not None:
            try:
                return walker.drawn(entry, expression)
            except _Stop:
                return None
        names = scope.distributions
        walker.report(
            "CS301",
            f"there is no distribution `{expression.function.name}`",
            expression.function.span,
            help=_near(expression.function.name, names),
        )
        return None
    walker.report("CS301", "after `~` stands a distribution, such as `normal(0, 1)`", expression.span)
    return None


def translate_settings(
    arguments: Sequence[tree.Argument], names: Sequence[str], scope: Scope, build: Builder
) -> dict[str, Static] | None:
    """Arguments of a built-in part that are known at compile time: positional ones by their place in `names`."""
    walker = _Walker(scope, build)
    found: dict[str, Static] = {}
    for place, argument in enumerate(arguments):
        name = argument.name or (names[place] if place < len(names) else "")
        if name not in names or argument.value is None:
            walker.report(
                "CS301",
                f"there is no argument `{name}` here" if name else "too many arguments",
                argument.span,
                help=f"it takes {', '.join(f'`{n}`' for n in names)}" if names else "it takes none",
            )
            return None
        value = walker.static(argument.value)
        if value is None:
            return None
        found[name] = value
    return found


class _Stop(Exception):
    """A mistake was reported; the expression has no value."""


class _Walker:
    def __init__(self, scope: Scope, build: Builder):
        self.scope, self.build = scope, build
        build.sizes = scope.sizes

    def report(self, code: str, message: str, span: Span | None, *, label: str = "", help: str = "") -> None:
        self.scope.report(Diagnostic(code, message, span, label, help))

    def visit(self, node: tree.Expression) -> Operand | None:
        try:
            return self.walk(node)
        except _Stop:
            return None

    def walk(self, node: tree.Expression) -> Operand:
        """Raises _Stop."""
        before, self.build.span = self.build.span, node.span or self.build.span
        try:
            return self._walk(node)
        finally:
            self.build.span = before

    def _walk(self, node: tree.Expression) -> Operand:
        match node:
            case tree.Number():
                return self.number(node)
            case tree.Reference():
                return self.read(node.path, node)
            case tree.Name():
                return self.name(node)
            case tree.Derivative():
                return self.derivative(node)
            case tree.Unary():
                operand = self.walk(node.operand)
                if node.operator == "-":
                    return self.apply(negative, [operand], [node.operand])
                return self.apply(_not, [operand], [node.operand])
            case tree.Binary():
                return self.binary(node)
            case tree.ListOf():
                return self.list_of(node)
            case tree.Index():
                return self.index(node)
            case tree.Call():
                return self.call(node)
            case tree.Text():
                return self.stop("CS401", "a text stands where a number is wanted", node)
            case tree.Member() | tree.Comprehension():
                return self.unsupported(f"`{print_expression(node)}`", node)

    def stop(self, code: str, message: str, node: tree.Expression, *, label: str = "", help: str = "") -> Any:
        self.report(code, message, node.span, label=label, help=help)
        raise _Stop

    def unsupported(self, what: str, node: tree.Expression) -> Any:
        self.stop("CS700", f"{what} is not supported here yet", node)

    def apply(
        self, write_lines: Callable[..., Operand], operands: Sequence[Operand], nodes: Sequence[tree.Expression]
    ) -> Operand:
        """Runs a writer; a complaint is reported at the node of the operand that it names."""
        try:
            return write_lines(self.build, *operands)
        except RuleError as error:
            place = error.operand if error.operand is not None and error.operand < len(nodes) else None
            span = nodes[place].span if place is not None else self.build.span
            self.report(error.code, error.message, span or self.build.span, label=error.label, help=error.help)
            raise _Stop from None

    # Leaves.

    def number(self, node: tree.Number) -> Operand:
        try:
            unit = parse_unit(node.unit)[0] if node.unit else DIMENSIONLESS
            value = to_coherent(node.value, node.unit) if node.unit else node.value
        except UnitError as error:
            return self.stop("CS401", str(error), node, help=error.help)
        return literal(self.build, np.array(value), unit)

    def read(self, path: str, node: tree.Expression) -> Operand:
        try:
            operand = self.scope.read(path, self.build)
        except KeyError:
            return self.stop("CS301", f"there is no `{path}` here", node)
        except RuleError as error:
            return self.stop(error.code, error.message, node, label=error.label, help=error.help)
        if operand is None:
            raise _Stop
        return operand

    def name(self, node: tree.Name) -> Operand:
        if node.name in CONSTANTS:
            return literal(self.build, np.array(CONSTANTS[node.name]), DIMENSIONLESS)
        if node.name in ("true", "false"):
            return Operand(write.boolean(self.build, node.name == "true"), (), np.array(node.name == "true"))
        return self.read(node.name, node)

    def derivative(self, node: tree.Derivative) -> Operand:
        if not isinstance(node.operand, tree.Reference):
            return self.unsupported("a derivative of something else than a state", node)
        return self.read(node.operand.path + "'" * node.order, node)

    # Operators.

    def binary(self, node: tree.Binary) -> Operand:
        if node.operator == "..":
            return self.stop("CS501", "a range stands in an index or in `vary`, not among numbers", node)
        left, right = self.walk(node.left), self.walk(node.right)
        if node.operator == "^":
            return self.apply(power, [left, right], [node.left, node.right])
        if node.operator == "@":
            return self.apply(matrix_product, [left, right], [node.left, node.right])
        return self.apply(_named(node.operator), [left, right], [node.left, node.right])

    def list_of(self, node: tree.ListOf) -> Operand:
        items = [self.walk(item) for item in node.items]
        scale, unit = 1.0, DIMENSIONLESS
        if node.unit:
            try:
                unit, scale = parse_unit(node.unit)
            except UnitError as error:
                return self.stop("CS401", str(error), node, help=error.help)

        def lines(build: Builder, *xs: Operand) -> Operand:
            return list_of(build, xs, scale, unit)

        return self.apply(lines, items, node.items)

    # Calls.

    def call(self, node: tree.Call) -> Operand:
        match node.function:
            case tree.Reference(path):
                operands = [self.walk(self.positional(argument)) for argument in node.arguments]
                nodes = [self.positional(argument) for argument in node.arguments]

                def called(build: Builder, *xs: Operand) -> Operand:
                    return self.call_part(path, xs, node)

                try:
                    return self.apply(called, operands, nodes)
                except KeyError:
                    return self.stop("CS301", f"there is no part `{path}` here", node.function)
            case tree.Name("size") if node.arguments and isinstance(node.arguments[0].value, tree.Text):
                symbol = node.arguments[0].value.value
                return Operand(write.size_of(self.build, Axis(symbol, Size.symbol(symbol))))
            case tree.Name(name):
                if name in self.scope.functions:
                    return self.function(self.scope.functions[name], node)
                if name in self.scope.distributions:
                    operand = self.scope.draw(self.drawn(self.scope.distributions[name], node), self.build)
                    if operand is None:
                        raise _Stop
                    return operand
                names = [*self.scope.functions, *self.scope.distributions]
                return self.stop("CS301", f"there is no function `{name}`", node.function, help=_near(name, names))
            case _:
                return self.unsupported("a call of this", node)

    def call_part(self, path: str, operands: Sequence[Operand], node: tree.Call) -> Operand:
        operand = self.scope.call(path, operands, self.build, node.span)
        if operand is None:
            raise _Stop
        return operand

    def positional(self, argument: tree.Argument) -> tree.Expression:
        if argument.value is None or argument.name:
            self.report("CS301", "a part takes its inputs by place", argument.span)
            raise _Stop
        return argument.value

    def drawn(self, entry: DistributionEntry, node: tree.Call) -> Drawn:
        """A distribution's arguments; a distribution among them is not drawn."""
        positional: list[Operand | Drawn] = []
        named: dict[str, Operand] = {}
        for argument in node.arguments:
            value = argument.value
            if value is None:
                raise self.stop("CS301", f"`{argument.name}` has no value", node)
            inner = (
                value.function.name if isinstance(value, tree.Call) and isinstance(value.function, tree.Name) else ""
            )
            if argument.name:
                named[argument.name] = self.walk(value)
            elif isinstance(value, tree.Call) and inner in self.scope.distributions:
                positional.append(self.drawn(self.scope.distributions[inner], value))
            else:
                positional.append(self.walk(value))
        self.check_arity(entry.name, entry.arity, len(positional), node)
        return Drawn(entry, tuple(positional), named, node.span)

    def function(self, entry: FunctionEntry, node: tree.Call) -> Operand:
        """Positional arguments are values, save those that the entry wants at compile time; keywords are settings."""
        positional = [argument for argument in node.arguments if not argument.name]
        known = {argument.name: argument for argument in node.arguments if argument.name}
        values = positional[: entry.arity[1]] if entry.arity[1] is not None else positional
        for name, argument in zip(entry.static, positional[len(values) :], strict=False):
            known.setdefault(name, argument)
        if len(positional) > len(values) + len(entry.static):
            return self.stop("CS301", f"`{entry.name}` takes at most {len(values) + len(entry.static)} arguments", node)
        self.check_arity(entry.name, entry.arity, len(values), node)
        nodes = [self.positional(argument) for argument in values]
        operands = [self.walk(value) for value in nodes]
        settings: dict[str, Any] = {}
        for name, argument in known.items():
            if name not in entry.settings and name not in entry.static:
                takes = [*entry.static, *entry.settings]
                help = f"it takes {', '.join(f'`{n}`' for n in takes)}" if takes else ""
                return self.stop("CS301", f"`{entry.name}` has no argument `{name}`", node, help=help)
            if argument.value is not None:
                known_later = name in entry.values
                settings[name] = (
                    self.walk(argument.value) if known_later else self.setting(name, argument.value, operands)
                )
        if entry.draws:
            site, keys = self.chance(node)
            settings |= {"site": site, "keys": keys}
        if "by" in entry.settings:
            settings["over"] = self.axes_over(operands, settings, node)
            settings.pop("by", None)

        def lines(build: Builder, *xs: Operand) -> Operand:
            return _call_entry(build, entry, xs, settings)

        return self.apply(lines, operands, nodes)

    def chance(self, node: tree.Call) -> tuple[str, Keys]:
        found = self.scope.chance(node.span)
        if found is None:
            raise _Stop
        return found

    def check_arity(self, name: str, arity: tuple[int, int | None], found: int, node: tree.Expression) -> None:
        least, most = arity
        if found < least or (most is not None and found > most):
            wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            self.stop("CS301", f"`{name}` takes {wanted} argument{'' if wanted == '1' else 's'}, not {found}", node)

    def axes_over(
        self, operands: Sequence[Operand], settings: Mapping[str, Static], node: tree.Call
    ) -> tuple[str, ...]:
        """The axes that a reduction takes: `over`, or all but `by`, or all."""
        written = [name for operand in operands for name in operand.axes]
        written = list(dict.fromkeys(written))
        asked = settings.get("over", settings.get("by"))
        if asked is None:
            return tuple(written)
        names = [str(name) for name in (asked if isinstance(asked, tuple) else (asked,))]
        for name in names:
            if name not in written:
                help = f"it has {', '.join(f'`{n}`' for n in written)}" if written else "it has no axis"
                self.stop("CS501", f"there is no axis `{name}` to go over", node, help=help)
        return tuple(names) if "over" in settings else tuple(name for name in written if name not in names)

    # What must be known at compile time.

    def setting(self, name: str, node: tree.Expression, operands: Sequence[Operand]) -> Static:
        if name in ("over", "by", "axis"):
            nodes = node.items if isinstance(node, tree.ListOf) else (node,)
            return tuple(self.axis_name(item, operands) for item in nodes)
        value = self.static(node)
        if value is None:
            raise _Stop
        return value

    def axis_name(self, node: tree.Expression, operands: Sequence[Operand]) -> str:
        """The name of an axis as the author writes it: the last words of its path are enough."""
        match node:
            case tree.Name(name) | tree.Reference(name):
                pass
            case _:
                return self.stop("CS501", "here stands the name of an axis", node)
        written = [axis for operand in operands for axis in operand.axes]
        exact = [axis for axis in written if axis == name]
        ends = [axis for axis in written if axis.endswith(f".{name}") or name.endswith(f".{axis}")]
        if name in ("target", "source") and not exact:
            ends = [axis for axis in written if axis.endswith(f"_{name}")]
            ends = ends or (written[:1] if name == "target" else written[1:2]) if len(written) == 2 else ends
        return next(iter([*exact, *ends]), name)

    def static(self, node: tree.Expression) -> Static | None:
        """A number, text, truth value, list or shape; None after a mistake."""
        try:
            return self._static(node)
        except _Stop:
            return None

    def _static(self, node: tree.Expression) -> Static:
        match node:
            case tree.Text(text):
                return text
            case tree.Name("true" | "false" as name):
                return name == "true"
            case tree.ListOf() if not node.unit:
                return tuple(self._static(item) for item in node.items)
            case tree.Binary(operator="..", left=left, right=right):
                return tuple(range(self.whole(left), self.whole(right) + 1))
            case tree.Call(function=tree.Name("shape"), arguments=(tree.Argument(value=value),)) if value is not None:
                return Shape(self.walk(value).written)
            case tree.Name(name) if name not in CONSTANTS and name not in self.scope.functions:
                try:
                    operand = self.scope.read(name, self.build)
                except KeyError:
                    return name  # a word, such as the name of a function or a surrogate
                if operand is None:
                    raise _Stop from None
            case tree.Name(name) if name in self.scope.functions:
                return name
            case _:
                operand = self.walk(node)
        if operand.literal is None:
            return self.stop(
                "CS303", "this must be known before anything runs", node, label="a constant is wanted here"
            )
        if operand.literal.ndim:
            return operand
        number: Any = operand.literal.item()
        return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 2**53 else number

    def whole(self, node: tree.Expression) -> int:
        value = self._static(node)
        if not isinstance(value, int):
            return self.stop("CS501", "a whole number is wanted here", node)
        if isinstance(node, tree.Number | tree.Unary | tree.Binary | tree.Call):
            self.unitless(self.walk(node), node)
        return value

    def unitless(self, operand: Operand, node: tree.Expression) -> Operand:
        """Places along an axis have no unit: 100 ms would be taken for the place 100."""
        unit = operand.type.unit
        if unit == DIMENSIONLESS:
            return operand
        help = "time is counted in steps of `dt`, from 0" if unit == parse_unit("ms")[0] else ""
        label = f"expected a pure number, found {unit.name()}"
        return self.stop("CS401", "places along an axis are counted", node, label=label, help=help)

    # Selection.

    def index(self, node: tree.Index) -> Operand:
        rest: list[tree.Argument] = []
        scope = self.scope
        for argument in node.arguments:
            if argument.name == "time" and isinstance(argument.value, tree.Name) and argument.value.name == "end":
                ended = scope.at_end()
                if ended is None:
                    return self.stop(
                        "CS501", "there is no time axis here", node, help="`time = end` belongs to an experiment"
                    )
                scope = ended
            else:
                rest.append(argument)
        operand = _Walker(scope, self.build).walk(node.operand)
        written = operand.axes
        for place, argument in enumerate(rest):
            if argument.value is None:
                return self.stop("CS501", "an index has no value", node)
            if argument.name:
                axis = self.axis_name(tree.Name(argument.name), [operand])
            else:
                axis = self.axis_at(written, place, argument.value, operand)
            if axis not in operand.axes:
                found = spell(operand.written)
                what = f"an axis `{argument.name}`" if argument.name else f"{place + 1} axes"
                return self.stop("CS501", f"what is indexed does not have {what}", node, label=f"its axes are {found}")
            operand = self.select(operand, axis, argument.value)
        return operand

    def axis_at(self, written: Sequence[str], place: int, node: tree.Expression, operand: Operand) -> str:
        """The axis that an index without a name is along: the one at its place; for a member, one that its group is along."""
        axis = written[place] if place < len(written) else ""
        path = node.path if isinstance(node, tree.Reference) else ""
        if not path or (axis and self.scope.window(axis, path) is not None):
            return axis
        found = [name for name in operand.axes if self.scope.window(name, path) is not None]
        return found[0] if found else axis

    def select(self, operand: Operand, axis: str, node: tree.Expression) -> Operand:
        """One entry (which drops the axis), or a stretch."""
        path = node.path if isinstance(node, tree.Reference) else node.name if isinstance(node, tree.Name) else ""
        window = self.scope.window(axis, path) if path else None
        if window is None:
            window = self.stretch(node)
        if isinstance(window, Operand):
            places = window

            def picked(build: Builder, x: Operand, index: Operand) -> Operand:
                return gather(build, x, axis, index)

            return self.apply(picked, [operand, places], [node, node])
        size = operand.type.axis(axis).size
        length = size.evaluate(self.scope.sizes) if size.symbols <= self.scope.sizes.keys() else None
        if length is not None and not 0 <= window.start <= window.start + window.count <= length:
            label = f"`{axis}` has {length} element{'' if length == 1 else 's'}, counted from 0"
            return self.stop("CS501", "the index lies outside the axis", node, label=label)
        stretch = window

        def cut(build: Builder, x: Operand) -> Operand:
            return slice_of(build, x, axis, stretch)

        return self.apply(cut, [operand], [node])

    def stretch(self, node: tree.Expression) -> Window | Operand:
        if isinstance(node, tree.Binary) and node.operator == "..":
            first, last = self.whole(node.left), self.whole(node.right)
            return Window(first, last - first + 1)
        operand = self.walk(node)
        if operand.literal is None or operand.literal.ndim:
            return self.unitless(operand, node)
        return Window(self.whole(node), 1, single=True)


def _named(operator: str) -> Callable[..., Operand]:
    """The operator's lines; where it is given a truth value, the complaint names it as it is written."""

    def lines(build: Builder, *operands: Operand) -> Operand:
        try:
            return OPERATORS[operator](build, *operands)
        except RuleError as error:
            if error.code == "CS602":
                error.message = f"`{operator}` {error.message.partition(' ')[2]}"
                numbers = operator not in ("and", "or", "not")
                error.help = error.help or (
                    "write `where(c, a, b)` to choose by a condition" if numbers else "compare it: `x > 0`"
                )
            raise

    return lines


def _not(build: Builder, x: Operand) -> Operand:
    return after(write.not_(build, x.value), x)


def _call_entry(
    build: Builder, entry: FunctionEntry, operands: Sequence[Operand], settings: Mapping[str, Any]
) -> Operand:
    result = entry.write(build, operands, settings)
    operand = after(result, *operands) if isinstance(result, Value) else result
    # What is made of lists alone takes the names of what it meets, as they do.
    lists = [one.anonymous for one in operands if one.axes]
    return replace(operand, anonymous=True) if lists and all(lists) and operand.axes else operand


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean `{near[0]}`?" if near else ""


__all__ = ["Drawn", "Scope", "Shape", "Window", "fit", "translate", "translate_draw", "translate_settings"]
