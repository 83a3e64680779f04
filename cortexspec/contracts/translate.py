"""From an expression to lines of the IR: the one walker, for analysis (which keeps the types) and for lowering (which keeps the lines).

An expression means the operations it becomes, so a clash of units or axes is the complaint of an operation's rule. It is
reported at the place of the operand that broke the rule; the rest of the expression is not judged any further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import numpy as np

from cortexspec.contracts.operand import Array, Operand, after
from cortexspec.contracts.plugin import DistributionEntry, FunctionEntry
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, parse_unit, to_coherent

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


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of an axis that a name stands for: a member of a group. One place (`count` 1, `single`) drops the axis."""

    start: int
    count: int
    single: bool = False


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
    """A distribution after `~`, its arguments translated."""
    walker = _Walker(scope, build)
    if isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name):
        entry = scope.distributions.get(expression.function.name)
        if entry is not None:
            return walker.drawn(entry, expression)
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


def fit(build: Builder, operand: Operand, type_: Type, axes: Sequence[str] | None = None) -> Operand:
    """The operand as a declaration wants it: literal zeros and lists take its unit and axes, `x_target` becomes `x`.

    Missing axes stay missing; whoever needs them expands. `axes` is the written order of the declaration.

    Raises: RuleError for a unit or an axis that the declaration does not have.
    """
    written = list(axes) if axes is not None else [axis.name for axis in type_.axes]
    if operand.zero and type_.unit != DIMENSIONLESS:
        operand = _literal(build, np.array(0.0), type_.unit)
    if operand.type.dtype != type_.dtype and operand.type.dtype != "bits":
        operand = replace(operand, value=write.cast(build, operand.value, type_.dtype), literal=None)
    if operand.type.unit != type_.unit:
        raise RuleError(
            "CS401",
            f"quantities of different dimension meet: {type_.unit.name()} and {operand.type.unit.name()}",
            label=f"expected {type_.unit.name()}, found {operand.type.unit.name()}",
            operand=0,
        )
    if operand.anonymous:
        operand = _name_axes(build, operand, [type_.axis(name) for name in written])
    for axis in operand.type.axes:
        if type_.has(axis.name) or axis.role in ("sample", "time"):
            continue
        stem = axis.name.removesuffix("_target").removesuffix("_source")
        both = (stem, f"{stem}_target")
        place = operand.axes.index(axis.name) if axis.name in operand.axes else -1
        mate = next((name for name in both if type_.has(name) and not operand.type.has(name)), "")
        if not mate and place >= 0 and len(operand.axes) == len(written) and written[place] not in operand.type.names:
            mate = written[place]
        if not mate or not _may_be_equal(type_.axis(mate).size, axis.size):
            raise RuleError(
                "CS501",
                f"the value has the axis `{axis.name}`, which is not one of [{', '.join(written)}]",
                label=f"expected {_spell(type_.axes)}, found {_spell(operand.type.axes)}",
                operand=0,
            )
        operand = _rename(build, operand, axis.name, type_.axis(mate))
    return replace(operand, axes=tuple(name for name in written if operand.type.has(name)))


def _may_be_equal(a: Size, b: Size) -> bool:
    """A number and a size that is bound later are compared when it is bound."""
    return a == b or (a.fixed is None) != (b.fixed is None)


class _Stop(Exception):
    """A mistake was reported; the expression has no value."""


