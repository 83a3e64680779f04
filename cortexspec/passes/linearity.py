"""Which lines are linear in what changes, and the same lines run again with a unit, an identity matrix or nothing in the place of
a value: the coefficient of that value, or the constant part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Div, Mul, Neg, Sub
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.reduce import CumulativeSum, Mean, Sum
from cortexspec.ir.ops.shape import Concat, Diagonal, Expand, Flip, Index, Merge, Pad, Rename, Slice, Split
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Loop, made_by, named, unchanging
from cortexspec.units import Unit as PhysicalUnit

# Axes of a source that lines on the way do more with than broadcast along: only a matrix can stand for that.
Mixed = frozenset[str]
Form = Mapping[str, Mixed]  # the sources of a linear value; the empty name stands for a constant part

_UNARY = (Neg, Expand, Rename, Slice, Index, Pad, Flip, Merge, Split, Sum, Mean, CumulativeSum, Diagonal)


def touched(op: Op, place: int) -> tuple[str, ...]:
    """The axes of operand `place` that the operation does more with than broadcast along them."""
    match op:
        case Rename(mapping=mapping):
            return tuple(old for old, _ in mapping)
        case Sum(over=over) | Mean(over=over) | Contract(over=over):
            return over
        case Merge(axes=axes):
            return axes
        case Concat(parts=parts):
            return (parts[place],)
        case Diagonal(row=row, column=column):
            return (row, column)
        case Slice(axis=axis) | Index(axis=axis) | Pad(axis=axis) | Split(axis=axis) | Flip(axis=axis):
            return (axis,)
        case CumulativeSum(axis=axis):
            return (axis,)
        case _:
            return ()


def sample_axes(type_: Type) -> frozenset[str]:
    return frozenset(axis.name for axis in type_.axes if axis.role == "sample")


def plain_axes(type_: Type) -> tuple[Axis, ...]:
    """All axes but those of samples."""
    return tuple(axis for axis in type_.axes if axis.role != "sample")


class Linearity:
    """The linear lines of a loop body. Sources of linear values are what they are linear in: inputs of the body that change,
    and results of lines that are not linear. A gather (drawn wiring) is a source: a matrix would lose what is sparse."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.made = made_by(loop.lines)
        self.fixed = unchanging(loop)
        self.lines = {line.result.name: line for line in loop.lines if len(line.results) == 1 and self._is_linear(line)}

    def _is_linear(self, line: Line) -> bool:
        if line.result.name in self.fixed or line.result.type.dtype != "float":
            return False
        changing = self.changing(line)
        for place in changing:
            operand = line.operands[place]
            if operand.type.dtype != "float" or not sample_axes(operand.type).isdisjoint(touched(line.op, place)):
                return False
        match line.op:
            case Add() | Sub() | Concat():
                return True
            case Mul() | Contract():
                return len(changing) == 1 and not sample_axes(line.operands[1 - changing[0]].type)
            case Div():
                return changing == [0] and not sample_axes(line.operands[1].type)
            case op:
                return isinstance(op, _UNARY)

    def changing(self, line: Line) -> list[int]:
        """The places of the operands that change in the loop."""
        return [place for place, operand in enumerate(line.operands) if operand.name not in self.fixed]

    @cached_property
    def sinks(self) -> tuple[Value, ...]:
        """Linear values that the loop gives, or that lines read that are not linear."""
        found = {value.name: value for value in self.loop.outputs}
        for line in self.loop.lines:
            if line.results[0].name not in self.fixed and line.results[0].name not in self.lines:
                found.update((operand.name, operand) for operand in line.operands)
        return tuple(value for name, value in found.items() if name in self.lines)

    def form(self, value: Value, kept: frozenset[str] | set[str], known: dict[str, Form]) -> Form:
        """What the value is linear in, where values in `kept` are sources too. `known` holds the forms found so far."""
        pending = [value.name]
        while pending:
            name = pending[-1]
            missing = [inner for inner, _ in self.reads[name] if self.inlined(inner, kept) and inner not in known]
            if missing and name not in known:
                pending += missing
                continue
            if name not in known:
                known[name] = self._form_of(name, kept, known)
            pending.pop()
        return known[value.name]

    def inlined(self, name: str, kept: frozenset[str] | set[str]) -> bool:
        return name in self.lines and name not in kept

    def _form_of(self, name: str, kept: frozenset[str] | set[str], known: Mapping[str, Form]) -> Form:
        line = self.lines[name]
        constant = isinstance(line.op, Add | Sub | Concat) and len(self.reads[name]) < len(line.operands)
        form: dict[str, Mixed] = {"": Mixed()} if constant else {}
        for operand, axes in self.reads[name]:
            inner: Form = known[operand] if self.inlined(operand, kept) else {operand: Mixed()}
            for source, mixed in inner.items():
                own = axes & self.types[source].names if axes and source else Mixed()
                form[source] = form.get(source, Mixed()) | mixed | own
        return form

    @cached_property
    def reads(self) -> dict[str, tuple[tuple[str, Mixed], ...]]:
        """The changing operands of each linear line, with the axes that it does more with than broadcast along them."""
        return {
            name: tuple((line.operands[place].name, Mixed(touched(line.op, place))) for place in self.changing(line))
            for name, line in self.lines.items()
        }

    @cached_property
    def types(self) -> dict[str, Type]:
        values = [carry.inside for carry in self.loop.carries] + [
            fed.inside for fed in (*self.loop.xs, *self.loop.consts)
        ]
        values += [result for line in self.loop.lines for result in line.results]
        return {value.name: value.type for value in values}


@dataclass(frozen=True, slots=True)
class Seed:
    """In the place of `source`: 1, or the identity matrix over its axes in `mixed`. Without a source: nothing anywhere, which leaves
    the constant part."""

    source: str = ""
    mixed: Mixed = Mixed()


