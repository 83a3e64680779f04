"""Free functions that write one or a few lines: `add(build, a, b)`, `contract(build, a, b, over)`.

Where an operation of the IR is strict (its operands must have an axis, a dtype), the function here first writes what is
missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import arith, constant, events, indexing, linear, random, reduce, shape
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Dtype, Type
from cortexspec.units import DIMENSIONLESS, Unit

Axes = Iterable[Axis | str]


def _names(axes: Axes) -> list[str]:
    return [axis if isinstance(axis, str) else axis.name for axis in axes]


# Constants


def const(build: Builder, value: float, unit: Unit = DIMENSIONLESS, hint: str = "") -> Value:
    return build.one(constant.Const(float(value), "float", unit), hint=hint)


def integer(build: Builder, value: int) -> Value:
    return build.one(constant.Const(int(value), "int"))


def boolean(build: Builder, value: bool) -> Value:
    return build.one(constant.Const(bool(value), "bool"))


def table(build: Builder, values: Sequence[float], axes: Sequence[Axis], unit: Unit = DIMENSIONLESS) -> Value:
    """Numbers along axes, the last of `axes` fastest."""
    return build.one(constant.Table(tuple(float(value) for value in values), tuple(axes), "float", unit))


def zero_like(build: Builder, x: Value) -> Value:
    """A zero without axes, of the dtype and unit of x."""
    zero = {"float": 0.0, "int": 0, "bool": False, "bits": 0}[x.type.dtype]
    return build.one(constant.Const(zero, x.type.dtype, x.type.unit))


def zeros(build: Builder, type_: Type) -> Value:
    """Zeros with every axis of the type."""
    zero = {"float": 0.0, "int": 0, "bool": False, "bits": 0}[type_.dtype]
    return expand(build, build.one(constant.Const(zero, type_.dtype, type_.unit)), type_.axes)


def full(build: Builder, value: float, type_: Type) -> Value:
    """The number at every place of the type's axes, in its unit."""
    return expand(build, const(build, value, type_.unit), type_.axes)


def iota(build: Builder, axis: Axis) -> Value:
    return build.one(constant.Iota(axis))


def identity(build: Builder, row: Axis, column: Axis) -> Value:
    return build.one(constant.Identity(row, column))


def size_of(build: Builder, axis: Axis) -> Value:
    return build.one(constant.SizeOf(axis))


# Elementwise


def add(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Add(), a, b)


def sub(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Sub(), a, b)


def mul(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Mul(), a, b)


def div(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Div(), a, b)


def floor_div(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.FloorDiv(), a, b)


def mod(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Mod(), a, b)


def neg(build: Builder, x: Value) -> Value:
    return build.one(arith.Neg(), x)


def scale(build: Builder, x: Value, factor: float) -> Value:
    """x times a written pure number."""
    return mul(build, x, const(build, factor))


def reciprocal(build: Builder, x: Value) -> Value:
    return div(build, const(build, 1.0), x)


def pow(build: Builder, x: Value, exponent: float) -> Value:
    """x to a written power; the powers 1 and 0 cost nothing."""
    if exponent == 1:
        return x
    return build.one(arith.Pow(float(exponent)), x)


def power(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Power(), a, b)


def exp(build: Builder, x: Value) -> Value:
    return build.one(arith.Exp(), x)


def expm1(build: Builder, x: Value) -> Value:
    return build.one(arith.Expm1(), x)


def log(build: Builder, x: Value) -> Value:
    return build.one(arith.Log(), x)


def log1p(build: Builder, x: Value) -> Value:
    return build.one(arith.Log1p(), x)


def tanh(build: Builder, x: Value) -> Value:
    return build.one(arith.Tanh(), x)


def sigmoid(build: Builder, x: Value) -> Value:
    return build.one(arith.Sigmoid(), x)


def relu(build: Builder, x: Value) -> Value:
    return build.one(arith.Relu(), x)


def softplus(build: Builder, x: Value) -> Value:
    return build.one(arith.Softplus(), x)


def sqrt(build: Builder, x: Value) -> Value:
    return build.one(arith.Sqrt(), x)


def sin(build: Builder, x: Value) -> Value:
    return build.one(arith.Sin(), x)


def cos(build: Builder, x: Value) -> Value:
    return build.one(arith.Cos(), x)


