"""Built-in functions of the expression language: each writes operations of the IR, whose rules are its type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np

from cortexspec.contracts.operand import Array, Operand, after
from cortexspec.contracts.operators import elementwise, meet, same_unit
from cortexspec.contracts.operators import rename as _rename
from cortexspec.contracts.plugin import FunctionEntry, Keys
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError

Settings = Mapping[str, Any]
Operands = Sequence[Operand]


def _pure(name: str, line: Callable[..., Value], numbers: Callable[..., Any], doc: str) -> FunctionEntry:
    """A function of one number."""

    def lines(build: Builder, arguments: Operands, settings: Settings) -> Operand:
        return elementwise(build, line, _as_float(build, arguments[0]), numbers=numbers)

    return FunctionEntry(name, lines, doc=doc)


def _as_float(build: Builder, x: Operand) -> Operand:
    if x.type.dtype in ("int", "bool"):
        return replace(x, value=write.cast(build, x.value, "float"))
    return x


def _where(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    condition, a, b = arguments
    try:
        a, b = same_unit(build, a, b)
        condition, a, b = meet(build, condition, a, b)
    except RuleError as error:
        error.operand = 1 if error.operand is None else error.operand + 1
        raise
    return after(write.where(build, condition.value, a.value, b.value), condition, a, b)


# Reductions: `over` holds the names of the axes.


def _extreme(
    pair: Callable[..., Value], along: Callable[..., Value], numbers: Callable[..., Any], reduced: Callable[..., Any]
) -> Callable[..., Operand]:
    def lines(build: Builder, arguments: Operands, settings: Settings) -> Operand:
        if len(arguments) == 2:
            return elementwise(build, pair, *arguments, numbers=numbers, alike=True)
        (x,) = arguments
        return _reduced(x, along(build, x.value, settings["over"]), settings, reduced)

    return lines


def _reduced(x: Operand, value: Value, settings: Settings, numbers: Callable[..., Any] | None = None) -> Operand:
    """The operand without the axes `over`; a literal stays one."""
    literal: Array | None = None
    if numbers is not None and x.literal is not None:
        literal = np.asarray(numbers(x.literal, axis=tuple(x.axes.index(name) for name in settings["over"])))
    return replace(after(value, x), literal=literal)


def _sum(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    x = arguments[0]
    value = write.sum_(build, x.value, settings["over"])
    return _reduced(x, write.cast(build, value, "float") if x.type.dtype == "bool" else value, settings, np.sum)


def _mean(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    return _reduced(arguments[0], write.mean(build, arguments[0].value, settings["over"]), settings, np.mean)


def _variance(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The mean square distance from the mean (divided by n)."""
    x = _as_float(build, arguments[0])
    centred = write.sub(build, x.value, write.mean(build, x.value, settings["over"]))
    return _reduced(x, write.mean(build, write.pow(build, centred, 2), settings["over"]), settings, np.var)