class _Walker:
    def __init__(self, scope: Scope, build: Builder):
        self.scope, self.build = scope, build

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
                    return self.apply(_negative, [operand], [node.operand])
                return self.apply(lambda b, x: after(write.not_(b, x.value), x), [operand], [node.operand])
            case tree.Binary():
                return self.binary(node)
            case tree.ListOf():
                return self.list_of(node)
            case tree.Index():
                return self.index(node)
            case tree.Call():
                return self.call(node)
            case tree.Text():
                self.stop("CS401", "a text stands where a number is wanted", node)
            case tree.Member() | tree.Comprehension():
                self.unsupported(f"`{print_expression(node)}`", node)

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
        return _literal(self.build, np.array(value), unit)

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
            return _literal(self.build, np.array(CONSTANTS[node.name]), DIMENSIONLESS)
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
            return self.apply(_power, [left, right], [node.left, node.right])
        if node.operator == "@":
            return self.apply(_matrix_product, [left, right], [node.left, node.right])
        return self.apply(_OPERATORS[node.operator], [left, right], [node.left, node.right])

    def list_of(self, node: tree.ListOf) -> Operand:
        items = [self.walk(item) for item in node.items]
        scale, unit = 1.0, DIMENSIONLESS
        if node.unit:
            try:
                unit, scale = parse_unit(node.unit)
            except UnitError as error:
                return self.stop("CS401", str(error), node, help=error.help)
        return self.apply(lambda b, *xs: _list(b, xs, scale, unit), items, node.items)

    # Calls.

    def call(self, node: tree.Call) -> Operand:
        match node.function:
            case tree.Reference(path):
                operands = [self.walk(self.positional(argument)) for argument in node.arguments]
                nodes = [self.positional(argument) for argument in node.arguments]
                try:
                    return self.apply(lambda b, *xs: self.call_part(path, xs, node), operands, nodes)
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
        settings: dict[str, Static] = {}
        for name, argument in known.items():
            if name not in entry.settings and name not in entry.static:
                takes = [*entry.static, *entry.settings]
                help = f"it takes {', '.join(f'`{n}`' for n in takes)}" if takes else ""
                return self.stop("CS301", f"`{entry.name}` has no argument `{name}`", node, help=help)
            if argument.value is not None:
                settings[name] = self.setting(name, argument.value, operands)
        if "by" in entry.settings:
            settings["over"] = self.axes_over(operands, settings, node)
            settings.pop("by", None)
        return self.apply(lambda b, *xs: _call_entry(b, entry, xs, settings), operands, nodes)

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
        number = operand.literal.item()
        return int(number) if isinstance(number, float) and number == int(number) and abs(number) < 2**53 else number

    def whole(self, node: tree.Expression) -> int:
        value = self._static(node)
        if not isinstance(value, int):
            return self.stop("CS501", "a whole number is wanted here", node)
        return value

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
                axis = written[place] if place < len(written) else ""
            if axis not in operand.axes:
                found = _spell(operand.written)
                what = f"an axis `{argument.name}`" if argument.name else f"{place + 1} axes"
                return self.stop("CS501", f"what is indexed does not have {what}", node, label=f"its axes are {found}")
            operand = self.select(operand, axis, argument.value)
        return operand

    def select(self, operand: Operand, axis: str, node: tree.Expression) -> Operand:
        """One entry (which drops the axis), or a stretch."""
        path = node.path if isinstance(node, tree.Reference) else node.name if isinstance(node, tree.Name) else ""
        window = self.scope.window(axis, path) if path else None
        if window is None:
            window = self.stretch(node)
        if isinstance(window, Operand):
            return self.apply(lambda b, x, i: _gather(b, x, axis, i), [operand, window], [node, node])
        size = operand.type.axis(axis).size
        length = size.evaluate(self.scope.sizes) if size.symbols <= self.scope.sizes.keys() else None
        if length is not None and not 0 <= window.start <= window.start + window.count <= length:
            label = f"`{axis}` has {length} element{'' if length == 1 else 's'}, counted from 0"
            return self.stop("CS501", "the index lies outside the axis", node, label=label)
        return self.apply(lambda b, x: _slice(b, x, axis, window), [operand], [node])

    def stretch(self, node: tree.Expression) -> Window | Operand:
        if isinstance(node, tree.Binary) and node.operator == "..":
            first, last = self.whole(node.left), self.whole(node.right)
            return Window(first, last - first + 1)
        operand = self.walk(node)
        if operand.literal is None or operand.literal.ndim:
            return operand
        return Window(self.whole(node), 1, single=True)


# Operators on operands.


def _literal(build: Builder, numbers: Array, unit: Unit, axes: Sequence[Axis] | None = None) -> Operand:
    """A constant; without `axes`, a list's axes are anonymous."""
    if numbers.ndim == 0:
        return Operand(write.const(build, numbers.item(), unit), (), numbers)
    given = axes is not None
    if axes is None:
        axes = [build.axis("list", int(length)) for length in numbers.shape]
    value = write.table(build, numbers.ravel().tolist(), axes, unit)
    return Operand(value, tuple(axis.name for axis in axes), numbers, anonymous=not given)


