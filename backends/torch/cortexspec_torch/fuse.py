"""Several operations as one call of torch: sums of products, derivatives of squashing functions, sums over time.

These rewrites are torch's own, since they only trade calls: XLA fuses by itself. Their operations live here and are never
in a module of the IR; `emit.fused` writes them. What was measured is in each docstring; the workload is that of the
benchmarks, one core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import ClassVar, Literal

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Layout, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import arith, constant, linear, reduce, shape
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.types import Type

SMALL = 16

# Operations that may give the array that they are given.
VIEWS = (
    *(shape.Rename, shape.Merge, shape.Split, shape.Slice, shape.Index, shape.Expand, shape.Diagonal),
    *(arith.Cast, Scan),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a sum: `scale` times a value, a product of two values, or a matrix product over the axis `over`."""

    kind: Literal["plain", "product", "matrix"]
    scale: float = 1.0
    over: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return 1 if self.kind == "plain" else 2


@dataclass(frozen=True, slots=True)
class Terms(Op):
    """The sum of the parts; their operands follow each other."""

    name: ClassVar[str] = "torch.terms"
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Update(Op):
    """The parts added to the first operand in its place; the operands of the parts follow."""

    name: ClassVar[str] = "torch.update"
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Within(Op):
    """An operation that changes some places of an array, in that array."""

    name: ClassVar[str] = "torch.within"
    op: Op


@dataclass(frozen=True, slots=True)
class Gathered(Scan):
    """A loop with sums of products, which a call makes within it or behind it, as its number of samples wants.

    Of each such sum, by its name in the body, the lines that make it of stacks. `rings`: the stacks, by the names of what
    they keep, that only those lines read; without them a step needs no more than the step before.
    """

    name: ClassVar[str] = "torch.gathered"
    behind: tuple[tuple[str, tuple[Line, ...]], ...] = ()
    rings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SigmoidBackward(Op):
    """g * y * (1 - y)"""

    name: ClassVar[str] = "torch.sigmoid_backward"


@dataclass(frozen=True, slots=True)
class TanhBackward(Op):
    """g * (1 - y^2)"""

    name: ClassVar[str] = "torch.tanh_backward"


@dataclass(frozen=True, slots=True)
class ReluBackward(Op):
    """g where x > 0, else 0"""

    name: ClassVar[str] = "torch.relu_backward"


@dataclass(frozen=True, slots=True)
class ExpmKept(Op):
    """exp of a matrix, and a Python object with what its adjoint reads. Row and column lie last, in this order."""

    name: ClassVar[str] = "torch.expm_kept"


@dataclass(frozen=True, slots=True)
class ExpmAdjoint(Op):
    """The cotangent of the matrix, from what `ExpmKept` keeps and the cotangent of its exponential."""

    name: ClassVar[str] = "torch.expm_adjoint"


@dataclass(frozen=True, slots=True)
class Stack(Op):
    """The operands side by side along the new axis."""

    name: ClassVar[str] = "torch.stack"
    axis: str


def fuse(function: Function, layout: Layout, records: bool) -> Function:
    """The function in fewer calls. `records`: autograd records these lines, so its own formulas for derivatives serve."""
    if not records:
        names = Names.of(function)
        function = _kept_exponentials(_sums_after_loops(function, names, layout), names, layout)
    return _fused(function, layout)


def _fused(function: Function, layout: Layout) -> Function:
    lines = tuple(
        replace(line, op=replace(line.op, body=_fused(line.op.body, layout))) if isinstance(line.op, Scan) else line
        for line in function.body
    )
    lines = _Body(lines, function.outputs, layout).derivatives()
    lines = _Body(lines, function.outputs, layout).sums()
    return replace(function, body=lines)