def _deviation(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    variance = _variance(build, arguments, settings)
    literal = None if variance.literal is None else np.sqrt(variance.literal)
    return replace(variance, value=write.sqrt(build, variance.value), literal=literal)


def _count(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The number of elements; of truth values, of those that are true."""
    x = arguments[0]
    if x.type.dtype == "bool":
        return _sum(build, arguments, settings)
    total = write.const(build, 1.0)
    for name in settings["over"]:
        total = write.mul(build, total, write.size_of(build, x.type.axis(name)))
    return Operand(total, (), None if x.literal is None else np.array(float(x.literal.size)))


def _axis_size(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The number of elements along an axis that a size symbol stands for, known when sizes are bound."""
    symbol = str(settings["symbol"])
    return Operand(write.size_of(build, Axis(symbol, Size.symbol(symbol))))


def _quantifier(line: Callable[..., Value]) -> Callable[..., Operand]:
    def lines(build: Builder, arguments: Operands, settings: Settings) -> Operand:
        x = arguments[0]
        return after(line(build, x.value, settings["over"]), x)

    return lines


def _extreme_place(sign: int) -> Callable[..., Operand]:
    def lines(build: Builder, arguments: Operands, settings: Settings) -> Operand:
        x = arguments[0]
        axis = _last_axis(x, settings)
        value = x.value if sign > 0 else write.neg(build, x.value)
        return after(write.argmax(build, value, axis), x)

    return lines


def _last_axis(x: Operand, settings: Settings) -> str:
    """The axis named `over` or, without one, the last that is written: the classes of logits."""
    if "over" in settings:
        return settings["over"][0]
    if not x.axes:
        raise RuleError("CS501", "this goes along an axis, and the value has none", operand=0)
    return x.axes[-1]


# Order


def _sort(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The elements in rising order along the axis, with `descending` in falling order; equal ones keep their places."""
    (x,) = arguments
    axis = _last_axis(x, settings)
    key = write.neg(build, x.value) if settings.get("descending", False) else x.value
    return after(write.gather(build, x.value, write.argsort(build, key, axis), axis), x)


def _shuffled(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The elements in a drawn order along the axis: one order for all, or with `together = false` one for each row."""
    (x,) = arguments
    axis = _last_axis(x, settings)
    site, keys = str(settings["site"]), cast("Keys", settings["keys"])
    if keys.seed is None:
        raise RuleError("CS700", f"a draw at this place ({site}) is not supported yet")
    key = (keys.seed, keys.trial, keys.step)
    if settings.get("together", True):
        order = write.permutation(build, site, x.type.axis(axis), *key)
    else:
        order = write.argsort(build, write.uniform(build, site, x.written, *key), axis)
    return after(write.gather(build, x.value, order, axis), x)


def _redrawn(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Elements that are not 0 drawn with replacement from among themselves; zeros stay where they are."""
    (x,) = arguments
    site, keys = str(settings["site"]), cast("Keys", settings["keys"])
    if keys.seed is None:
        raise RuleError("CS700", f"a draw at this place ({site}) is not supported yet")
    zero = write.const(build, 0.0, x.type.unit)
    there = write.ne(build, x.value, zero)
    flat = _flat_value(
        build, replace(x, value=write.where(build, there, write.const(build, 0.0), write.const(build, 1.0)))
    )
    values = _flat_value(build, x)
    (axis,) = values.axes
    names = {flat.axes[0]: axis}
    first = write.argsort(
        build, write.rename(build, flat.value, names), axis
    )  # those that are not 0, in their order, come first
    pool = write.gather(build, values.value, first, axis)
    count = write.sum_(build, write.cast(build, there, "float"), x.axes)
    share = write.uniform(build, site, x.written, keys.seed, keys.trial, keys.step)
    place = write.cast(build, write.floor(build, write.mul(build, share, count)), "int")
    drawn = write.gather(build, pool, place, axis)
    return Operand(write.where(build, there, drawn, zero), x.axes)


def _flat_value(build: Builder, x: Operand) -> Operand:
    """All written axes as one, under a name of its own."""
    size = Size.of(1)
    for axis in x.written:
        size = size * axis.size
    axis = build.axis("flat", size)
    return Operand(write.merge(build, x.value, x.axes, axis), (axis.name,))


def _median(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The middle element; of an even number the mean of the two in the middle."""
    return _quantile(build, arguments, {**settings, "share": 0.5})


def _quantile(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Of n elements in rising order the one at place share*(n - 1), counted from 0; between two places on the line between them.

    What is no number is left out: it is sorted behind all others.
    """
    if "share" not in settings:
        raise RuleError("CS301", "a quantile is of a share of the elements: `quantile(x, 0.9)`", operand=0)
    x, over, share = _as_float(build, arguments[0]), tuple(settings["over"]), float(settings["share"])
    if not 0 <= share <= 1:
        raise RuleError("CS512", f"a quantile is of a share in [0, 1], and this is {share:g}", operand=0)
    if not over:
        return x
    value, size = x.value, Size.of(1)
    for name in over:
        size = size * x.type.axis(name).size
    axis = x.type.axis(over[0]) if len(over) == 1 else build.axis("flat", size)
    if len(over) > 1:
        value = write.merge(build, value, over, axis)
    order = write.argsort(build, value, axis.name)
    count = write.sum_(build, write.cast(build, write.eq(build, value, value), "int"), [axis.name])
    last = write.maximum(build, write.sub(build, count, write.integer(build, 1)), write.integer(build, 0))
    place = write.scale(build, write.cast(build, last, "float"), share)
    below = write.floor(build, place)

    def at(whole: Value) -> Value:
        # The largest integers are rounded up in single precision.
        there = write.minimum(build, write.cast(build, whole, "int"), last)
        return write.gather(build, value, write.gather(build, order, there, axis.name), axis.name)

    low = at(below)
    rest = write.sub(build, place, below)
    step = write.mul(build, write.sub(build, at(write.ceil(build, place)), low), rest)
    # At a place itself nothing is added, whose difference may be that of infinite values.
    between = write.gt(build, rest, write.zero_like(build, rest))
    found = write.where(build, between, write.add(build, low, step), low)
    return _reduced(x, found, settings, partial(np.nanquantile, q=share))


# Shape


def _join(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """End to end along the axis in which the arguments differ; along the first where they do not differ."""
    operands = same_unit(build, *arguments)
    for place, x in enumerate(operands):
        if len(x.axes) != len(operands[0].axes) or not x.axes:
            raise RuleError("CS501", "cat joins arrays with the same number of axes", operand=place)
    first = operands[0]
    if "axis" in settings:
        place = first.axes.index(settings["axis"][0])
    else:
        differing = [i for i in range(len(first.axes)) if len({x.axes[i] for x in operands}) > 1]
        place = differing[0] if len(differing) == 1 else 0
    total = Size.of(0)
    for x in operands:
        total = total + x.written[place].size
    axis = build.axis("cat", total)
    parts = [x.axes[place] for x in operands]
    renamed = [_rest_like(build, x, first, place) for x in operands]
    value = write.concat(build, renamed, parts, axis)
    return Operand(value, (*first.axes[:place], axis.name, *first.axes[place + 1 :]))


def _rest_like(build: Builder, x: Operand, first: Operand, place: int) -> Value:
    """The other axes named as those of the first argument, by position."""
    pairs = [(a, b) for i, (a, b) in enumerate(zip(x.axes, first.axes, strict=True)) if i != place]
    return write.rename(build, x.value, dict(pairs))


def _flatten(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """All written axes as one, the last fastest."""
    (x,) = arguments
    if len(x.axes) <= 1:
        return x
    size = Size.of(1)
    for axis in x.written:
        size = size * axis.size
    axis = build.axis("flat", size)
    return Operand(write.merge(build, x.value, x.axes, axis), (axis.name,))


def _reshape(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The same elements in written order along new axes."""
    flat = _flatten(build, arguments, settings)
    sizes = _numbers(settings["shape"])
    whole = flat.type.axis(flat.axes[0]).size
    shares = _shares(whole, sizes)
    total = Size.of(1)
    for share in shares:
        total = total * share
    if total != whole and _as_many(
        build, total, whole
    ):  # numbers on one side, symbols that stand for them on the other
        flat = _rename(build, flat, flat.axes[0], build.axis("flat", total))
    axes = [build.axis("axis", size) for size in shares]
    value = write.split(build, flat.value, flat.axes[0], axes)
    return Operand(value, tuple(axis.name for axis in axes))


def _shares(whole: Size, sizes: Sequence[int]) -> list[Size]:
    """The sizes of the axes that an axis is split into; where the whole is bound later, so is the one that takes the rest."""
    known = [Size.of(size) for size in sizes]
    if whole.fixed is not None:
        return known
    for place, size in enumerate(sizes):
        others = math.prod(sizes) // size if size else 0
        if others and all(factor % others == 0 for _, factor in whole.terms):
            known[place] = Size(tuple((monomial, factor // others) for monomial, factor in whole.terms))
            break
    return known


def _numbers(setting: Any) -> tuple[int, ...]:
    """A list of whole numbers, or one of them."""
    items = cast("tuple[Any, ...]", setting) if isinstance(setting, tuple) else (setting,)
    return tuple(int(item) for item in items)


def _transpose(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The written order of two axes turned round; a matrix [x_target, x_source] turns into its mirror image."""
    (x,) = arguments
    if len(x.axes) != 2:
        raise RuleError("CS501", "transpose wants a matrix", operand=0)
    a, b = x.written
    if a.size == b.size:
        return Operand(write.rename(build, x.value, {a.name: b.name, b.name: a.name}), x.axes)
    return Operand(x.value, (b.name, a.name))


def _dot(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The sum of products over the axes of the shorter argument."""
    a, b = meet(build, *arguments)
    over = list(a.axes if len(a.axes) <= len(b.axes) else b.axes)
    if not over:
        raise RuleError("CS501", "dot wants vectors", operand=0)
    longer, shorter = (b, a) if len(a.axes) <= len(b.axes) else (a, b)
    facing = longer.axes[len(longer.axes) - len(over) :]
    value = write.rename(build, longer.value, dict(zip(facing, over, strict=True)))
    product = write.contract(build, shorter.value, value, over)
    return after(product, longer, shorter)


def _square(x: Operand, what: str) -> tuple[Axis, Axis]:
    """Row and column axis. Raises: RuleError unless x is a square matrix."""
    if len(x.axes) != 2 or x.written[0].size != x.written[1].size:
        raise RuleError("CS501", f"{what} wants a square matrix [target, source]", operand=0)
    return x.written[0], x.written[1]


def _off_diagonal(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The matrix with zeros on its diagonal."""
    (x,) = arguments
    row, column = _square(x, "off_diagonal")
    same = write.eq(build, write.iota(build, row), write.iota(build, column))
    value = write.where(build, same, write.zero_like(build, x.value), x.value)
    return Operand(value, x.axes)


def _lower_triangle(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Entries with source <= target, with `strict` only source < target; zeros elsewhere."""
    compare = write.lt if settings.get("strict", False) else write.le
    return _triangle(build, arguments, "lower_triangle", compare)


def _upper_triangle(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Entries with source >= target, with `strict` only source > target; zeros elsewhere."""
    compare = write.gt if settings.get("strict", False) else write.ge
    return _triangle(build, arguments, "upper_triangle", compare)


def _triangle(build: Builder, arguments: Operands, name: str, compare: Callable[..., Value]) -> Operand:
    (x,) = arguments
    row, column = _square(x, name)
    kept = compare(build, write.iota(build, column), write.iota(build, row))
    return Operand(write.where(build, kept, x.value, write.zero_like(build, x.value)), x.axes)


def _diagonal(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The matrix with zeros off its diagonal."""
    (x,) = arguments
    row, column = _square(x, "diagonal")
    same = write.eq(build, write.iota(build, row), write.iota(build, column))
    return Operand(write.where(build, same, x.value, write.zero_like(build, x.value)), x.axes)


def _logspace(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """`count` values from low to high with equal ratios."""
    low, high = arguments
    count = int(settings["count"])
    ends = [float(end.literal) for end in (low, high) if end.literal is not None and end.literal.ndim == 0]
    if not all(np.isfinite(end) and end * ends[0] > 0 for end in ends):
        raise RuleError("CS306", "equal ratios lead from one number to another of the same sign; neither is 0")
    axis = build.axis("list", count)
    share = write.scale(build, write.cast(build, write.iota(build, axis), "float"), 1 / max(1, count - 1))
    ratio = write.log(build, write.div(build, high.value, low.value))
    value = write.mul(build, low.value, write.exp(build, write.mul(build, share, ratio)))
    literal: Array | None = None
    if low.literal is not None and high.literal is not None:
        literal = np.geomspace(low.literal, high.literal, count)
    return Operand(value, (axis.name,), literal, anonymous=True)


def _linspace(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """`count` values from low to high with equal differences, on a last axis; both ends are exact, a count of 1 gives low."""
    count = settings["count"]
    if not isinstance(count, int) or count < 1:
        raise RuleError("CS505", "there is a whole number of values, at least 1")
    low, high = same_unit(build, *arguments)
    axis = build.axis("list", count)
    number = write.cast(build, write.iota(build, axis), "float")
    share = write.div(build, number, write.const(build, float(max(1, count - 1))))
    left = write.sub(build, write.const(build, 1.0), share)
    value = write.add(build, write.mul(build, low.value, left), write.mul(build, high.value, share))
    literal: Array | None = None
    if low.literal is not None and high.literal is not None and low.literal.ndim == high.literal.ndim == 0:
        literal = np.linspace(float(low.literal), float(high.literal), count)
    axes = dict.fromkeys((*low.axes, *high.axes))
    return Operand(value, (*axes, axis.name), literal, anonymous=not axes)


def _grid(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Places [n, xyz] on an integer grid of a by b by c steps, z fastest, then x, then y.

    A number n is the slab of two layers (one, where n is odd) that is nearest to a square.
    """
    sizes = _numbers(settings["count"])
    if len(sizes) == 1:
        sizes = _slab(sizes[0])
    if len(sizes) != 3 or min(sizes) < 1:
        raise RuleError("CS505", "a grid has a whole number of places, or the three lengths of its sides")
    a, _, c = sizes
    places = build.axis("place", math.prod(sizes))
    number = write.cast(build, write.iota(build, places), "float")
    layer = write.floor(build, write.scale(build, write.add(build, number, write.const(build, 0.5)), 1 / c))
    row = write.floor(build, write.scale(build, write.add(build, layer, write.const(build, 0.5)), 1 / a))
    z = write.sub(build, number, write.scale(build, layer, float(c)))
    x = write.sub(build, layer, write.scale(build, row, float(a)))
    xyz = build.axis("xyz", 3)
    return Operand(write.stack(build, [x, row, z], xyz), (places.name, xyz.name))


def _slab(count: int) -> tuple[int, int, int]:
    layers = 2 if count % 2 == 0 else 1
    area = count // layers
    side = next((side for side in range(math.isqrt(max(area, 0)), 0, -1) if area % side == 0), 0)
    return (side, area // side if side else 0, layers)


def _min_max(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Scaled so that the smallest element over the axes is 0 and the largest 1: a pure number."""
    (x,) = arguments
    low = write.min_(build, x.value, settings["over"])
    high = write.max_(build, x.value, settings["over"])
    return after(write.div(build, write.sub(build, x.value, low), write.sub(build, high, low)), x)


def _distance(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Of two places [..., xyz]: how far they are apart. Of one array [n, xyz]: the matrix of all distances."""
    if len(arguments) == 2:
        a, b = meet(build, *arguments)
        value = write.pow(build, write.sub(build, a.value, b.value), 2)
        whole = after(value, a, b)
        return after(write.sqrt(build, write.sum_(build, value, [whole.axes[-1]])), whole)
    (x,) = arguments
    if len(x.axes) != 2:
        raise RuleError("CS501", "distance wants places [n, xyz]", operand=0)
    row = Axis(f"{x.axes[0]}_target", x.written[0].size)
    column = Axis(f"{x.axes[0]}_source", x.written[0].size)
    here = write.rename(build, x.value, {x.axes[0]: row.name})
    there = write.rename(build, x.value, {x.axes[0]: column.name})
    square = write.pow(build, write.sub(build, here, there), 2)
    value = write.sqrt(build, write.sum_(build, square, [x.axes[1]]))
    return Operand(value, (row.name, column.name))


# Matrices


def _matrix_exponential(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """I + M + M@M/2 + ..., of a square matrix of pure numbers."""
    (x,) = arguments
    row, column = _square(x, "matrix_exponential")
    return Operand(write.expm(build, x.value, row.name, column.name), x.axes)


def _spectral_radius(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The largest absolute eigenvalue of a matrix; with a second argument the matrix scaled so that it is that."""
    x = arguments[0]
    row, column = _square(x, "spectral_radius")
    from cortexspec.library.spectral import SpectralRadius

    radius = build.one(SpectralRadius(row.name, column.name), x.value)
    if len(arguments) == 1:
        return Operand(radius)
    wanted = arguments[1]
    if wanted.axes:
        raise RuleError("CS501", "a spectral radius is a single number", operand=1)
    return Operand(write.mul(build, x.value, write.div(build, wanted.value, radius)), x.axes)


def _communicability(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """expm(S^-1/2 A S^-1/2) without its diagonal, S the strengths: the sums of what leaves each node of A [target, source] >= 0.

    `offset` is added to every strength; a strength that is 0 then is taken as `floor`, or the node as isolated where that is 0.

    Source: Crofts & Higham 2009, doi:10.1098/rsif.2008.0484; Estrada & Hatano 2008 without weights.
    """
    (x,) = arguments
    row, column = _square(x, "communicability")
    unit = x.type.unit
    strength = write.sum_(build, x.value, [row.name])
    offset, floor = float(settings.get("offset", 0)), float(settings.get("floor", 0))
    if offset:
        strength = write.add(build, strength, write.const(build, offset, unit))
    there = write.gt(build, strength, write.const(build, 0.0, unit))
    # Where a strength is 0 nothing is divided by it, in the slope too.
    some = write.where(build, there, strength, write.const(build, floor or 1.0, unit))
    scale = write.pow(build, some, -0.5)
    if not floor:
        scale = write.where(build, there, scale, write.const(build, 0.0, scale.type.unit))
    by_row = write.rename(build, scale, {column.name: row.name})
    exponent = write.mul(build, write.mul(build, x.value, by_row), scale)
    whole = write.expm(build, exponent, row.name, column.name)
    return _off_diagonal(build, [Operand(whole, x.axes)], {})


def _wasserstein(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The 1-Wasserstein distance of two sets of numbers: the area between their cumulative distributions.

    Of as many numbers, the mean distance of the sorted ones.
    """
    a, b = (_flat_value(build, x) for x in same_unit(build, *arguments))
    first, second = a.written[0], b.written[0]
    if _as_many(build, first.size, second.size):
        b = _rename(build, b, second.name, first)
        highest = [_sort(build, [x], {}).value for x in (a, b)]
        apart = write.abs(build, write.sub(build, *highest))
        return Operand(write.mean(build, apart, [first.name]))
    both = build.axis("both", first.size + second.size)
    values = write.concat(build, [a.value, b.value], [first.name, second.name], both)
    order = write.argsort(build, values, both.name)
    rising = write.gather(build, values, order, both.name)
    weights = [write.reciprocal(build, write.size_of(build, axis)) for axis in (first, second)]
    steps = [
        write.expand(build, w, [axis])
        for w, axis in zip((weights[0], write.neg(build, weights[1])), (first, second), strict=True)
    ]
    step = write.gather(build, write.concat(build, steps, [first.name, second.name], both), order, both.name)
    apart = write.abs(build, write.cumulative_sum(build, step, both.name))
    gap = build.axis("gap", both.size - 1)
    lower, upper, between = (
        write.slice_(build, one, both.name, start, both.size - 1 + start, gap)
        for one, start in ((rising, 0), (rising, 1), (apart, 0))
    )
    return Operand(write.contract(build, between, write.sub(build, upper, lower), [gap.name]))


def _as_many(build: Builder, a: Size, b: Size) -> bool:
    if a.symbols | b.symbols <= build.sizes.keys():
        return a.evaluate(build.sizes) == b.evaluate(build.sizes)
    return a == b


def _pool(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """Means over windows that divide an image [..., height, width] into the given size."""
    (x,) = arguments
    size = _numbers(settings["size"])
    if len(x.axes) < 2 or len(size) != 2:
        raise RuleError("CS501", "adaptive_pool wants an image [..., height, width] and a size `[h, w]`", operand=0)
    height, width = x.axes[-2:]
    out = (build.axis(height, size[0]), build.axis(width, size[1]))
    value = write.adaptive_average_pool2d(build, x.value, height, width, *out)
    return Operand(value, (*x.axes[:-2], out[0].name, out[1].name))


# Losses


def _cross_entropy(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """-log softmax(logits) at the label, along the last axis of the logits; labels are class numbers or shares.

    With `smoothing` s the target is (1 - s) on the label and s spread over all classes.
    """
    logits, label = arguments
    if not logits.axes:
        raise RuleError("CS501", "cross_entropy wants logits with an axis of classes", operand=0)
    classes = logits.written[-1]
    share = label.value
    if not label.type.has(classes.name) and len(label.axes) == len(logits.axes):
        share = write.rename(build, share, {label.axes[-1]: classes.name})
    elif not label.type.has(classes.name):
        number = share if label.type.dtype == "int" else write.cast(build, share, "int")
        hit = write.eq(build, write.iota(build, classes), number)
        share = write.cast(build, hit, "float")
    total = write.logsumexp(build, logits.value, [classes.name])
    loss = write.sub(build, total, write.contract(build, share, logits.value, [classes.name]))
    smoothing = float(settings.get("smoothing", 0))
    if smoothing:
        flat = write.sub(build, total, write.mean(build, logits.value, [classes.name]))
        loss = write.add(build, write.scale(build, loss, 1 - smoothing), write.scale(build, flat, smoothing))
    return after(loss, logits, label)


def _one_hot(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """1 at the class number, 0 elsewhere, along a new axis of `classes`."""
    (x,) = arguments
    axis = build.axis("class", int(settings["classes"]))
    hit = write.eq(build, write.iota(build, axis), write.cast(build, x.value, "int"))
    return Operand(write.cast(build, hit, "float"), (*x.axes, axis.name))


def _softmax(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """exp(x)/sum(exp(x)) along an axis: the last, or the one given."""
    (x,) = arguments
    axis = _last_axis(x, settings)
    return after(write.exp(build, write.sub(build, x.value, write.logsumexp(build, x.value, [axis]))), x)


def _logsumexp(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    return after(write.logsumexp(build, arguments[0].value, settings["over"]), arguments[0])


# Tuning to a feature, an angle.


def _harmonic(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The mean of x cos(n*feature) over all written axes."""
    x, number = arguments
    angle = elementwise(build, write.mul, number, _feature(settings), numbers=np.multiply)
    wave = elementwise(build, write.cos, angle, numbers=np.cos)
    product = elementwise(build, write.mul, x, wave, numbers=np.multiply)
    return _mean(build, (product,), {"over": product.axes})


def _feature(settings: Settings) -> Operand:
    if "feature" not in settings:
        raise RuleError("CS301", "a harmonic is over a feature", help="write `harmonic(r, 1, feature = E.φ)`")
    return cast(Operand, settings["feature"])


def _selectivity(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    """The length of sum(x exp(i feature)) over sum(x)."""
    x, over = arguments[0], tuple(settings["over"])
    angle = settings["feature"] if "feature" in settings else _even_angles(build, x, over)
    parts: list[Operand] = []
    for line, numbers in ((write.cos, np.cos), (write.sin, np.sin)):
        wave = elementwise(build, line, angle, numbers=numbers)
        total = _sum(build, (elementwise(build, write.mul, x, wave, numbers=np.multiply),), {"over": over})
        parts.append(elementwise(build, write.mul, total, total, numbers=np.multiply))
    length = elementwise(build, write.sqrt, elementwise(build, write.add, *parts, numbers=np.add), numbers=np.sqrt)
    return elementwise(build, write.div, length, _sum(build, (x,), {"over": over}), numbers=np.divide)


def _even_angles(build: Builder, x: Operand, over: Sequence[str]) -> Operand:
    """2 pi k/n along the one axis that is summed."""
    if len(over) != 1:
        message = "without a feature, one axis has the directions, evenly spread"
        raise RuleError("CS501", message, help="write `over = E`, or `feature = E.φ`")
    axis = x.type.axis(over[0])
    place = write.cast(build, write.iota(build, axis), "float")
    turn = write.div(build, write.const(build, 2 * math.pi), write.size_of(build, axis))
    return Operand(write.mul(build, place, turn), (axis.name,))


def _circular_variance(build: Builder, arguments: Operands, settings: Settings) -> Operand:
    one = Operand(write.const(build, 1.0), literal=np.asarray(1.0))
    return elementwise(build, write.sub, one, _selectivity(build, arguments, settings), numbers=np.subtract)


def _sigmoid_of(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softplus_of(x: Array) -> Array:
    return np.logaddexp(0, x)


def _silu(build: Builder, x: Value) -> Value:
    return write.mul(build, x, write.sigmoid(build, x))


def _silu_of(x: Array) -> Array:
    return x * _sigmoid_of(x)


def _bessel_i0(build: Builder, x: Value) -> Value:
    """The mean of exp(x*cos(angle)) over a turn, at 128 angles: exact to rounding for |x| < 60 (the next term is I_128(x))."""
    around = build.axis("angle", 128)
    turn = write.scale(build, write.cast(build, write.iota(build, around), "float"), 2 * math.pi / 128)
    return write.mean(build, write.exp(build, write.mul(build, x, write.cos(build, turn))), [around.name])


def _relu_of(x: Array) -> Array:
    return np.maximum(x, 0)


_REDUCE = ("over", "by")

FUNCTIONS: tuple[FunctionEntry, ...] = (
    _pure("exp", write.exp, np.exp, "e to the power x; x is a pure number"),
    _pure("expm1", write.expm1, np.expm1, "exp(x) - 1 without loss near 0"),
    _pure("log", write.log, np.log, "natural logarithm of a pure number"),
    _pure("log1p", write.log1p, np.log1p, "log(1 + x) without loss near 0"),
    _pure("tanh", write.tanh, np.tanh, "hyperbolic tangent of a pure number"),
    _pure("sigmoid", write.sigmoid, _sigmoid_of, "1/(1 + exp(-x)); x is a pure number"),
    _pure("softplus", write.softplus, _softplus_of, "log(1 + exp(x))"),
    _pure("relu", write.relu, _relu_of, "max(x, 0); keeps the unit"),
    _pure("bessel_i0", _bessel_i0, np.i0, "the modified Bessel function of the first kind and order 0"),
    _pure("silu", _silu, _silu_of, "x*sigmoid(x); x is a pure number"),
    _pure("sqrt", write.sqrt, np.sqrt, "square root, of the unit too"),
    _pure("sin", write.sin, np.sin, "sine"),
    _pure("cos", write.cos, np.cos, "cosine"),
    _pure("abs", write.abs, np.abs, "|x|; keeps the unit"),
    _pure("sign", write.sign, np.sign, "-1, 0 or 1"),
    _pure("floor", write.floor, np.floor, "the largest whole number not above x"),
    _pure("ceil", write.ceil, np.ceil, "the smallest whole number not below x"),
    _pure("round", write.round, np.round, "the nearest whole number, halves to the even one"),
    FunctionEntry("where", _where, (3, 3), doc="a where the condition holds, else b"),
    FunctionEntry(
        "min",
        _extreme(write.minimum, write.min_, np.minimum, np.min),
        (1, 2),
        _REDUCE,
        doc="of two values the smaller; of one, its smallest element",
    ),
    FunctionEntry(
        "max",
        _extreme(write.maximum, write.max_, np.maximum, np.max),
        (1, 2),
        _REDUCE,
        doc="of two values the larger; of one, its largest element",
    ),
    FunctionEntry("sum", _sum, (1, 1), _REDUCE, doc="the sum over all axes, over `over`, or over all but `by`"),
    FunctionEntry("mean", _mean, (1, 1), _REDUCE, doc="the mean; of truth values the fraction that holds"),
    FunctionEntry("var", _variance, (1, 1), _REDUCE, doc="the mean square distance from the mean"),
    FunctionEntry("std", _deviation, (1, 1), _REDUCE, doc="the square root of `var`"),
    FunctionEntry("median", _median, (1, 1), _REDUCE, doc="the middle element, or the mean of the two in the middle"),
    FunctionEntry(
        "quantile", _quantile, (1, 1), _REDUCE, ("share",), doc="below which so great a share of the elements is"
    ),
    FunctionEntry("count", _count, (1, 1), _REDUCE, doc="how many elements there are, or are true"),
    FunctionEntry("axis_size", _axis_size, (0, 0), static=("symbol",), doc="the size that a size symbol stands for"),
    FunctionEntry("any", _quantifier(write.any_), (1, 1), _REDUCE, doc="whether some element is true"),
    FunctionEntry("all", _quantifier(write.all_), (1, 1), _REDUCE, doc="whether every element is true"),
    FunctionEntry(
        "harmonic",
        _harmonic,
        (2, 2),
        ("feature",),
        doc="the mean of x cos(n φ) over everything, φ the feature",
        values=("feature",),
    ),
    FunctionEntry(
        "selectivity",
        _selectivity,
        (1, 1),
        (*_REDUCE, "feature"),
        doc="the length of the mean direction, weighted by x; directions are the feature, or spread evenly along `over`",
        values=("feature",),
    ),
    FunctionEntry(
        "circular_variance",
        _circular_variance,
        (1, 1),
        (*_REDUCE, "feature"),
        doc="1 - selectivity",
        values=("feature",),
    ),
    FunctionEntry("logsumexp", _logsumexp, (1, 1), _REDUCE, doc="log(sum(exp(x))) without overflow"),
    FunctionEntry(
        "argmax", _extreme_place(1), (1, 1), ("over",), doc="the place of the largest element along the last axis"
    ),
    FunctionEntry(
        "argmin", _extreme_place(-1), (1, 1), ("over",), doc="the place of the smallest element along the last axis"
    ),
    FunctionEntry("softmax", _softmax, (1, 1), ("over",), doc="exp(x)/sum(exp(x)) along the last axis"),
    FunctionEntry(
        "cat", _join, (1, None), ("axis",), doc="end to end along the axis in which the arguments differ, or the first"
    ),
    FunctionEntry("sort", _sort, settings=("over", "descending"), doc="the elements in rising order, or descending"),
    FunctionEntry(
        "shuffled", _shuffled, settings=("over", "together"), doc="the elements in a drawn order", draws=True
    ),
    FunctionEntry("flatten", _flatten, doc="all axes as one, the last fastest"),
    FunctionEntry("reshape", _reshape, static=("shape",), doc="the same elements along axes of the given sizes"),
    FunctionEntry("transpose", _transpose, doc="a matrix turned over its diagonal"),
    FunctionEntry("dot", _dot, (2, 2), doc="the sum of products along the last axis"),
    FunctionEntry("distance", _distance, (1, 2), doc="Euclidean distance of two places, or of all pairs of one array"),
    FunctionEntry("minmax", _min_max, (1, 1), _REDUCE, doc="scaled to 0 to 1"),
    FunctionEntry(
        "grid_of", _grid, (0, 0), static=("count",), doc="places on an integer grid: `grid_of(n)`, `grid_of([a, b, c])`"
    ),
    FunctionEntry(
        "matrix_exponential", _matrix_exponential, doc="I + M + M@M/2 + ..., of a square matrix of pure numbers"
    ),
    FunctionEntry(
        "spectral_radius",
        _spectral_radius,
        (1, 2),
        doc="the largest |eigenvalue|; `spectral_radius(M, r)`: M scaled to r",
    ),
    FunctionEntry(
        "communicability",
        _communicability,
        settings=("floor", "offset"),
        doc="expm(S^-1/2 A S^-1/2) without its diagonal, S the strengths of A [target, source]",
    ),
    FunctionEntry(
        "wasserstein", _wasserstein, (2, 2), doc="the area between the cumulative distributions of two sets of numbers"
    ),
    FunctionEntry(
        "redrawn",
        _redrawn,
        doc="elements that are not 0 drawn anew from among themselves, with replacement",
        draws=True,
    ),
    FunctionEntry("off_diagonal", _off_diagonal, doc="the matrix with zeros on its diagonal"),
    FunctionEntry("lower_triangle", _lower_triangle, settings=("strict",), doc="entries with source <= target, else 0"),
    FunctionEntry("upper_triangle", _upper_triangle, settings=("strict",), doc="entries with source >= target, else 0"),
    FunctionEntry("diagonal", _diagonal, doc="the matrix with zeros off its diagonal"),
    FunctionEntry(
        "linspace", _linspace, (2, 2), static=("count",), doc="values with equal differences from low to high"
    ),
    FunctionEntry("logspace", _logspace, (2, 2), static=("count",), doc="values with equal ratios from low to high"),
    FunctionEntry("one_hot", _one_hot, static=("classes",), doc="1 at the class number, else 0"),
    FunctionEntry("cross_entropy", _cross_entropy, (2, 2), ("smoothing",), doc="-log softmax(logits) at the label"),
    FunctionEntry("adaptive_pool", _pool, static=("size",), doc="mean over windows that divide an image into [h, w]"),
)
