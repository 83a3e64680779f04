"""What an expression over pairs [target, source] is worth at chosen pairs, and between which numbers it lies in blocks of them.

Among 1e10 pairs nothing may be computed for each. What has the axes of one side alone is computed in full; the lines that join both
sides are read pair by pair, or in interval arithmetic block by block.

Source: Moore, Kearfott and Cloud 2009, Introduction to interval analysis, chapters 2 and 5, doi:10.1137/1.9780898717716.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortexspec.ir.module import Function, Layout, Line, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops import arith
from cortexspec.ir.ops.shape import InUnit

MOST_PAIRS = 2**26  # of which each may be looked at

_AT_ONCE = 2**21  # pairs that are evaluated together


class NotElementwise(Exception):
    """The expression joins its sides by more than elementwise operations: `over` names the operation."""

    def __init__(self, over: str):
        super().__init__(over)
        self.over = over


@dataclass(frozen=True, slots=True)
class Sides:
    """The names of the axes of targets and of sources, and how many places each side has."""

    target: tuple[str, ...]
    source: tuple[str, ...]
    targets: int
    sources: int

    @property
    def pairs(self) -> int:
        return self.targets * self.sources


@dataclass(frozen=True, slots=True)
class PairExpression:
    """`lines` are elementwise; `known` has what they read besides: a number, or an array over [target] or [source].

    `sides` says for each known name which side its array runs along.
    """

    lines: tuple[Line, ...]
    result: str
    known: Mapping[str, Array]
    along: Mapping[str, str]  # "", "target" or "source"

    def at(self, post: Array, pre: Array) -> Array:
        """[pair]: the values at these pairs."""
        found = np.empty(len(post), np.bool_ if self._of_truth else np.float64)
        for start in range(0, len(post), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            places = {"target": post[part], "source": pre[part]}
            values = {
                name: self.known[name][places[side]] if side else self.known[name] for name, side in self.along.items()
            }
            with np.errstate(all="ignore"):
                for line in self.lines:
                    values[line.result.name] = _compute(line, [values[one.name] for one in line.operands])
            found[part] = values[self.result]
        return found

    @property
    def _of_truth(self) -> bool:
        if self.lines:
            return self.lines[-1].result.type.dtype == "bool"
        return self.known[self.result].dtype == np.bool_

    def bounds(self, targets: Array, sources: Array) -> tuple[Array, Array] | None:
        """[target block, source block]: numbers between which the values lie; blocks are given by their first places and one past the last.

        They are wide where a variable stands more than once, and None where an operation has no rule here.
        """
        cuts = {"target": targets, "source": sources}
        values: dict[str, Interval] = {}
        for name, side in self.along.items():
            array = np.asarray(self.known[name], np.float64)
            if not side:
                values[name] = (array, array)
                continue
            first, last = cuts[side][0], cuts[side][-1]
            inside, starts = array[first:last], cuts[side][:-1] - first
            low, high = (ends.reduceat(inside, starts) for ends in (np.minimum, np.maximum))
            values[name] = _column(low, side), _column(high, side)
        with np.errstate(all="ignore"):
            for line in self.lines:
                rule = _INTERVALS.get(type(line.op))
                if rule is None:
                    return None
                values[line.result.name] = rule(line, [values[one.name] for one in line.operands])
        low, high = values[self.result]
        shape = (len(targets) - 1, len(sources) - 1)
        return np.broadcast_to(low, shape), np.broadcast_to(high, shape)


def pair_expression(
    function: Function, name: str, sides: Sides, values: Mapping[str, Array], layout: Layout
) -> PairExpression:
    """The output under this name. `values` has what every line of one side is worth, by the names of its results.

    Raises: NotElementwise.
    """
    output = function.outputs[function.output_names.index(name)]
    lines: list[Line] = []
    along: dict[str, str] = {}
    wanted = {output.name}
    if not _joins(output, sides):
        along[output.name] = _side(output, sides)
    for line in reversed(function.body):
        if len(line.results) != 1 or line.result.name not in wanted or not _joins(line.result, sides):
            continue
        if not isinstance(line.op, arith.Elementwise | InUnit):
            raise NotElementwise(line.op.name)
        lines.append(line)
        for operand in line.operands:
            wanted.add(operand.name)
            if not _joins(operand, sides):
                along[operand.name] = _side(operand, sides)
    types = {value.name: value for line in function.body for value in line.results}
    known = {each: _flat(values[each], types[each], sides, along[each], layout) for each in along}
    return PairExpression(tuple(reversed(lines)), output.name, known, along)


def of_one_side(function: Function, sides: Iterable[Sides]) -> Function:
    """The function without the lines that join such sides; each value that is left is an output.

    Raises: NotElementwise where a line that is left needs one of those.
    """
    many = tuple(sides)
    left: list[Line] = []
    gone: set[str] = set()
    for line in function.body:
        if any(_joins(value, each) for each in many for value in line.results):
            gone.update(value.name for value in line.results)
        elif any(operand.name in gone for operand in line.operands):
            raise NotElementwise(line.op.name)
        else:
            left.append(line)
    values = [*function.inputs, *(value for line in left for value in line.results)]
    return replace(
        function, body=tuple(left), outputs=tuple(values), output_names=tuple(value.name for value in values)
    )


def _joins(value: Value, sides: Sides) -> bool:
    names = value.type.names
    return bool(names & set(sides.target)) and bool(names & set(sides.source))


def _side(value: Value, sides: Sides) -> str:
    if value.type.names & set(sides.target):
        return "target"
    return "source" if value.type.names & set(sides.source) else ""


def _flat(array: Array, value: Value, sides: Sides, side: str, layout: Layout) -> Array:
    """A number, or the array [place] spread over all places of its side."""
    if not side:
        return array
    names, count = (sides.target, sides.targets) if side == "target" else (sides.source, sides.sources)
    axes = layout.sort(value.type.names)
    have = [name for name in names if name in axes]
    array = array.transpose([axes.index(name) for name in have])
    if len(have) == len(names):
        return array.reshape(count)
    if len(names) == 2 and have == [names[0]]:
        return np.repeat(array, count // len(array))
    if len(names) == 2 and have == [names[1]]:
        return np.tile(array, count // len(array))
    raise NotElementwise("shape.expand")


_DTYPES = {"float": np.dtype("float64"), "int": np.dtype("int64"), "bool": np.dtype("bool")}


def _compute(line: Line, operands: Sequence[Array]) -> Array:
    array = line.op.compute(*operands) if isinstance(line.op, arith.Elementwise) else operands[0]
    return np.asarray(array, _DTYPES[line.result.type.dtype])


# Interval arithmetic. An end that is no number (inf - inf, 0*inf) says nothing, so it becomes infinite.

Interval = tuple[Array, Array]
Rule = Callable[[Line, Sequence[Interval]], Interval]


def _column(array: Array, side: str) -> Array:
    return array[:, np.newaxis] if side == "target" else array[np.newaxis, :]


def _sure(low: Array, high: Array) -> Interval:
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _rising(line: Line, operands: Sequence[Interval]) -> Interval:
    (low, high) = (np.asarray(_compute(line, ends), float) for ends in zip(*operands, strict=True))
    return _sure(low, high)


def _corners(line: Line, operands: Sequence[Interval]) -> Interval:
    """Of an operation that is monotone in each operand, whatever the other is."""
    (a, b) = operands
    values = [np.asarray(_compute(line, (x, y)), float) for x in a for y in b]
    low, high = np.minimum.reduce(np.broadcast_arrays(*values)), np.maximum.reduce(np.broadcast_arrays(*values))
    return _sure(low, high)


def _sub(line: Line, operands: Sequence[Interval]) -> Interval:
    (a, b) = operands
    return _sure(a[0] - b[1], a[1] - b[0])


def _mul(line: Line, operands: Sequence[Interval]) -> Interval:
    left, right = line.operands
    return _square(operands[0]) if left.name == right.name else _corners(line, operands)


def _square(x: Interval) -> Interval:
    ends = x[0] * x[0], x[1] * x[1]
    over_zero = (x[0] < 0) & (x[1] > 0)
    return _sure(np.where(over_zero, 0.0, np.minimum(*ends)), np.maximum(*ends))


def _div(line: Line, operands: Sequence[Interval]) -> Interval:
    low, high = _corners(line, operands)
    over_zero = (operands[1][0] <= 0) & (operands[1][1] >= 0)
    return np.where(over_zero, -np.inf, low), np.where(over_zero, np.inf, high)


def _cast(line: Line, operands: Sequence[Interval]) -> Interval:
    ((low, high),) = operands
    match line.result.type.dtype:
        case "int":
            return np.trunc(low), np.trunc(high)
        case "bool":
            return ((low > 0) | (high < 0)).astype(float), ((low != 0) | (high != 0)).astype(float)
        case _:
            return low, high


def _neg(line: Line, operands: Sequence[Interval]) -> Interval:
    ((low, high),) = operands
    return -high, -low


def _abs(line: Line, operands: Sequence[Interval]) -> Interval:
    ((low, high),) = operands
    ends = np.abs(low), np.abs(high)
    return np.where((low < 0) & (high > 0), 0.0, np.minimum(*ends)), np.maximum(*ends)


def _pow(line: Line, operands: Sequence[Interval]) -> Interval:
    assert isinstance(line.op, arith.Pow)
    ((low, high),) = operands
    exponent = float(line.op.exponent)
    first, last = (np.asarray(_compute(line, (end,)), float) for end in (low, high))
    if not exponent.is_integer():  # of numbers that are not negative
        ends = np.minimum(first, last), np.maximum(first, last)
        return _sure(np.where(low < 0, -np.inf, ends[0]), np.where(low < 0, np.inf, ends[1]))
    least, most = np.minimum(first, last), np.maximum(first, last)
    over_zero = (low <= 0) & (high >= 0)
    if exponent > 0:
        return _sure(np.where(over_zero & (exponent % 2 == 0), 0.0, least), most)
    return _sure(np.where(over_zero, -np.inf, least), np.where(over_zero, np.inf, most))


def _power(line: Line, operands: Sequence[Interval]) -> Interval:
    low, high = _corners(line, operands)
    doubtful = operands[0][0] < 0
    return np.where(doubtful, -np.inf, low), np.where(doubtful, np.inf, high)


def _wave(shift: float) -> Rule:
    """cos(x - shift): 1 is reached where a whole turn lies inside, -1 half a turn further."""

    def rule(line: Line, operands: Sequence[Interval]) -> Interval:
        ((low, high),) = operands
        ends = [np.asarray(_compute(line, (end,)), float) for end in (low, high)]

        def inside(at: float) -> Array:
            # One part in 1e12 for the rounding of the turns.
            room = 1e-12 * (1 + np.maximum(np.abs(low), np.abs(high)))
            return np.floor((high + room - at) / (2 * np.pi)) >= np.ceil((low - room - at) / (2 * np.pi))

        bottom = np.where(inside(shift + np.pi), -1.0, np.minimum(*ends))
        return _sure(bottom, np.where(inside(shift), 1.0, np.maximum(*ends)))

    return rule


def _truth(line: Line, operands: Sequence[Interval]) -> Interval:
    """Where both may be: 0 to 1."""
    shape = np.broadcast_shapes(*(end.shape for each in operands for end in each))
    return np.zeros(shape), np.ones(shape)


def _where(line: Line, operands: Sequence[Interval]) -> Interval:
    condition, yes, no = operands
    low = np.where(condition[0] == 1, yes[0], np.where(condition[1] == 0, no[0], np.minimum(yes[0], no[0])))
    high = np.where(condition[0] == 1, yes[1], np.where(condition[1] == 0, no[1], np.maximum(yes[1], no[1])))
    return low, high


def _less(strict: bool, swapped: bool) -> Rule:
    def rule(line: Line, operands: Sequence[Interval]) -> Interval:
        (a, b) = reversed(operands) if swapped else operands
        surely = a[1] < b[0] if strict else a[1] <= b[0]
        perhaps = a[0] < b[1] if strict else a[0] <= b[1]
        return surely.astype(float), perhaps.astype(float)

    return rule


def _not(line: Line, operands: Sequence[Interval]) -> Interval:
    ((low, high),) = operands
    return 1 - high, 1 - low


_INTERVALS: dict[type, Rule] = {
    **dict.fromkeys(
        (
            *(arith.Add, arith.Min, arith.Max, arith.Relu, arith.Sign, arith.Sqrt, arith.Exp, arith.Expm1),
            *(arith.Log, arith.Log1p, arith.Tanh, arith.Sigmoid, arith.Softplus, arith.Floor, arith.Ceil),
            *(arith.Round, InUnit),
        ),
        _rising,
    ),
    arith.Cast: _cast,
    arith.Sub: _sub,
    arith.Mul: _mul,
    arith.Div: _div,
    arith.Neg: _neg,
    arith.Abs: _abs,
    arith.Pow: _pow,
    arith.Power: _power,
    arith.Cos: _wave(0.0),
    arith.Sin: _wave(np.pi / 2),
    arith.Lt: _less(True, False),
    arith.Le: _less(False, False),
    arith.Gt: _less(True, True),
    arith.Ge: _less(False, True),
    arith.Eq: _truth,
    arith.Ne: _truth,
    arith.And: lambda line, operands: (np.minimum(operands[0][0], operands[1][0]), np.minimum(operands[0][1], operands[1][1])),
    arith.Or: lambda line, operands: (np.maximum(operands[0][0], operands[1][0]), np.maximum(operands[0][1], operands[1][1])),
    arith.Not: _not,
    arith.Where: _where,
}  # fmt: skip