class _Body:
    """The lines of one function or loop body; what is read once may be written into its reader."""

    def __init__(self, lines: Sequence[Line], outputs: Sequence[Value], layout: Layout):
        self.lines, self.layout = tuple(lines), layout
        self.made = {result.name: line for line in lines for result in line.results}
        self.reads: dict[str, int] = {}
        for value in (*(operand for line in lines for operand in line.operands), *outputs):
            self.reads[value.name] = self.reads.get(value.name, 0) + 1
        self.absorbed: set[str] = set()

    def line(self, value: Value, *kinds: type[Op]) -> Line | None:
        """The line that makes a value for its one reader, where its operation is one of `kinds`."""
        line = self.made.get(value.name)
        return line if line is not None and self.reads[value.name] == 1 and isinstance(line.op, kinds) else None

    def number(self, value: Value) -> float | None:
        line = self.made.get(value.name)
        return float(line.op.value) if line is not None and isinstance(line.op, constant.Const) else None

    # Derivatives.

    def derivatives(self) -> tuple[Line, ...]:
        kept = [self._derivative(line) or line for line in self.lines]
        return tuple(line for line in kept if line.results[0].name not in self.absorbed)

    def _derivative(self, line: Line) -> Line | None:
        match line.op:
            case shape.Concat(parts=parts, axis=axis):
                return self._stack(line, parts, axis.name)
            case arith.Mul():
                for flow, slope in (line.operands, line.operands[::-1]):
                    found = self._slope(slope)
                    if found is not None and found[1].type.names == flow.type.names == line.result.type.names:
                        op, y, within = found
                        self.absorbed |= within
                        return replace(line, op=op, operands=(flow, y))
            case arith.Where():
                condition, flow, zero = line.operands
                above = self.line(condition, arith.Gt)
                if above is not None and self.number(zero) == 0 and self.number(above.operands[1]) == 0:
                    x = above.operands[0]
                    if x.type.names == flow.type.names:
                        self.absorbed.add(above.result.name)
                        return replace(line, op=ReluBackward(), operands=(flow, x))
            case _:
                pass
        return None

    def _stack(self, line: Line, parts: Sequence[str], axis: str) -> Line | None:
        """A concatenation of what was only given a place of size 1 is a stack."""
        found = [self.line(operand, shape.Expand) for operand in line.operands]
        inside: list[Value] = []
        for expanded, part in zip(found, parts, strict=True):
            if expanded is None or [(a.name, a.size.fixed) for a in expanded.op.axes] != [(part, 1)]:
                return None
            inside.append(expanded.operands[0])
        self.absorbed.update(expanded.result.name for expanded in found if expanded is not None)
        return replace(line, op=Stack(axis), operands=tuple(inside))

    def _slope(self, slope: Value) -> tuple[Op, Value, set[str]] | None:
        """The derivative of a squashing function as one call, what it squashes to, and the lines that the call has within it."""
        product = self.line(slope, arith.Mul)
        if product is not None:
            for y, rest in (product.operands, product.operands[::-1]):
                other = self.line(rest, arith.Sub)
                if other is not None and self.number(other.operands[0]) == 1 and other.operands[1] == y:
                    return SigmoidBackward(), y, {product.result.name, other.result.name}
        difference = self.line(slope, arith.Sub)
        if difference is not None and self.number(difference.operands[0]) == 1:
            square = self.line(difference.operands[1], arith.Mul, arith.Pow)
            if square is not None and (square.op == arith.Pow(2) or square.operands == (square.operands[0],) * 2):
                return TanhBackward(), square.operands[0], {difference.result.name, square.result.name}
        return None

    # Sums.

    def sums(self) -> tuple[Line, ...]:
        kept: list[Line] = []
        for line in reversed(self.lines):
            if line.results[0].name in self.absorbed:
                continue
            if isinstance(line.op, arith.Add | arith.Sub) and line.result.type.dtype == "float":
                line = self._sum(line)
            kept.append(line)
        return tuple(line for line in reversed(kept) if line.results[0].name not in self.absorbed)

    def _sum(self, line: Line) -> Line:
        axes = line.result.type.names
        a, b = line.operands
        before = set(self.absorbed)
        parts = [*self._terms(a, 1.0, axes), *self._terms(b, -1.0 if isinstance(line.op, arith.Sub) else 1.0, axes)]
        plain = len(parts) == 2 and all(part.kind == "plain" for part, _ in parts)
        scales = [part.scale for part, _ in parts]
        # A sum or difference of two values is one call already; where no term has all axes, nothing can be added up in place.
        as_it_is = plain and scales == ([1.0, -1.0] if isinstance(line.op, arith.Sub) else [1.0, 1.0])
        if as_it_is or not any(_covers(values, axes) for _, values in parts):
            self.absorbed = before
            return line
        return replace(
            line,
            op=Terms(tuple(part for part, _ in parts)),
            operands=tuple(value for _, values in parts for value in values),
        )

    def _terms(self, value: Value, scale: float, axes: frozenset[str]) -> list[tuple[Part, tuple[Value, ...]]]:
        whole = [(Part("plain", scale), (value,))]
        if value.type.names != axes:
            return whole
        line = self.line(value, arith.Add, arith.Sub, arith.Neg, arith.Mul, linear.Contract)
        if line is None:
            return whole
        match line.op:
            case arith.Add() | arith.Sub():
                if abs(scale) != 1:
                    return whole
                a, b = line.operands
                found = self._terms(a, scale, axes)
                found += self._terms(b, -scale if isinstance(line.op, arith.Sub) else scale, axes)
            case arith.Neg():
                found = self._terms(line.operands[0], -scale, axes)
            case arith.Mul():
                found = self._product(line, scale, axes)
            case linear.Contract():
                if not is_matrix_product(line, self.layout):
                    return whole
                found = [(Part("matrix", scale, line.op.over), line.operands)]
            case _:
                return whole
        self.absorbed.add(value.name)
        return found

    def _product(self, line: Line, scale: float, axes: frozenset[str]) -> list[tuple[Part, tuple[Value, ...]]]:
        for number, other in (line.operands, line.operands[::-1]):
            factor = self.number(number)
            if factor is not None:
                if self.line(other, arith.Mul, linear.Contract, arith.Neg) is not None:
                    return self._terms(other, scale * factor, axes)
                return [(Part("plain", scale * factor), (other,))]
        return [(Part("product", scale), line.operands)]