class Replay:
    """Runs linear lines again. Samples are left out: a coefficient is one for all of them."""

    def __init__(self, linearity: Linearity, kept: frozenset[str], build: Builder):
        self.linearity, self.kept, self.build = linearity, kept, build
        self.columns: dict[str, Axis] = {}
        self.known: dict[tuple[str, Seed], Value | None] = {}
        self.units: dict[Seed, Value] = {}
        # What a value is the next one of, for names that a reader knows.
        carries = linearity.loop.carries
        self.labels = {carry.next.name: carry.label.removeprefix("carry:") for carry in carries}

    def column(self, axis: Axis) -> Axis:
        """The source's side of a matrix over this axis."""
        if axis.name not in self.columns:
            self.columns[axis.name] = self.build.axis(axis.name, axis.size, axis.role)
        return self.columns[axis.name]

    def named(self, value: Value, wanted: str | Value) -> Value:
        """The value under another name where the last line made it; what was remembered under the old name follows."""
        new = named(self.build, value, wanted)
        self.known = {key: new if known == value else known for key, known in self.known.items()}
        self.units = {seed: new if unit == value else unit for seed, unit in self.units.items()}
        return new

    def run(self, value: Value, seed: Seed) -> Value | None:
        """The coefficient of the source in the value, or the constant part; None for zero."""
        pending = [value.name]
        while pending:
            name = pending[-1]
            line = self.linearity.lines[name]
            missing = [
                operand.name
                for operand in line.operands
                if self.linearity.inlined(operand.name, self.kept) and (operand.name, seed) not in self.known
            ]
            if missing:
                pending += missing
                continue
            if (name, seed) not in self.known:
                self.build.span = line.span
                self.known[name, seed] = self._line(line, seed)
            pending.pop()
        return self.known[value.name, seed]

    def _line(self, line: Line, seed: Seed) -> Value | None:
        operands = [self._operand(operand, seed) for operand in line.operands]
        if isinstance(line.op, Add | Sub | Concat):
            if seed.source:  # a constant term has no part in a coefficient
                fixed = [operand.name in self.linearity.fixed for operand in line.operands]
                operands = [None if still else operand for still, operand in zip(fixed, operands, strict=True)]
            return self._sum(line, operands)
        place = self.linearity.changing(line)[0]
        x = operands[place]
        if x is None:
            return None
        whole = [operand for operand in operands if operand is not None]
        if isinstance(line.op, Contract):
            a, b = whole
            return write.contract(self.build, a, b, line.op.over)
        return self._moved(line, whole, place, x)

    def _operand(self, value: Value, seed: Seed) -> Value | None:
        if value.name in self.linearity.fixed:
            return value
        if self.linearity.inlined(value.name, self.kept):
            return self.known[value.name, seed]
        return self._unit(value, seed) if value.name == seed.source else None

    def _unit(self, source: Value, seed: Seed) -> Value:
        if seed not in self.units:
            axes = [axis for axis in plain_axes(source.type) if axis.name in seed.mixed]
            matrices = [write.identity(self.build, axis, self.column(axis)) for axis in axes]
            self.units[seed] = matrices[0] if matrices else write.const(self.build, 1.0)
            for matrix in matrices[1:]:
                self.units[seed] = write.mul(self.build, self.units[seed], matrix)
        return self.units[seed]

    def _sum(self, line: Line, operands: Sequence[Value | None]) -> Value | None:
        some = [operand for operand in operands if operand is not None]
        if not some:
            return None
        if isinstance(line.op, Concat):
            return self._concat(line, line.op, operands, some[0].type.unit)
        if len(some) == 2:
            if self._cancel(line.op, some):
                return None
            return self.build.one(line.op, *some, hint=line.result.name)
        negative = isinstance(line.op, Sub) and operands[0] is None
        return self.build.one(Neg(), some[0], hint=line.result.name) if negative else some[0]

    def _cancel(self, op: Op, numbers: Sequence[Value]) -> bool:
        """Whether two numbers add up to nothing, as the 1/2 of a centred sigmoid and that of its tanh do."""
        a, b = (self._number(value) for value in numbers)
        return a is not None and b is not None and a + (b if isinstance(op, Add) else -b) == 0

    def _number(self, value: Value) -> float | None:
        line = self.linearity.made.get(value.name)
        return float(line.op.value) if line is not None and isinstance(line.op, Const) else None

    def _concat(self, line: Line, op: Concat, operands: Sequence[Value | None], unit: PhysicalUnit) -> Value:
        parts: list[Value] = []
        for operand, old, part in zip(operands, line.operands, op.parts, strict=True):
            value = write.const(self.build, 0.0, unit) if operand is None else operand
            parts.append(value if value.type.has(part) else write.expand(self.build, value, [old.type.axis(part)]))
        return write.concat(self.build, parts, op.parts, op.axis)

    def _moved(self, line: Line, operands: Sequence[Value], place: int, x: Value) -> Value:
        """An operation with one changing operand. That one may lack axes along which it is constant."""
        op = line.op
        lacking = [name for name in touched(op, place) if not x.type.has(name)]
        match op:
            case Expand():
                return x
            case Rename(mapping=mapping) if lacking:
                return write.rename(self.build, x, {old: new for old, new in mapping if old not in lacking})
            case Mean(over=over) if lacking:
                return write.mean(self.build, x, [name for name in over if name not in lacking])
            case Slice() | Index() | Split() | Flip() if lacking:
                return x
            case _:
                type_ = line.operands[place].type
                whole = write.expand(self.build, x, [type_.axis(name) for name in lacking])
                return self.build.one(op, *operands[:place], whole, *operands[place + 1 :], hint=line.result.name)
