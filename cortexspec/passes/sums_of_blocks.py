"""In a reverse pass: where only the diagonal blocks of a gradient matrix are read, sum up the blocks alone.

A weight that couples the places of an instance, laid out as one matrix over all instances, is its blocks times an identity matrix.
The gradient of the matrix is a sum of outer products over time and samples, all blocks of it; the gradient of the weight

    sum_V' (X[V, n, V', m] * identity[V, V'] * ...),    X = split(sum_t contract(g[V n], x[V' m]))

reads those on the diagonal. So x is taken apart in the loop and its V' is called V: of R instances a part 1/R of the products is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Mul
from cortexspec.ir.ops.constant import Identity
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.reduce import Sum
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Split
from cortexspec.ir.types import Axis
from cortexspec.passes.loop import Given, Loop, loop_of, made_by
from cortexspec.passes.remove_dead import live_lines


def sums_of_blocks(
    forward: Sequence[Line], reverse: Sequence[Line], outputs: Sequence[Value], names: Names
) -> tuple[Line, ...]:
    """The reverse lines, which may read the forward lines, as they are where nothing is saved."""
    blocks = _Blocks(forward, reverse, outputs, names)
    for line in reverse:
        if isinstance(line.op, Sum):
            blocks.rewrite(line, line.op.over)
    if not blocks.sums:
        return tuple(reverse)
    lines = live_lines(blocks.lines(), (value.name for value in outputs))
    read = {operand.name for line in lines for operand in line.operands}
    wanted = read.isdisjoint(blocks.sums)  # else the whole matrix is summed up all the same
    return lines if wanted else tuple(reverse)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A sum over a loop's steps with its axes taken apart: each old axis with its parts."""

    loop: Line
    given: Given
    contraction: Line
    parts: tuple[tuple[str, tuple[Axis, ...]], ...]

    def side(self, name: str) -> str:
        """Which axis of the contraction the part belongs to."""
        return next((whole for whole, axes in self.parts if any(axis.name == name for axis in axes)), name)


class _Blocks:
    def __init__(self, forward: Sequence[Line], reverse: Sequence[Line], outputs: Sequence[Value], names: Names):
        self.reverse, self.names = reverse, names
        self.made = made_by((*forward, *reverse))
        self.loops = {
            given.result.name: (line, given)
            for line in reverse
            if isinstance(line.op, Scan)
            for given in loop_of(line).sums
        }
        self.sums: set[str] = set()  # the matrices of which blocks are summed up
        self.inside: dict[str, tuple[list[Line], list[Given]]] = {}
        self.after: dict[str, list[Line]] = {}
        self.blocks: dict[tuple[str, str, str], Value] = {}

    def rewrite(self, line: Line, over: tuple[str, ...]) -> None:
        """Writes a masked sum as one over blocks, where it is one."""
        factors = self.factors(line.operands[0])
        for mask in factors:
            identity = self.made[mask.name].op if mask.name in self.made else None
            if not isinstance(identity, Identity):
                continue
            for column, row in ((identity.column, identity.row), (identity.row, identity.column)):
                rest = [factor for factor in factors if factor != mask]
                matrix = next((x for x in rest if x.type.has(row.name) and x.type.has(column.name)), None)
                others = [x for x in rest if x is not matrix]
                if column.name not in over or matrix is None:
                    continue
                if any(x.type.has(row.name) and x.type.has(column.name) for x in others):
                    continue
                block = self.block(matrix, row, column)
                if block is not None:
                    self.write(line, over, block, others, row, column)
                    return

    def factors(self, value: Value) -> list[Value]:
        line = self.made.get(value.name)
        if line is not None and isinstance(line.op, Mul):
            return [factor for operand in line.operands for factor in self.factors(operand)]
        return [value]

    def write(
        self, line: Line, over: tuple[str, ...], block: Value, others: Sequence[Value], row: Axis, column: Axis
    ) -> None:
        build = Builder(self.names)
        build.span = line.span
        product = block
        for factor in others:
            product = write.mul(build, product, write.rename(build, factor, _present(factor, column, row)))
        left = tuple(name for name in over if name != column.name)
        product = write.sum_(build, product, left)
        if product.type != line.result.type or not build.lines:
            return
        build.lines[-1] = replace(build.lines[-1], results=line.results)
        self.after[line.result.name] = build.lines

    def block(self, matrix: Value, row: Axis, column: Axis) -> Value | None:
        """The blocks of the matrix on the diagonal of row and column; the line that makes them goes into the loop."""
        key = (matrix.name, row.name, column.name)
        if key not in self.blocks:
            found = self.matrix(matrix)
            if found is None or found.side(row.name) == found.side(column.name):
                return None
            self.blocks[key] = self.summed(found, row, column)
        return self.blocks[key]

    def matrix(self, value: Value) -> _Matrix | None:
        parts: dict[str, tuple[Axis, ...]] = {}
        line = self.made.get(value.name)
        while line is not None and isinstance(line.op, Split):
            parts[line.op.axis] = line.op.axes
            value = line.operands[0]
            line = self.made.get(value.name)
        if value.name not in self.loops:
            return None
        loop, given = self.loops[value.name]
        made = made_by(loop_of(loop).lines).get(given.inside.name)
        if made is None or not isinstance(made.op, Contract) or not made.op.over:
            return None
        a, b = made.operands
        summed = set(made.op.over)
        if (a.type.names & b.type.names) - summed:
            return None
        return _Matrix(loop, given, made, tuple((name, _leaves(name, parts)) for name in made.result.type.names))

    def summed(self, matrix: _Matrix, row: Axis, column: Axis) -> Value:
        build = Builder(self.names)
        build.span = matrix.contraction.span
        operands = [self.apart(build, operand, matrix, row, column) for operand in matrix.contraction.operands]
        assert isinstance(matrix.contraction.op, Contract)
        inside = write.contract(build, operands[0], operands[1], matrix.contraction.op.over)
        result = Value(self.names.fresh(matrix.given.result.name), inside.type)
        key = matrix.loop.results[0].name
        lines, given = self.inside.setdefault(key, ([], []))
        lines += build.lines
        given.append(Given(inside, result, f"{matrix.given.label}:blocks"))
        self.sums.add(matrix.given.result.name)
        return result

    def apart(self, build: Builder, value: Value, matrix: _Matrix, row: Axis, column: Axis) -> Value:
        for whole, axes in matrix.parts:
            if value.type.has(whole) and axes:
                value = write.split(build, value, whole, axes)
        return write.rename(build, value, _present(value, column, row))

    def lines(self) -> list[Line]:
        done: list[Line] = []
        for line in self.reverse:
            if isinstance(line.op, Scan) and line.results[0].name in self.inside:
                added, given = self.inside[line.results[0].name]
                loop = loop_of(line)
                done.append(_with(loop, added, given).line())
            else:
                done += self.after.get(line.results[0].name, [line])
        return done


def _with(loop: Loop, lines: Sequence[Line], given: Sequence[Given]) -> Loop:
    return replace(loop, lines=(*loop.lines, *lines), sums=(*loop.sums, *given))


def _present(value: Value, column: Axis, row: Axis) -> dict[str, str]:
    return {column.name: row.name} if value.type.has(column.name) else {}


def _leaves(name: str, parts: dict[str, tuple[Axis, ...]]) -> tuple[Axis, ...]:
    """What an axis is split into in the end."""
    if name not in parts:
        return ()
    found: list[Axis] = []
    for axis in parts[name]:
        found += _leaves(axis.name, parts) or (axis,)
    return tuple(found)