def abs(build: Builder, x: Value) -> Value:
    return build.one(arith.Abs(), x)


def sign(build: Builder, x: Value) -> Value:
    return build.one(arith.Sign(), x)


def floor(build: Builder, x: Value) -> Value:
    return build.one(arith.Floor(), x)


def ceil(build: Builder, x: Value) -> Value:
    return build.one(arith.Ceil(), x)


def round(build: Builder, x: Value) -> Value:
    return build.one(arith.Round(), x)


def minimum(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Min(), a, b)


def maximum(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Max(), a, b)


def lt(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Lt(), a, b)


def le(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Le(), a, b)


def gt(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Gt(), a, b)


def ge(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Ge(), a, b)


def eq(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Eq(), a, b)


def ne(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Ne(), a, b)


def and_(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.And(), a, b)


def or_(build: Builder, a: Value, b: Value) -> Value:
    return build.one(arith.Or(), a, b)


def not_(build: Builder, a: Value) -> Value:
    return build.one(arith.Not(), a)


def where(build: Builder, condition: Value, a: Value, b: Value) -> Value:
    return build.one(arith.Where(), condition, a, b)


def cast(build: Builder, x: Value, dtype: Dtype) -> Value:
    """x itself where it has the dtype."""
    return x if x.type.dtype == dtype else build.one(arith.Cast(dtype), x)


# Shape


def rename(build: Builder, x: Value, mapping: Mapping[str, str]) -> Value:
    """Old axis names to new ones; names that stay cost nothing."""
    changed = tuple((old, new) for old, new in mapping.items() if old != new)
    return build.one(shape.Rename(changed), x) if changed else x


def merge(build: Builder, x: Value, axes: Axes, axis: Axis) -> Value:
    """Several axes of x as one, the last fastest."""
    return build.one(shape.Merge(tuple(_names(axes)), axis), x)


def split(build: Builder, x: Value, axis: str, axes: Sequence[Axis]) -> Value:
    return build.one(shape.Split(axis, tuple(axes)), x)


def concat(build: Builder, values: Sequence[Value], parts: Sequence[str], axis: Axis) -> Value:
    """The values end to end along the new axis; `parts` names each one's own axis. Missing axes are expanded."""
    rest = {a.name: a for x, part in zip(values, parts, strict=True) for a in x.type.without([part])}
    whole = [expand(build, x, [a for a in rest.values() if not x.type.has(a.name)]) for x in values]
    return build.one(shape.Concat(tuple(parts), axis), *whole)


def stack(build: Builder, values: Sequence[Value], axis: Axis) -> Value:
    """Values side by side along the new axis, one place each."""
    ones = [build.axis(axis.name, 1) for _ in values]
    columns = [expand(build, x, [one]) for x, one in zip(values, ones, strict=True)]
    return concat(build, columns, [one.name for one in ones], axis)


def slice_(build: Builder, x: Value, axis: str, start: Size | int, stop: Size | int, result: Axis | str) -> Value:
    """The places start <= i < stop; `result` is the new axis, or its name."""
    first, last = Size.of(start), Size.of(stop)
    along = result if isinstance(result, Axis) else Axis(result, last - first, x.type.axis(axis).role)
    return build.one(shape.Slice(axis, first, last, along), x)


def pad(build: Builder, x: Value, axis: str, before: Size | int, after: Size | int, result: Axis) -> Value:
    """Zeros before and after along the axis, which becomes `result`."""
    return build.one(shape.Pad(axis, Size.of(before), Size.of(after), result), x)


def index(build: Builder, x: Value, axis: str, place: Size | int) -> Value:
    """One place of an axis; a negative integer counts from the end."""
    where_ = Size.of(place)
    if isinstance(place, int) and place < 0:
        where_ = x.type.axis(axis).size + place
    return build.one(shape.Index(axis, where_), x)


def expand(build: Builder, x: Value, axes: Iterable[Axis]) -> Value:
    """The same values at every place of further axes; x itself where there are none."""
    added = tuple(axes)
    return build.one(shape.Expand(added), x) if added else x


def diagonal(build: Builder, x: Value, row: str, column: str, result: Axis) -> Value:
    return build.one(shape.Diagonal(row, column, result), x)


def flip(build: Builder, x: Value, axis: str) -> Value:
    return build.one(shape.Flip(axis), x)