def _covers(values: Sequence[Value], axes: frozenset[str]) -> bool:
    return frozenset(name for value in values for name in value.type.names) >= axes


def is_matrix_product(line: Line, layout: Layout) -> bool:
    """Whether a contraction is one product of two matrices, or of two stacks of matrices, as the arrays lie."""
    op, (a, b) = line.op, line.operands
    assert isinstance(op, linear.Contract)
    return len(op.over) == 1 and orientation(a.type, b.type, op.over, layout.sort(line.result.type.names)) is not None


def orientation(a: Type, b: Type, over: Sequence[str], result: Sequence[str]) -> bool | None:
    """Whether `a` gives the rows (else the columns) of the product; None where it is no product of matrices."""
    shared = a.names & b.names
    lead = [name for name in result if name in shared]
    for first, second, turned in ((a, b, True), (b, a, False)):
        rows = [name for name in result if name in first.names - second.names]
        columns = [name for name in result if name in second.names - first.names]
        if len(over) == len(rows) == len(columns) == 1 and len(lead) <= 1 and [*lead, *rows, *columns] == list(result):
            return turned
    return None


# Exponentials of matrices.


def _kept_exponentials(function: Function, names: Names, layout: Layout) -> Function:
    """An exponential and its adjoint in one function share the powers of the matrix: of 20 products 5 less in float32."""
    made = {line.results[0].name: line for line in function.body}
    kept: dict[str, Value] = {}
    lines: dict[str, Line] = {}
    for line in function.body:
        forward = _exponential_of(line, made, function.body, layout)
        if forward is None:
            continue
        result = forward.result
        if result.name not in kept:
            kept[result.name] = Value(names.fresh(f"{result.name}_kept"), Type(()))
            lines[result.name] = replace(forward, op=ExpmKept(), results=(result, kept[result.name]))
        operands = (kept[result.name], line.operands[1])
        lines[line.result.name] = replace(line, op=ExpmAdjoint(), operands=operands)
    if not lines:
        return function
    body = tuple(lines.get(line.results[0].name, line) for line in function.body)
    return replace(function, body=live(body, function.outputs))


