"""What arrives at several populations through scalar weights becomes one product with a matrix of these weights.

    concat(κ_ss*(γ8*r_sp - γ1*r_ss), κ_ii*(γ5*r_ss))    ->    concat(κ_ss, κ_ii)*(M @ r),  M = sum_k γ_k E_k

r_ss, r_sp are places of one packed array r (`batch-populations`); E_k has the sign of connection k at [target, source] and 0 elsewhere: a
table of written numbers. So a step has one product however many connections there are, written by hand or by a `for`, and M is
one contraction in front of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Mul, Neg, Sub
from cortexspec.ir.ops.constant import Table
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat, Expand, Index, Slice
from cortexspec.ir.types import Axis
from cortexspec.passes.joiner import Joiner
from cortexspec.passes.loop import Loop, loop_of, made_by, named, unchanging
from cortexspec.units import DIMENSIONLESS, Unit


def batch_connections(function: Function) -> Function:
    """Loop bodies only. Populations have one neuron each: the places along the joined axis are their numbers."""
    return replace(function, body=_batched(function.body, Names.of(function)))


def _batched(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            loop = replace(loop, lines=_batched(loop.lines, names))
            line = replace(loop, lines=_Body(loop, names).written()).line()
        done.append(line)
    return tuple(done)


@dataclass(frozen=True, slots=True)
class Term:
    """sign*weight*value, the weight 1 where it is None. `source`: `value` is a packed array, of which it is the place along an axis."""

    sign: float
    value: Value
    weight: Value | None = None
    source: tuple[str, str] | None = None
    place: int = 0

    @property
    def unit(self) -> Unit:
        return self.weight.type.unit if self.weight else DIMENSIONLESS


Row = tuple[Term, ...]
Place = tuple[int, int, float]  # row, column, sign
LARGEST_TABLE = 4096


class _Body:
    def __init__(self, loop: Loop, names: Names):
        self.loop, self.made, self.fixed = loop, made_by(loop.lines), unchanging(loop)
        self.build = Builder(names)

    def written(self) -> tuple[Line, ...]:
        for line in self.loop.lines:
            if isinstance(line.op, Concat) and line.result.name not in self.fixed:
                self.build.span = line.span
                whole = self.joined(line.operands, line.op)
                if whole is not None:
                    missing = [axis for axis in line.result.type.axes if not whole.type.has(axis.name)]
                    whole = write.expand(self.build, whole, missing)
                    last = self.build.lines[-1]
                    self.build.lines[-1] = replace(last, results=(line.result,))
                    continue
            self.build.lines.append(line)
        return tuple(self.build.lines)

    def joined(self, values: Sequence[Value], op: Concat) -> Value | None:
        """The values end to end, by fewer operations than a line each; None where there are none to save."""
        axes = [value.type.axis(part) for value, part in zip(values, op.parts, strict=True)]
        if any(axis.size.fixed != 1 for axis in axes) or len(set(op.parts)) < len(op.parts):
            return None
        factors, inner = self.factored(values)
        whole = self.sums(inner, op)
        if whole is None or not factors:
            return whole
        joiner = Joiner(self.build, {name: self.made[name] for name in self.fixed & self.made.keys()}, axes, op.axis)
        return write.mul(self.build, joiner.join(factors), whole)

    def factored(self, values: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        """A factor each that does not change in the loop, and what it multiplies; no factors where one has none."""
        found = [pair for pair in map(self.factor, values) if pair is not None]
        return ([a for a, _ in found], [b for _, b in found]) if len(found) == len(values) else ([], list(values))

    def factor(self, value: Value) -> tuple[Value, Value] | None:
        line = self.made.get(value.name)
        if line is None or not isinstance(line.op, Mul):
            return None
        a, b = line.operands
        if a.name in self.fixed and b.name not in self.fixed:
            return a, b
        return (b, a) if b.name in self.fixed and a.name not in self.fixed else None

    def sums(self, values: Sequence[Value], op: Concat) -> Value | None:
        rows = [tuple(self.terms(value, 1.0)) for value in values]
        shared = [term for term in rows[0] if self.everywhere(term, rows, op)]
        rows = [tuple(term for term in row if term not in shared) for row in rows]
        sources = {term.source for row in rows for term in row}
        if len(sources) != 1 or None in sources or sum(len(row) for row in rows) < 2:
            return None
        total = self.product(rows, op)
        if total is None:
            return None
        for term in shared:
            total = (write.add if term.sign > 0 else write.sub)(self.build, total, term.value)
        return total

    def product(self, rows: Sequence[Row], op: Concat) -> Value | None:
        """M @ source with the weights of all terms in M."""
        terms = [(row, term) for row, found in enumerate(rows) for term in found]
        (_, first), unit = terms[0], terms[0][1].unit
        if any(term.unit != unit for _, term in terms) or first.source is None:
            return None
        source = first.value
        column = source.type.axis(first.source[1])
        column = self.build.axis(column.name, column.size, column.role)
        if op.axis.size.fixed is None or column.size.fixed is None:
            return None
        weights = [self.weight(term, op) for _, term in terms]
        places = [(row, term.place, term.sign) for row, term in terms]
        matrix = named(self.build, self.matrix(weights, places, op.axis, column), "coupling")
        x = write.rename(self.build, source, {first.source[1]: column.name})
        return write.contract(self.build, matrix, x, [column.name])

    def matrix(self, weights: Sequence[Value], places: Sequence[Place], row: Axis, column: Axis) -> Value:
        """The weights at [row, column], each with its sign; weights of one place add up."""
        build, count = self.build, len(weights)
        rows, columns = (axis.size.evaluate({}) for axis in (row, column))
        connection = build.axis("connection", count)
        stacked = named(build, write.stack(build, weights, connection), "weights")
        if count * rows * columns <= LARGEST_TABLE:
            signs = [0.0] * (count * rows * columns)
            for number, (i, j, sign) in enumerate(places):
                signs[(number * rows + i) * columns + j] = sign
            table = write.table(build, signs, [connection, row, column])
            return write.contract(build, stacked, table, [connection])
        signed = write.mul(build, stacked, write.table(build, [sign for _, _, sign in places], [connection]))
        index = build.one(Table(tuple(i * columns + j for i, j, _ in places), (connection,), "int"))
        flat = build.axis("cell", rows * columns)
        return write.split(build, write.scatter_add(build, signed, index, flat, [connection]), flat.name, [row, column])

    def weight(self, term: Term, op: Concat) -> Value:
        if term.weight is None:
            return write.const(self.build, 1.0)
        weight = term.weight
        for part in op.parts:
            if weight.type.has(part):  # one place: every population has one neuron
                weight = write.index(self.build, weight, part, 0)
        return weight

    def everywhere(self, term: Term, rows: Sequence[Row], op: Concat) -> bool:
        """The same in every row, along no population."""
        alone = term.source is None and not term.value.type.names.intersection(op.parts)
        return alone and all(row.count(term) == 1 for row in rows)

    def terms(self, value: Value, sign: float) -> list[Term]:
        line = self.made.get(value.name)
        match line.op if line else None:
            case Add() if line:
                return [term for operand in line.operands for term in self.terms(operand, sign)]
            case Sub() if line:
                return self.terms(line.operands[0], sign) + self.terms(line.operands[1], -sign)
            case (Neg() | Expand()) as op if line:
                return self.terms(line.operands[0], -sign if isinstance(op, Neg) else sign)
            case _:
                return [self.connection(value, sign)]

    def connection(self, value: Value, sign: float) -> Term:
        line = self.made.get(value.name)
        if line is not None and isinstance(line.op, Mul):
            for weight, x in (line.operands, line.operands[::-1]):
                found = self.source(x)
                if found is not None and weight.name in self.fixed and not weight.type.has(found[1]):
                    source, axis, place = found
                    weight, sign = self.plain(weight, sign)
                    return Term(sign, source, weight, (source.name, axis), place)
        found = self.source(value)
        return Term(sign, value) if found is None else Term(sign, found[0], None, (found[0].name, found[1]), found[2])

    def plain(self, weight: Value, sign: float) -> tuple[Value, float]:
        """The weight without its sign, and without the axes that it is only spread along."""
        line = self.made.get(weight.name)
        match line.op if line else None:
            case (Neg() | Expand()) as op if line:
                return self.plain(line.operands[0], -sign if isinstance(op, Neg) else sign)
            case _:
                return weight, sign

    def source(self, value: Value) -> tuple[Value, str, int] | None:
        """The packed array, its axis, and the place along it that the value is."""
        line = self.made.get(value.name)
        match line.op if line else None:
            case Index(axis=axis, place=place) if line and place.fixed is not None and value.name not in self.fixed:
                return line.operands[0], axis, place.fixed
            case Slice(axis=axis, start=start, stop=stop) if line and start.fixed is not None and stop == start + 1:
                return (line.operands[0], axis, start.fixed) if value.name not in self.fixed else None
            case _:
                return None