# Reductions


def sum_(build: Builder, x: Value, over: Axes) -> Value:
    """The sum over the axes; truth values are counted. x itself where there are none."""
    names = tuple(_names(over))
    if not names:
        return x
    return build.one(reduce.Sum(names), cast(build, x, "int") if x.type.dtype == "bool" else x)


def mean(build: Builder, x: Value, over: Axes) -> Value:
    """The mean over the axes; of truth values, the fraction that is true."""
    names = tuple(_names(over))
    x = cast(build, x, "float")
    return build.one(reduce.Mean(names), x) if names else x


def max_(build: Builder, x: Value, over: Axes) -> Value:
    names = tuple(_names(over))
    return build.one(reduce.ReduceMax(names), x) if names else x


def min_(build: Builder, x: Value, over: Axes) -> Value:
    names = tuple(_names(over))
    return build.one(reduce.ReduceMin(names), x) if names else x


def logsumexp(build: Builder, x: Value, over: Axes) -> Value:
    return build.one(reduce.LogSumExp(tuple(_names(over))), x)


def argmax(build: Builder, x: Value, axis: Axis | str) -> Value:
    return build.one(reduce.ArgMax(tuple(_names([axis]))), x)


def any_(build: Builder, x: Value, over: Axes) -> Value:
    names = tuple(_names(over))
    return build.one(reduce.Any(names), x) if names else x


def all_(build: Builder, x: Value, over: Axes) -> Value:
    names = tuple(_names(over))
    return build.one(reduce.All(names), x) if names else x


def cumulative_sum(build: Builder, x: Value, axis: str) -> Value:
    return build.one(reduce.CumulativeSum(axis), x)


def argsort(build: Builder, x: Value, axis: str) -> Value:
    """The places that put x into rising order along the axis."""
    return build.one(reduce.ArgSort(axis), x)


def sum_to(build: Builder, x: Value, axes: Axes) -> Value:
    """x summed over every axis that is not among `axes`."""
    kept = set(_names(axes))
    return sum_(build, x, [axis for axis in x.type.axes if axis.name not in kept])


def fit(build: Builder, x: Value, axes: Iterable[Axis]) -> Value:
    """x with exactly these axes: others are summed away, missing ones expanded."""
    wanted = tuple(axes)
    x = sum_to(build, x, wanted)
    return expand(build, x, [axis for axis in wanted if not x.type.has(axis.name)])


# Linear


def contract(build: Builder, a: Value, b: Value, over: Axes) -> Value:
    """The sum over `over` of a*b. An axis that only one of them has is summed there first."""
    names = _names(over)
    only_a = [name for name in names if a.type.has(name) and not b.type.has(name)]
    only_b = [name for name in names if b.type.has(name) and not a.type.has(name)]
    both = tuple(name for name in names if name not in (*only_a, *only_b))
    return build.one(linear.Contract(both), sum_(build, a, only_a), sum_(build, b, only_b))


def sparse_product(build: Builder, weight: Value, index: Value, x: Value, over: str, axis: str) -> Value:
    """The sum over `over` of weight*x[index], where index and weight are tables [row, over] and x is read along `axis`."""
    return build.one(linear.SparseProduct(over, axis), weight, index, x)


def deliver(
    build: Builder,
    z: Value,
    rows: Value,
    target: Value,
    weight: Value,
    ring: Value,
    now: Value,
    axes: tuple[str, str, str],
    delay: int | Value = 0,
    reached: Value | None = None,
) -> Value:
    """The ring with what sources send along their connections. `axes`: of the sources, of the ring's slots and of its targets."""
    more = () if reached is None else (reached,)
    if isinstance(delay, int):
        return build.one(events.Deliver(*axes, (delay,)), z, rows, target, weight, ring, now, *more)
    return build.one(events.Deliver(*axes, ()), z, rows, target, weight, ring, now, delay, *more)


def conv2d(
    build: Builder, x: Value, kernel: Value, channel: str, height: str, width: str, out: str, rows: str, columns: str
) -> Value:
    return build.one(linear.Conv2d(channel, height, width, out, rows, columns), x, kernel)


def depthwise_conv2d(
    build: Builder, x: Value, kernel: Value, channel: str, height: str, width: str, rows: str, columns: str
) -> Value:
    return build.one(linear.DepthwiseConv2d(channel, height, width, rows, columns), x, kernel)