def _exponential_of(line: Line, made: Mapping[str, Line], body: Sequence[Line], layout: Layout) -> Line | None:
    """The line above that makes the exponential of the matrix at whose transpose this one is a derivative."""
    if not isinstance(line.op, linear.ExpmFrechet):
        return None
    pair = {line.op.row, line.op.column}
    turn = made.get(line.operands[0].name)
    turned = {line.op.row: line.op.column, line.op.column: line.op.row}
    if turn is None or not isinstance(turn.op, shape.Rename) or dict(turn.op.mapping) != turned:
        return None
    (matrix,) = turn.operands
    if any(
        value.type.names != matrix.type.names or set(layout.sort(value.type.names)[-2:]) != pair
        for value in line.operands
    ):
        return None
    for other in body:
        if other is line:
            return None
        if (
            isinstance(other.op, linear.Expm)
            and other.operands == (matrix,)
            and {other.op.row, other.op.column} == pair
        ):
            return other
    return None


# Sums over time.


def _sums_after_loops(function: Function, names: Names, layout: Layout) -> Function:
    lines: list[Line] = []
    for line in function.body:
        if isinstance(line.op, Scan):
            line = replace(line, op=replace(line.op, body=_sums_after_loops(line.op.body, names, layout)))
            lines += _late(line, names, layout)
        else:
            lines.append(line)
    return replace(function, body=tuple(lines))


def _late(line: Line, names: Names, layout: Layout) -> list[Line]:
    """Takes out of the loop what its sums need not do in each step.

    A sum of outer products of values whose stacks are there anyway is one batched product behind the loop (two calls in
    place of two a step); over samples that may be many it is either (`Gathered`). A sum of reductions adds up whole arrays in
    place and reduces them once.
    """
    loop = _Late(line, names, layout)
    for value, result in zip(loop.sums, loop.results[loop.op.carry + loop.op.stack :], strict=True):
        loop.take(value, result)
    return loop.lines()