def _name_axes(build: Builder, operand: Operand, axes: Sequence[Axis]) -> Operand:
    """A list of numbers takes the names of these axes, the last ones where it has fewer.

    Raises: RuleError CS501 where a length differs (that of a symbol is checked when the sizes are bound).
    """
    if len(operand.axes) > len(axes):
        raise RuleError("CS501", f"a list of {len(operand.axes)} axes meets {_spell(axes)}", operand=0)
    taken = axes[len(axes) - len(operand.axes) :]
    renamed = operand
    for axis, wanted in zip(operand.written, taken, strict=True):
        if wanted.size.fixed is not None and wanted.size != axis.size:
            raise RuleError(
                "CS501",
                f"a list of {axis.size} meets the axis `{wanted.name}` of {wanted.size}",
                label=f"expected {wanted.size} elements, found {axis.size}",
                operand=0,
            )
    if operand.literal is not None:
        return _literal(build, operand.literal, operand.type.unit, taken)
    for axis, wanted in zip(operand.written, taken, strict=True):
        renamed = _rename(build, renamed, axis.name, wanted)
    return replace(renamed, anonymous=False)


def _rename(build: Builder, operand: Operand, old: str, new: Axis) -> Operand:
    value = write.rename(build, operand.value, {old: new.name})
    axes = tuple(new.name if name == old else name for name in operand.axes)
    return replace(operand, value=value, axes=axes)


def meet(build: Builder, *operands: Operand) -> tuple[Operand, ...]:
    """Operands of one elementwise operation made alike: lists take names, `x` meets `x_target`, integers become floats."""
    named = max((o for o in operands if not o.anonymous), key=lambda o: len(o.axes), default=None)
    if named is not None and named.axes:
        operands = tuple(
            _placed(place, lambda o=o: _name_axes(build, o, named.written)) if o.anonymous else o
            for place, o in enumerate(operands)
        )
    elif all(o.anonymous or not o.axes for o in operands):
        lists = [o for o in operands if o.anonymous]
        if len(lists) > 1:
            first = max(lists, key=lambda o: len(o.axes))
            operands = tuple(
                replace(_placed(place, lambda o=o: _name_axes(build, o, first.written)), anonymous=True)
                if o.anonymous and o is not first
                else o
                for place, o in enumerate(operands)
            )
    matrix = {name for o in operands for name in o.type.names if name.endswith("_target")}
    operands = tuple(_as_target(build, o, matrix) for o in operands)
    _require_nested(operands)
    if len({o.type.dtype for o in operands} & {"int", "float"}) == 2:
        operands = tuple(
            replace(o, value=write.cast(build, o.value, "float")) if o.type.dtype == "int" else o for o in operands
        )
    return operands


def _require_nested(operands: Sequence[Operand]) -> None:
    """Elementwise, what one operand has along its written axes the other has too: no product of all with all by accident.

    Raises: RuleError CS501.
    """
    widest = max(operands, key=lambda o: len(o.axes))
    for place, operand in enumerate(operands):
        foreign = [name for name in operand.axes if not widest.type.has(name)]
        if foreign:
            first, second = (widest, operand) if operands.index(widest) < place else (operand, widest)
            culprit = place if operand is second else operands.index(widest)
            raise RuleError(
                "CS501",
                f"arrays over [{', '.join(first.axes)}] and [{', '.join(second.axes)}] do not lie along each other",
                label=f"expected [{', '.join(first.axes)}], found [{', '.join(second.axes)}]",
                operand=culprit,
            )


def _placed(place: int, make: Callable[[], Operand]) -> Operand:
    try:
        return make()
    except RuleError as error:
        error.operand = place
        raise


def _as_target(build: Builder, operand: Operand, matrix: set[str]) -> Operand:
    """A value over `x` beside a matrix [x_target, x_source] is one value a target."""
    for axis in operand.type.axes:
        if f"{axis.name}_target" in matrix and not operand.type.has(f"{axis.name}_target"):
            operand = _rename(build, operand, axis.name, Axis(f"{axis.name}_target", axis.size, axis.role))
    return operand


def same_unit(build: Builder, *operands: Operand) -> tuple[Operand, ...]:
    """A literal 0 among the operands takes the unit of the others."""
    unit = next((o.type.unit for o in operands if not o.zero and o.type.dtype == "float"), DIMENSIONLESS)
    if unit == DIMENSIONLESS:
        return operands
    return tuple(_literal(build, np.array(0.0), unit) if o.zero else o for o in operands)


