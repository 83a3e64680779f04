"""Operators on operands: two values made alike, literals folded, a list of numbers that takes the axes it meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from cortexspec.contracts.operand import Array, Operand, after
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type, unit_in_words
from cortexspec.units import DIMENSIONLESS, Unit


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of an axis that a name stands for: a member of a group. One place (`count` 1, `single`) drops the axis."""

    start: int
    count: int
    single: bool = False


def fit(
    build: Builder,
    operand: Operand,
    type_: Type,
    axes: Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Operand:
    """The operand as a declaration wants it: literal zeros and lists take its unit and axes, `x_target` becomes `x`.

    Missing axes stay missing; whoever needs them expands. `axes` is the written order of the declaration; with `sizes` also
    sizes that are bound later are compared.

    Raises: RuleError for a unit or an axis that the declaration does not have.
    """
    written = list(axes) if axes is not None else [axis.name for axis in type_.axes]
    if operand.zero and type_.unit != DIMENSIONLESS:
        operand = literal(build, np.array(0.0), type_.unit)
    if operand.type.dtype != type_.dtype and operand.type.dtype != "bits":
        operand = replace(operand, value=write.cast(build, operand.value, type_.dtype), literal=None)
    if operand.type.unit != type_.unit:
        raise RuleError(
            "CS401",
            f"quantities of different dimension meet: {unit_in_words(type_.unit)} and {unit_in_words(operand.type.unit)}",
            label=f"expected {unit_in_words(type_.unit)}, found {unit_in_words(operand.type.unit)}",
            operand=0,
        )
    if operand.anonymous:
        operand = name_axes(build, operand, [type_.axis(name) for name in written])
    for axis in operand.type.axes:
        if type_.has(axis.name) or axis.role in ("sample", "time"):
            continue
        stem = axis.name.removesuffix("_target").removesuffix("_source")
        # `pre.A` is along the source alone; beside both sides of a connection, a value over `x` is one a target.
        both = (stem, f"{stem}_target" if type_.has(f"{stem}_target") else f"{stem}_source")
        place = operand.axes.index(axis.name) if axis.name in operand.axes else -1
        mate = next((name for name in both if type_.has(name) and not operand.type.has(name)), "")
        if not mate and place >= 0 and len(operand.axes) == len(written) and written[place] not in operand.type.names:
            mate = written[place]
        if not mate or not _may_be_equal(type_.axis(mate).size, axis.size, sizes or {}):
            raise RuleError(
                "CS501",
                f"the value has the axis `{axis.name}`, which is not one of [{', '.join(written)}]",
                label=f"expected {spell(type_.axes)}, found {spell(operand.type.axes)}",
                operand=0,
            )
        operand = rename(build, operand, axis.name, type_.axis(mate))
    return replace(operand, axes=tuple(name for name in written if operand.type.has(name)))


def _may_be_equal(a: Size, b: Size, sizes: Mapping[str, int]) -> bool:
    """A number and a size that is bound later are compared when it is bound."""
    if a.symbols | b.symbols <= sizes.keys():
        return a.evaluate(sizes) == b.evaluate(sizes)
    return a == b or (a.fixed is None) != (b.fixed is None)


def literal(build: Builder, numbers: Array, unit: Unit, axes: Sequence[Axis] | None = None) -> Operand:
    """A constant; without `axes`, a list's axes are anonymous."""
    if numbers.ndim == 0:
        return Operand(write.const(build, numbers.item(), unit), (), numbers)
    given = axes is not None
    if axes is None:
        axes = [build.axis("list", int(length)) for length in numbers.shape]
    value = write.table(build, numbers.ravel().tolist(), axes, unit)
    return Operand(value, tuple(axis.name for axis in axes), numbers, anonymous=not given)


def name_axes(build: Builder, operand: Operand, axes: Sequence[Axis]) -> Operand:
    """A list of numbers takes the names of these axes, the last ones where it has fewer.

    Raises: RuleError CS501 where a length differs (that of a symbol which only data tell is checked when it is bound).
    """
    if len(operand.axes) > len(axes):
        what = f"{spell(operand.written)}" if _own_name(operand.written[0]) else f"a list of {len(operand.axes)} axes"
        raise RuleError("CS501", f"{what} meets {spell(axes)}", operand=0)
    taken = axes[len(axes) - len(operand.axes) :]
    renamed = operand
    for axis, wanted in zip(operand.written, taken, strict=True):
        symbols = wanted.size.symbols | axis.size.symbols
        known = symbols <= build.sizes.keys()
        length, found = (size.evaluate(build.sizes) if known else 0 for size in (wanted.size, axis.size))
        if length != found:
            what = f"`{_own_name(axis)}`" if _own_name(axis) else "a list"
            raise RuleError(
                "CS501",
                f"{what} of {found} meets the axis `{wanted.name}` of {length}",
                label=f"expected {length} elements, found {found}",
                help="turned round it would fit: `transpose(...)`" if _fits_turned(build, operand, taken) else "",
                operand=0,
            )
    if operand.literal is not None:
        return literal(build, operand.literal, operand.type.unit, taken)
    for axis, wanted in zip(operand.written, taken, strict=True):
        renamed = rename(build, renamed, axis.name, wanted)
    return replace(renamed, anonymous=False)


def _own_name(axis: Axis) -> str:
    """What a list's axis is called where it comes from a file; that of a written list has no name of its own."""
    return "" if "~" in axis.name else axis.name


def _fits_turned(build: Builder, operand: Operand, axes: Sequence[Axis]) -> bool:
    """Whether the two axes of a list have the lengths of these axes the other way round."""
    sizes = [axis.size for axis in (*operand.written, *axes)]
    if len(axes) != 2 or not all(size.symbols <= build.sizes.keys() for size in sizes):
        return False
    a, b, first, second = (size.evaluate(build.sizes) for size in sizes)
    return (a, b) == (second, first)


def rename(build: Builder, operand: Operand, old: str, new: Axis) -> Operand:
    """The operand along `new` in the place of `old`, which are of one length."""
    value = operand.value
    if value.type.axis(old).size != new.size:  # a number on one side, a symbol that stands for it on the other
        value = write.gather(build, value, write.iota(build, new), old)
    else:
        value = write.rename(build, value, {old: new.name})
    axes = tuple(new.name if name == old else name for name in operand.axes)
    return replace(operand, value=value, axes=axes)


def meet(build: Builder, *operands: Operand) -> tuple[Operand, ...]:
    """Operands of one elementwise operation made alike: lists take names, `x` meets `x_target`, integers become floats."""
    named = max((o for o in operands if not o.anonymous), key=lambda o: len(o.axes), default=None)
    if named is not None and named.axes:
        axes = named.written
        operands = tuple(_named(build, o, axes, place) if o.anonymous else o for place, o in enumerate(operands))
    elif all(o.anonymous or not o.axes for o in operands):
        lists = [o for o in operands if o.anonymous]
        if len(lists) > 1:
            first = max(lists, key=lambda o: len(o.axes))
            operands = tuple(
                replace(_named(build, o, first.written, place), anonymous=True) if o.anonymous and o is not first else o
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


def _named(build: Builder, operand: Operand, axes: Sequence[Axis], place: int) -> Operand:
    """`name_axes`, with the operand's place in a complaint."""
    try:
        return name_axes(build, operand, axes)
    except RuleError as error:
        error.operand = place
        raise


def _as_target(build: Builder, operand: Operand, matrix: set[str]) -> Operand:
    """A value over `x` beside a matrix [x_target, x_source] is one value a target."""
    for axis in operand.type.axes:
        if f"{axis.name}_target" in matrix and not operand.type.has(f"{axis.name}_target"):
            operand = rename(build, operand, axis.name, Axis(f"{axis.name}_target", axis.size, axis.role))
    return operand


def same_unit(build: Builder, *operands: Operand) -> tuple[Operand, ...]:
    """A literal 0 among the operands takes the unit of the others."""
    unit = next((o.type.unit for o in operands if not o.zero and o.type.dtype == "float"), DIMENSIONLESS)
    if unit == DIMENSIONLESS:
        return operands
    return tuple(literal(build, np.array(0.0), unit) if o.zero else o for o in operands)


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


def negative(build: Builder, x: Operand) -> Operand:
    return elementwise(build, write.neg, x, numbers=np.negative)


def _arithmetic(line: Callable[..., Value], numbers: Callable[..., Array], alike: bool) -> Callable[..., Operand]:
    def lines(build: Builder, a: Operand, b: Operand) -> Operand:
        return elementwise(build, line, a, b, numbers=numbers, alike=alike)

    return lines


def _divide(build: Builder, a: Operand, b: Operand) -> Operand:
    operands = [replace(o, value=write.cast(build, o.value, "float")) if o.type.dtype == "int" else o for o in (a, b)]
    return elementwise(build, write.div, *operands, numbers=np.divide)


def power(build: Builder, base: Operand, exponent: Operand) -> Operand:
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

    def line(build: Builder, x: Value) -> Value:
        return write.pow(build, x, number)

    def numbers(x: Array) -> Array:
        return np.power(x, number)

    return elementwise(build, line, base, numbers=numbers)


def matrix_product(build: Builder, left: Operand, right: Operand) -> Operand:
    """The last written axis of the left against the only one (or the last but one) of the right."""
    for place, operand in enumerate((left, right)):
        if not operand.axes:
            raise RuleError("CS501", "`@` wants a matrix or a vector here", label="found a single value", operand=place)
    inner = left.written[-1]
    facing = right.written[0] if len(right.axes) == 1 else right.written[-2]
    if left.anonymous and not right.anonymous:
        left = name_axes(build, left, [*left.written[:-1], replace(facing)])
        inner = left.written[-1]
    elif right.anonymous:
        rest = right.written[1:] if len(right.axes) == 1 else right.written[-1:]
        right = name_axes(build, right, [*right.written[:-2], inner, *rest] if len(right.axes) > 1 else [inner])
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
            right = rename(build, right, taken.name, build.axis(taken.name, taken.size, taken.role))
        right = rename(build, right, facing.name, replace(facing, name=inner.name))
    for axis in left.written[:-1]:
        if axis.name in right.axes and axis.name != inner.name:
            right = rename(build, right, axis.name, build.axis(axis.name, axis.size, axis.role))
    value = write.contract(build, left.value, right.value, (inner.name,))
    axes = [name for name in (*left.axes[:-1], *right.axes) if name != inner.name]
    result = Operand(value, tuple(dict.fromkeys(axes)))
    stem = result.axes[0].removesuffix("_target") if len(result.axes) == 1 else ""
    if stem and stem != result.axes[0] and not result.type.has(stem):
        result = rename(build, result, result.axes[0], replace(result.type.axis(result.axes[0]), name=stem))
    return result


def list_of(build: Builder, items: Sequence[Operand], scale: float, unit: Unit) -> Operand:
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
            label = f"expected {spell(items[0].written)}, found {spell(item.written)}"
            raise RuleError("CS501", "the items of a list differ in shape", label=label, operand=place)
    if all(item.literal is not None for item in items):
        numbers = np.stack([item.literal for item in items if item.literal is not None]) * scale
        return literal(build, numbers, items[0].type.unit * unit)
    alike = [items[0], *(fit(build, item, items[0].type, items[0].axes) for item in items[1:])]
    axis = build.axis("list", len(items))
    value = write.stack(build, [item.value for item in alike], axis)
    if unit != DIMENSIONLESS or scale != 1:
        value = write.mul(build, value, write.const(build, scale, unit))
    return Operand(value, (axis.name, *alike[0].axes), None, anonymous=not alike[0].axes)


def slice_of(build: Builder, operand: Operand, axis: str, window: Window) -> Operand:
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


def gather(build: Builder, operand: Operand, axis: str, index: Operand) -> Operand:
    """Entries at computed places: `W[order, order]`. The axis keeps its name where the index runs along it."""
    if len(index.axes) != 1:
        raise RuleError("CS501", "an index is a number, a range or a list of places", operand=1)
    places = index.value if index.type.dtype == "int" else write.cast(build, index.value, "int")
    along = index.axes[0]
    inside = build.axis(along, index.type.axis(along).size).name
    value = write.gather(build, operand.value, write.rename(build, places, {along: inside}), axis)
    if along == axis.removesuffix("_target").removesuffix("_source"):
        name = axis
    else:
        name = inside if value.type.has(along) else along
    value = write.rename(build, value, {inside: name})
    return Operand(value, tuple(name if written == axis else written for written in operand.axes))


def spell(axes: Sequence[Axis]) -> str:
    return "[" + ", ".join(axis.name for axis in axes) + "]" if axes else "a single value"


OPERATORS: dict[str, Callable[..., Operand]] = {
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