class _Late:
    def __init__(self, line: Line, names: Names, layout: Layout):
        assert isinstance(line.op, Scan)
        self.line, self.op, self.names = line, line.op, names
        self.results = line.results
        body = self.op.body
        a, b = self.op.carry, self.op.carry + self.op.stack
        self.carry, self.stack, self.sums = body.outputs[:a], list(body.outputs[a:b]), body.outputs[b:]
        self.stack_results = list(line.results[a:b])
        self.kept_sums: list[Value] = []
        self.sum_results: list[Value] = []
        self.after: list[Line] = []
        self.added: list[Line] = []
        self.body = _Body(body.body, body.outputs, layout)
        self.behind: list[tuple[str, tuple[Line, ...]]] = []
        self.rings: set[str] = set()
        inputs = body.inputs
        self.frames = dict(
            zip((v.name for v in self.op.split(inputs)[2]), self.op.split(line.operands)[2], strict=True)
        )
        self.carried = {value.name for value in self.op.split(inputs)[1]}

    def stack_of(self, value: Value) -> Value | None:
        """The values of all steps, where they are or easily become an array."""
        if value.name in self.frames:
            return self.frames[value.name]
        for given, result in zip(self.stack, self.stack_results, strict=True):
            if given.name == value.name:
                return result
        line = self.body.made.get(value.name)
        if line is not None and isinstance(line.op, shape.Rename | shape.Split):
            whole = self.stack_of(line.operands[0])
            return None if whole is None else self._renamed(line, whole)
        if value.name not in self.carried:
            return None
        type_ = value.type.with_axes((*value.type.axes, self.op.over))
        result = Value(self.names.fresh(f"{value.name}_stack"), type_)
        self.stack.append(value)
        self.stack_results.append(result)
        return result

    def _renamed(self, line: Line, whole: Value) -> Value:
        (type_,) = line.op.rule(whole.type)
        result = Value(self.names.fresh(f"{line.result.name}_stack"), type_)
        self.after.append(Line((result,), line.op, (whole,), line.span))
        return result

    def take(self, value: Value, result: Value) -> None:
        over = self.op.over.name
        producer = self.body.line(value, linear.Contract, reduce.Sum)
        match producer.op if producer is not None else None:
            case linear.Contract(over=axes) if axes and producer is not None:
                count = len(self.after)
                stacks = [self.stack_of(operand) for operand in producer.operands]
                if all(stack is not None for stack in stacks):
                    operands = tuple(stack for stack in stacks if stack is not None)
                    self.after.append(Line((result,), linear.Contract((over, *axes)), operands, self.line.span))
                    if _over_samples(producer, axes) and is_matrix_product(producer, self.body.layout):
                        self.behind.append((value.name, tuple(self.after[count:])))
                        del self.after[count:]
                        self.kept_sums.append(value)
                        self.sum_results.append(result)
                    return
                a, b = producer.operands
                if a.type.names == b.type.names:
                    whole = Value(self.names.fresh(f"{value.name}_terms"), _whole(producer))
                    self.added.append(Line((whole,), arith.Mul(), producer.operands, producer.span))
                    self._accumulate(whole, axes, result)
                    return
            case reduce.Sum(over=axes) if axes and producer is not None:
                (whole,) = producer.operands
                stack = self.stack_of(whole)
                if stack is not None:
                    self.after.append(Line((result,), reduce.Sum((over, *axes)), (stack,), self.line.span))
                    return
                product = self.body.line(whole, arith.Mul)
                if product is not None and self._summed_behind(product, axes, result):
                    return
                if self.body.made.get(whole.name) is not None:
                    self._accumulate(whole, axes, result)
                    return
            case _:
                pass
        self.kept_sums.append(value)
        self.sum_results.append(result)

    def _summed_behind(self, product: Line, axes: tuple[str, ...], result: Value) -> bool:
        """A product of small arrays is multiplied and summed up behind the loop, where stacks of both are there."""
        a, b = product.operands
        if a.type.names != b.type.names or not _is_small(a.type):
            return False
        stacks = [self.stack_of(operand) for operand in (a, b)]
        operands = tuple(stack for stack in stacks if stack is not None)
        if len(operands) < 2:
            return False
        over = (self.op.over.name, *axes)
        self.after.append(Line((result,), linear.Contract(over), operands, self.line.span))
        return True

    def _accumulate(self, whole: Value, axes: tuple[str, ...], result: Value) -> None:
        total = Value(self.names.fresh(f"{whole.name}_total"), whole.type)
        self.kept_sums.append(whole)
        self.sum_results.append(total)
        self.after.append(Line((result,), reduce.Sum(axes), (total,), self.line.span))

    def lines(self) -> list[Line]:
        body = replace(self.op.body, outputs=(*self.carry, *self.stack, *self.kept_sums), output_names=())
        body = replace(body, body=live((*body.body, *self.added), body.outputs))
        op = replace(self.op, body=body, stack=len(self.stack), sum=len(self.kept_sums))
        if self.behind:
            given = {field.name: getattr(op, field.name) for field in fields(Scan)}
            op = Gathered(**given, behind=tuple(self.behind), rings=self._rings())
        results = (*self.results[: self.op.carry], *self.stack_results, *self.sum_results)
        return [replace(self.line, op=op, results=results), *self.after]

    def _rings(self) -> tuple[str, ...]:
        """Stacks made here that only sums of products read, and whose values no other carry takes into the next step."""
        made = zip(self.stack[self.op.stack :], self.stack_results[self.op.stack :], strict=True)
        read = {operand.name for line in self.after for operand in line.operands}
        leaving = {value.name for value in self.carry}
        for line in reversed(self.op.body.body):
            if any(result.name in leaving for result in line.results) and isinstance(line.op, VIEWS):
                leaving.update(operand.name for operand in line.operands)
        return tuple(value.name for value, result in made if result.name not in read and value.name not in leaving)


def _over_samples(contraction: Line, axes: Sequence[str]) -> bool:
    return any(contraction.operands[0].type.axis(name).role == "sample" for name in axes)


def _is_small(type_: Type) -> bool:
    """So few places a sample that a call costs more than its arithmetic, up to some thousand samples."""
    sizes = [axis.size.fixed for axis in type_.axes if axis.role != "sample"]
    return prod(size or SMALL + 1 for size in sizes) <= SMALL


def _whole(contraction: Line) -> Type:
    a, b = contraction.operands
    return Type((*a.type.axes,), "float", a.type.unit * b.type.unit)


def live(lines: Sequence[Line], outputs: Iterable[Value]) -> tuple[Line, ...]:
    """The lines that the outputs depend on."""
    read = {value.name for value in outputs}
    kept: list[Line] = []
    for line in reversed(lines):
        if any(result.name in read for result in line.results):
            kept.append(line)
            read.update(operand.name for operand in line.operands)
    return tuple(reversed(kept))