def adaptive_average_pool2d(
    build: Builder, x: Value, height: str, width: str, out_height: Axis, out_width: Axis
) -> Value:
    return build.one(linear.AdaptiveAveragePool2d(height, width, out_height, out_width), x)


def expm(build: Builder, a: Value, row: str, column: str) -> Value:
    return build.one(linear.Expm(row, column), a)


def expm_frechet(build: Builder, a: Value, e: Value, row: str, column: str) -> Value:
    """The derivative of expm at a in the direction e."""
    return build.one(linear.ExpmFrechet(row, column), a, e)


def solve(build: Builder, a: Value, b: Value, row: str, column: str) -> Value:
    return build.one(linear.Solve(row, column), a, b)


# Indexing


def gather(build: Builder, x: Value, index: Value, axis: str) -> Value:
    """x[index] along the axis."""
    return build.one(indexing.Gather(axis), x, index)


def scatter_add(build: Builder, values: Value, index: Value, axis: Axis, over: Axes) -> Value:
    """Adds values into the places that the index names. A summed axis that one of the two lacks is expanded first."""
    names = _names(over)
    lacking = [a for a in index.type.axes if a.name in names and not values.type.has(a.name)]
    values = expand(build, values, lacking)
    index = expand(build, index, [a for a in values.type.axes if a.name in names and not index.type.has(a.name)])
    return build.one(indexing.ScatterAdd(axis, tuple(names)), values, index)


def put(build: Builder, x: Value, row: Value, index: Value, axis: str) -> Value:
    """x with the row at the place `index` along the axis; a row that lacks axes of x is repeated along them."""
    row = expand(build, row, [one for one in x.type.axes if one.name != axis and not row.type.has(one.name)])
    return build.one(indexing.Put(axis), x, row, index)


# Random draws


def _keys(seed: Value, trial: Value | None, step: Value | None) -> list[Value]:
    return [seed, *([] if trial is None else [trial]), *([] if step is None else [step])]


def uniform(
    build: Builder, site: str, axes: Sequence[Axis], seed: Value, trial: Value | None = None, step: Value | None = None
) -> Value:
    draw = random.Uniform(site, tuple(axes), trial is not None, step is not None)
    return build.one(draw, *_keys(seed, trial, step))


def normal(
    build: Builder, site: str, axes: Sequence[Axis], seed: Value, trial: Value | None = None, step: Value | None = None
) -> Value:
    """Standard normal: mean 0, standard deviation 1."""
    draw = random.Normal(site, tuple(axes), trial is not None, step is not None)
    return build.one(draw, *_keys(seed, trial, step))


def random_bits(
    build: Builder, site: str, axes: Sequence[Axis], seed: Value, trial: Value | None = None, step: Value | None = None
) -> Value:
    draw = random.Bits(site, tuple(axes), trial is not None, step is not None)
    return build.one(draw, *_keys(seed, trial, step))


def bernoulli(
    build: Builder,
    site: str,
    axes: Sequence[Axis],
    p: Value,
    seed: Value,
    trial: Value | None = None,
    step: Value | None = None,
) -> Value:
    """True with probability p."""
    draw = random.Bernoulli(site, tuple(axes), trial is not None, step is not None)
    return build.one(draw, p, *_keys(seed, trial, step))


def word(
    build: Builder, site: str, axis: Axis, p: Value, seed: Value, trial: Value | None = None, step: Value | None = None
) -> Value:
    """Bernoulli draws along an axis as one integer, element i as bit i."""
    return build.one(random.Word(site, (axis,), trial is not None, step is not None), p, *_keys(seed, trial, step))


def poisson(
    build: Builder,
    site: str,
    axes: Sequence[Axis],
    mean: Value,
    seed: Value,
    trial: Value | None = None,
    step: Value | None = None,
) -> Value:
    """Counts with the given mean, as integers."""
    draw = random.Poisson(site, tuple(axes), trial is not None, step is not None)
    return build.one(draw, mean, *_keys(seed, trial, step))


def permutation(
    build: Builder, site: str, axis: Axis, seed: Value, trial: Value | None = None, step: Value | None = None
) -> Value:
    draw = random.Permutation(site, (axis,), trial is not None, step is not None)
    return build.one(draw, *_keys(seed, trial, step))