def elementwise(
    build: Builder,
    line: Callable[..., Value],
    *operands: Operand,
    numbers: Callable[..., Array] | None = None,
    alike: bool = False,
) -> Operand:
    """One elementwise operation. `numbers` folds literals; `alike`: all operands have one unit."""
    if alike:
        operands = same_unit(build, *operands)
    operands = meet(build, *operands)
    result = after(line(build, *(o.value for o in operands)), *operands)
    if numbers is not None and all(o.literal is not None for o in operands):
        with np.errstate(all="ignore"):
            folded = np.asarray(numbers(*(o.literal for o in operands)))
        lists = [o for o in operands if o.axes]
        return replace(result, literal=folded, anonymous=bool(lists) and all(o.anonymous for o in lists))
    return replace(result, anonymous=bool(result.axes) and all(o.anonymous or not o.axes for o in operands))


def _negative(build: Builder, x: Operand) -> Operand:
    return elementwise(build, write.neg, x, numbers=np.negative)


def _arithmetic(line: Callable[..., Value], numbers: Callable[..., Array], alike: bool) -> Callable[..., Operand]:
    return lambda build, a, b: elementwise(build, line, a, b, numbers=numbers, alike=alike)


def _divide(build: Builder, a: Operand, b: Operand) -> Operand:
    operands = [replace(o, value=write.cast(build, o.value, "float")) if o.type.dtype == "int" else o for o in (a, b)]
    return elementwise(build, write.div, *operands, numbers=np.divide)


def _power(build: Builder, base: Operand, exponent: Operand) -> Operand:
    """A written exponent raises the unit too; a computed one wants pure numbers."""
    if exponent.literal is None or exponent.literal.ndim:
        return elementwise(build, write.power, base, exponent)
    if exponent.type.unit != DIMENSIONLESS:
        raise RuleError("CS401", f"an exponent is a pure number, not {exponent.type.unit.name()}", operand=1)
    number = float(exponent.literal)
    ratio = Fraction(number).limit_denominator(64)
    if base.type.unit != DIMENSIONLESS and abs(float(ratio) - number) > 1e-12:
        raise RuleError("CS401", f"{base.type.unit.name()} cannot be raised to {number}", operand=1)
    number = float(ratio) if abs(float(ratio) - number) <= 1e-12 else number
    return elementwise(build, lambda b, x: write.pow(b, x, number), base, numbers=lambda x: np.power(x, number))


def _matrix_product(build: Builder, left: Operand, right: Operand) -> Operand:
    """The last written axis of the left against the only one (or the last but one) of the right."""
    for place, operand in enumerate((left, right)):
        if not operand.axes:
            raise RuleError("CS501", "`@` wants a matrix or a vector here", label="found a single value", operand=place)
    inner = left.written[-1]
    facing = right.written[0] if len(right.axes) == 1 else right.written[-2]
    if left.anonymous and not right.anonymous:
        left = _name_axes(build, left, [*left.written[:-1], replace(facing)])
        inner = left.written[-1]
    elif right.anonymous:
        rest = right.written[1:] if len(right.axes) == 1 else right.written[-1:]
        right = _name_axes(build, right, [*right.written[:-2], inner, *rest] if len(right.axes) > 1 else [inner])
        facing = inner
    if facing.size != inner.size:
        raise RuleError(
            "CS501",
            f"`@` sums over `{inner.name}` of {inner.size} on its left and `{facing.name}` of {facing.size} on its right",
            label=f"expected {inner.size} elements, found {facing.size}",
            operand=1,
        )
    if facing.name != inner.name:
        for taken in [axis for axis in right.type.axes if axis.name == inner.name]:
            right = _rename(build, right, taken.name, build.axis(taken.name, taken.size, taken.role))
        right = _rename(build, right, facing.name, replace(facing, name=inner.name))
    for axis in left.written[:-1]:
        if axis.name in right.axes and axis.name != inner.name:
            right = _rename(build, right, axis.name, build.axis(axis.name, axis.size, axis.role))
    value = write.contract(build, left.value, right.value, (inner.name,))
    axes = [name for name in (*left.axes[:-1], *right.axes) if name != inner.name]
    result = Operand(value, tuple(dict.fromkeys(axes)))
    stem = result.axes[0].removesuffix("_target") if len(result.axes) == 1 else ""
    if stem and stem != result.axes[0] and not result.type.has(stem):
        result = _rename(build, result, result.axes[0], replace(result.type.axis(result.axes[0]), name=stem))
    return result


def _list(build: Builder, items: Sequence[Operand], scale: float, unit: Unit) -> Operand:
    """`[a, b, c] unit`: a constant where all items are, else the items one after another along a new axis."""
    if not items:
        raise RuleError("CS501", "a list of numbers must not be empty")
    items = same_unit(build, *items)
    for place, item in enumerate(items):
        if item.type.unit != items[0].type.unit:
            message = f"quantities of different dimension meet: {items[0].type.unit.name()} and {item.type.unit.name()}"
            label = f"expected {items[0].type.unit.name()}, found {item.type.unit.name()}"
            raise RuleError("CS401", message, label=label, operand=place)
        if len(item.axes) != len(items[0].axes) or [a.size for a in item.written] != [a.size for a in items[0].written]:
            label = f"expected {_spell(items[0].written)}, found {_spell(item.written)}"
            raise RuleError("CS501", "the items of a list differ in shape", label=label, operand=place)
    if all(item.literal is not None for item in items):
        numbers = np.stack([item.literal for item in items if item.literal is not None]) * scale
        return _literal(build, numbers, items[0].type.unit * unit)
    alike = [items[0], *(fit(build, item, items[0].type, items[0].axes) for item in items[1:])]
    axis = build.axis("list", len(items))
    value = write.stack(build, [item.value for item in alike], axis)
    if unit != DIMENSIONLESS or scale != 1:
        value = write.mul(build, value, write.const(build, scale, unit))
    return Operand(value, (axis.name, *alike[0].axes), None, anonymous=not alike[0].axes)


def _slice(build: Builder, operand: Operand, axis: str, window: Window) -> Operand:
    if window.single:
        value = write.index(build, operand.value, axis, window.start)
        return replace(after(value, operand), literal=_taken(operand, axis, window.start))
    name = f"{axis}_{window.start}_{window.start + window.count - 1}"
    stop = window.start + window.count
    value = write.slice_(build, operand.value, axis, window.start, stop, Axis(name, Size.of(window.count)))
    axes = tuple(name if written == axis else written for written in operand.axes)
    return Operand(value, axes, _taken(operand, axis, slice(window.start, window.start + window.count)))


def _taken(operand: Operand, axis: str, what: int | slice) -> Array | None:
    if operand.literal is None:
        return None
    place = operand.axes.index(axis)
    return operand.literal[(slice(None),) * place + (what,)]


def _gather(build: Builder, operand: Operand, axis: str, index: Operand) -> Operand:
    """Entries at computed places: `W[order, order]`. The axis keeps its name where the index runs along it."""
    if len(index.axes) != 1:
        raise RuleError("CS501", "an index is a number, a range or a list of places", operand=1)
    places = index.value if index.type.dtype == "int" else write.cast(build, index.value, "int")
    inside = index.axes[0]
    if inside in operand.type.names:
        fresh = build.axis(inside, index.type.axis(inside).size).name
        places = write.rename(build, places, {inside: fresh})
        inside, back = fresh, inside
    else:
        back = ""
    value = write.gather(build, operand.value, places, axis)
    axes = tuple(inside if name == axis else name for name in operand.axes)
    if back == axis:
        value = write.rename(build, value, {inside: axis})
        axes = operand.axes
    return Operand(value, axes)


def _call_entry(
    build: Builder, entry: FunctionEntry, operands: Sequence[Operand], settings: Mapping[str, Any]
) -> Operand:
    result = entry.write(build, operands, settings)
    return after(result, *operands) if isinstance(result, Value) else result


def _spell(axes: Sequence[Axis]) -> str:
    return "[" + ", ".join(axis.name for axis in axes) + "]" if axes else "a single value"


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean `{near[0]}`?" if near else ""


_OPERATORS: dict[str, Callable[..., Operand]] = {
    "+": _arithmetic(write.add, np.add, True),
    "-": _arithmetic(write.sub, np.subtract, True),
    "*": _arithmetic(write.mul, np.multiply, False),
    "/": _divide,
    "<": _arithmetic(write.lt, np.less, True),
    "<=": _arithmetic(write.le, np.less_equal, True),
    ">": _arithmetic(write.gt, np.greater, True),
    ">=": _arithmetic(write.ge, np.greater_equal, True),
    "==": _arithmetic(write.eq, np.equal, True),
    "!=": _arithmetic(write.ne, np.not_equal, True),
    "and": _arithmetic(write.and_, np.logical_and, False),
    "or": _arithmetic(write.or_, np.logical_or, False),
}
