"""Evaluate what is known before the run, and drop lines that change nothing: x + 0, 1*x, a slice of what was just joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from cortexspec.diagnostics import Span
from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops.arith import Add, Cast, Div, Elementwise, Mul, Neg, Pow, Sigmoid, Sub, Tanh, Where
from cortexspec.ir.ops.constant import Const, Identity, Iota, SizeOf
from cortexspec.ir.ops.indexing import Gather, Put, ScatterAdd
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.random import Normal, Uniform
from cortexspec.ir.ops.reduce import Mean, ReduceMax, ReduceMin, Sum
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat, Diagonal, Expand, Index, Merge, Rename, Slice, Split
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Fed, Loop, loop_of, readers, renamed, renamed_outputs, renamed_values


@dataclass(frozen=True, slots=True)
class Again:
    """The line with another op and other operands; its result stays."""

    op: Op
    operands: tuple[Value, ...] = ()


# None: no rule applies. A Value: the line says nothing new.
Folded = Value | Again | None

ROUNDING = 4e-16
_NUMPY = {"float": np.dtype("float64"), "int": np.dtype("int64"), "bool": np.dtype("bool"), "bits": np.dtype("uint32")}


def fold_constants(function: Function) -> Function:
    """Rewrites each line until no rule applies, in every loop body too. A number that enters a loop as a const becomes
    a number inside it, and a carry that never changes becomes a const."""
    names = Names.of(function)
    folder = _Folder(names, readers(function.body, function.outputs))
    folder.fold(function.body)
    return replace(function, body=tuple(folder.lines), outputs=renamed_values(function.outputs, folder.same))


class _Folder:
    """One body: the lines so far, what made each value, and which values turned out to be others."""

    def __init__(self, names: Names, reads: Mapping[str, int], lasting: frozenset[str] = frozenset()):
        self.names, self.reads, self.lasting = names, reads, lasting
        self.lines: list[Line] = []
        self.made: dict[str, Line] = {}
        self.same: dict[str, Value] = {}
        self.span: Span | None = None

    def fold(self, lines: Sequence[Line]) -> None:
        for line in lines:
            line, self.span = renamed(line, self.same), line.span
            if isinstance(line.op, Scan):
                self.append(self.loop(loop_of(line)).line())
                continue
            while (folded := self.rule(line)) is not None:
                if isinstance(folded, Value):
                    self.same[line.result.name] = folded
                    break
                line = replace(line, op=folded.op, operands=folded.operands)
            else:
                self.append(line)

    def append(self, line: Line) -> None:
        self.lines.append(line)
        self.made.update((result.name, line) for result in line.results)

    def loop(self, loop: Loop) -> Loop:
        loop = self.without_idle_carries(loop)
        numbers: list[Line] = []
        for fed in loop.consts:
            known = self.number(fed.outside)
            if known is not None:
                numbers.append(Line((fed.inside,), known, (), self.made[fed.outside.name].span))
        inside = {line.result.name for line in numbers}
        consts = tuple(fed for fed in loop.consts if fed.inside.name not in inside)
        body = _Folder(self.names, readers(loop.lines, loop.outputs), _lasting(loop))
        body.fold((*numbers, *loop.lines))
        return renamed_outputs(replace(loop, consts=consts, lines=tuple(body.lines)), body.same)

    def without_idle_carries(self, loop: Loop) -> Loop:
        idle = [carry for carry in loop.carries if carry.next.name == carry.inside.name]
        self.same.update((carry.result.name, carry.start) for carry in idle)
        consts = (*loop.consts, *(Fed(carry.start, carry.inside) for carry in idle))
        return replace(loop, consts=consts, carries=tuple(carry for carry in loop.carries if carry not in idle))

    # What is known of a value

    def number(self, value: Value) -> Const | None:
        op = self.op(value)
        return op if isinstance(op, Const) else None

    def is_number(self, value: Value, wanted: float) -> bool:
        known = self.number(value)
        return known is not None and known.value == wanted

    def op(self, value: Value) -> Op | None:
        line = self.made.get(value.name)
        return None if line is None else line.op

    def operands(self, value: Value) -> tuple[Value, ...]:
        return self.made[value.name].operands

    def const(self, op: Const) -> Value:
        value = Value(self.names.fresh("const"), op.rule()[0])
        self.append(Line((value,), op, (), self.span))
        return value

    def line(self, op: Op, *operands: Value) -> Value:
        """A line of its own, by the rules where one applies."""
        (type_,) = op.rule(*(operand.type for operand in operands))
        line = Line((Value(self.names.fresh(op.name.rpartition(".")[2]), type_),), op, operands, self.span)
        self.fold([line])
        return self.same.get(line.result.name, line.result)

    # The rules, a method a family

    def rule(self, line: Line) -> Folded:
        op, operands = line.op, line.operands
        if isinstance(op, Elementwise):
            return self.elementwise(op, operands, line.result.type)
        match op:
            case Iota(axis=axis) if axis.size.fixed == 1:
                return Again(Expand((axis,)), (self.const(Const(0, "int")),))
            case SizeOf(axis=axis) if axis.size.fixed is not None:
                return Again(Const(float(axis.size.fixed)))
            case Identity(row=row, column=column) if row.size.fixed == 1 and column.size.fixed == 1:
                return Again(Expand((row, column)), (self.const(Const(1.0)),))
            case Sum(over=over) | Mean(over=over) | ReduceMax(over=over) | ReduceMin(over=over):
                return self.reduction(op, over, operands[0])
            case Contract(over=over):
                return self.contract(op, over, *operands)
            case Rename():
                return self.rename(op, operands[0])
            case Expand(axes=axes):
                return self.expand(axes, operands[0])
            case Slice():
                return self.slice(op, operands[0])
            case Index(axis=axis, place=place):
                return self.index(axis, place, operands[0])
            case Concat():
                return self.concat(op, operands)
            case Merge(axes=axes, axis=axis):
                return self.merge(axes, axis, operands[0])
            case Split(axis=axis, axes=axes):
                return self.split(axis, axes, operands[0])
            case _:
                return None

    def elementwise(self, op: Elementwise, operands: tuple[Value, ...], type_: Type) -> Folded:
        known = [self.number_everywhere(operand) for operand in operands]
        if known and all(number is not None for number in known):
            return self.evaluated(op, [number for number in known if number is not None], type_)
        for place, operand in enumerate(operands):
            source = self.unspread(operand)
            if source is not None:
                others = (*operands[:place], source, *operands[place + 1 :])
                if op.rule(*(value.type for value in others)) == (type_,):
                    return Again(op, others)
        return self.identity(op, operands, type_)

    def evaluated(self, op: Elementwise, numbers: Sequence[Const], type_: Type) -> Folded:
        number = _evaluated(op, numbers, type_)
        if number is None or not type_.axes:
            return None if number is None else Again(number)
        return Again(Expand(type_.axes), (self.const(number),))

    def number_everywhere(self, value: Value) -> Const | None:
        """The number that the value is, at all of its places."""
        source = self.unspread(value)
        return self.number(value if source is None else source)

    def unspread(self, value: Value) -> Value | None:
        return self.operands(value)[0] if isinstance(self.op(value), Expand) else None

    def identity(self, op: Elementwise, operands: tuple[Value, ...], type_: Type) -> Folded:
        match op, operands:
            case Add(), (a, b):
                if self.is_number(b, 0) and a.type == type_:
                    return a
                if self.is_number(a, 0) and b.type == type_:
                    return b
                for x, added in ((a, b), (b, a)):
                    if isinstance(self.op(added), ScatterAdd) and x.type == type_ == added.type:
                        row, index = self.operands(added)
                        if not index.type.axes:
                            return self.row_added(x, row, index, added)
                if isinstance(self.op(b), Neg):
                    return Again(Sub(), (a, *self.operands(b)))
                if isinstance(self.op(a), Neg):
                    return Again(Sub(), (b, *self.operands(a)))
            case Sub(), (a, b):
                if self.is_number(b, 0) and a.type == type_:
                    return a
                if self.is_number(a, 0) and b.type == type_:
                    return Again(Neg(), (b,))
                if isinstance(self.op(b), Neg):
                    return Again(Add(), (a, *self.operands(b)))
            case Mul(), (a, b):
                return self.nothing(a, b, type_) or self.product(a, b, type_) or self.product(b, a, type_)
            case Div(), (a, b):
                if self.is_number(b, 1) and a.type == type_:
                    return a
            case Neg(), (a,):
                if isinstance(self.op(a), Neg):
                    return self.operands(a)[0]
                if isinstance(self.op(a), Sub):
                    x, y = self.operands(a)
                    return Again(Sub(), (y, x))
            case Pow(exponent=1), (a,):
                return a
            case Cast(), (a,):
                return a if a.type == type_ else None
            case Where(), (condition, a, b):
                known = self.number_everywhere(condition)
                if known is not None:
                    taken = a if known.value else b
                    return taken if taken.type == type_ else self.spread(taken, type_)
                if a.name == b.name:
                    return a if a.type == type_ else self.spread(a, type_)
            case _:
                return None
        return None

    def row_added(self, x: Value, row: Value, index: Value, added: Value) -> Folded:
        """x + `added`, which has a row in one place and nothing elsewhere: only that place of x changes."""
        (axis,) = added.type.names - row.type.names
        was = self.line(Gather(axis), x, index)
        return Again(Put(axis), (x, self.line(Add(), was, row), index))

    def product(self, a: Value, b: Value, type_: Type) -> Folded:
        """a*b where a is a number."""
        factor = self.number(a)
        if factor is None:
            everywhere = self.number_everywhere(a)
            is_one = everywhere is not None and everywhere.value == 1
            return self.spread(b, type_) if is_one and b.type != type_ else None
        if factor.value == 1 and b.type == type_:
            return b
        if factor.value == -1 and b.type == type_:
            return Again(Neg(), (b,))
        if isinstance(self.op(b), Neg):
            return Again(Mul(), (self.const(replace(factor, value=-factor.value)), *self.operands(b)))
        if isinstance(self.op(b), Mul):
            x, y = self.operands(b)
            for inner, rest in ((x, y), (y, x)):
                known = self.number(inner)
                if known is not None:
                    value = factor.value * known.value
                    value = 1.0 if abs(value - 1) < ROUNDING else value  # a number and its inverse
                    both = Const(value, factor.dtype, factor.unit * known.unit)
                    return Again(Mul(), (self.const(both), rest))
        inner, rest = self.without_number(b)
        return Again(Mul(), (self.line(Mul(), a, self.const(inner)), rest)) if inner is not None else None

    def nothing(self, a: Value, b: Value, type_: Type) -> Folded:
        """0 times what is never infinite, or what goes on saying so itself. Of other things that may be, 0 times that is no number, and
        says that a run went out of bounds."""
        for zero, x in ((a, b), (b, a)) if type_.dtype == "float" else ():
            number = self.number_everywhere(zero)
            if number is not None and number.value == 0 and (self.is_bounded(x) or self.is_lasting(x)):
                nothing = Const(0.0, type_.dtype, type_.unit)
                return Again(Expand(type_.axes), (self.const(nothing),)) if type_.axes else Again(nothing)
        return None

    def is_bounded(self, value: Value) -> bool:
        match self.op(value):
            case Tanh() | Sigmoid() | Const() | Identity() | Normal() | Uniform():
                return True
            case Mul() | Rename() | Expand() | Merge() | Split():
                return all(self.is_bounded(operand) for operand in self.operands(value))
            case _:
                return False

    def is_lasting(self, value: Value) -> bool:
        """Whether it is made of states that stay out of bounds once they are."""
        if value.name in self.lasting:
            return True
        views = Sum | Mean | Rename | Expand | Index | Slice | Concat | Merge | Split
        return isinstance(self.op(value), views) and all(self.is_lasting(operand) for operand in self.operands(value))

    def spread(self, x: Value, type_: Type) -> Folded:
        """x at every place of the axes that it lacks of the type."""
        missing = tuple(axis for axis in type_.axes if not x.type.has(axis.name))
        if (x.type.dtype, x.type.unit) != (type_.dtype, type_.unit):
            return None
        return Again(Expand(missing), (x,))

    def without_number(self, value: Value) -> tuple[Const | None, Value]:
        """A number that the value is a multiple of, and the value without it: numbers meet in front of a product."""
        line = self.made.get(value.name)
        if line is None or self.reads.get(value.name) != 1:
            return None, value
        match line.op:
            case Mul():
                for a, b in (line.operands, line.operands[::-1]):
                    known = self.number(a)
                    if known is not None:
                        return known, b
                for a, b in (line.operands, line.operands[::-1]):
                    known, rest = self.without_number(a)
                    if known is not None:
                        return known, self.line(Mul(), rest, b)
            case Rename() | Split() | Merge() | Expand():
                known, rest = self.without_number(line.operands[0])
                if known is not None:
                    return known, self.line(line.op, rest)
            case _:
                pass
        return None, value

    def reduction(self, op: Op, over: tuple[str, ...], x: Value) -> Folded:
        if not over:
            return x
        if len(over) == 1 and x.type.axis(over[0]).size.fixed == 1:
            return Again(Index(over[0], Size.of(0)), (x,))
        match self.op(x):
            case Expand(axes=spread) if not isinstance(op, Sum) and set(over) <= {axis.name for axis in spread}:
                return Again(Expand(_without(spread, over)), self.operands(x))
            case Identity(row=row, column=column) if len(over) == 1 and isinstance(op, Sum | Mean):
                share = 1.0 if isinstance(op, Sum) else 1 / row.size.fixed if row.size.fixed else None
                kept = column if over == (row.name,) else row
                return None if share is None else Again(Expand((kept,)), (self.const(Const(share)),))
            case Mul() if isinstance(op, Sum | Mean):
                for a, b in (self.operands(x), self.operands(x)[::-1]):
                    unit = self.op(b)
                    if isinstance(op, Sum) and isinstance(unit, Identity):
                        summed = [name for name in (unit.row.name, unit.column.name) if name in over]
                        if len(summed) == 1:
                            kept = unit.column if summed == [unit.row.name] else unit.row
                            rest = tuple(name for name in over if name not in summed)
                            return Again(Sum(rest), (self.on_diagonal(a, summed[0], kept),))
                    if not a.type.names.intersection(over) and b.type.names.issuperset(over):
                        return Again(Mul(), (a, self.line(op, b)))
                return None
            case _:
                return None

    def on_diagonal(self, x: Value, summed: str, kept: Axis) -> Value:
        """x where both axes are at one place, along the one that is kept."""
        if not x.type.has(summed):
            return x if x.type.has(kept.name) else self.line(Expand((kept,)), x)
        if not x.type.has(kept.name):
            return self.line(Rename(((summed, kept.name),)), x)
        return self.line(Diagonal(summed, kept.name, kept), x)

    def contract(self, op: Contract, over: tuple[str, ...], a: Value, b: Value) -> Folded:
        """A contraction with the identity matrix gives an axis another name; one over a single place is a product."""
        if not over:
            return Again(Mul(), (a, b))
        for name in over:
            if a.type.axis(name).size.fixed == 1:
                first, second = (self.line(Index(name, Size.of(0)), x) for x in (a, b))
                return Again(Contract(tuple(each for each in over if each != name)), (first, second))
        for matrix, x in ((a, b), (b, a)):
            mapping, rest = self.units(matrix, over, x)
            if len(mapping) == len(over):
                if not rest:
                    return Again(Rename(tuple(mapping.items())), (x,))
                product = self.line(Rename(tuple(mapping.items())), x)
                for factor in rest[1:]:
                    product = self.line(Mul(), product, factor)
                return Again(Mul(), (product, rest[0]))
        return None

    def units(self, matrix: Value, over: tuple[str, ...], x: Value) -> tuple[dict[str, str], list[Value]]:
        """For each axis of `over` the one that an identity matrix among the factors turns it into, and the other factors.

        Nothing where another factor has an axis of `over`, or x the new one.
        """
        mapping: dict[str, str] = {}
        rest: list[Value] = []
        for factor in self.factors(matrix):
            op = self.op(factor)
            pair = (op.row.name, op.column.name) if isinstance(op, Identity) else ("", "")
            summed = [name for name in pair if name in over and name not in mapping]
            if len(summed) == 1:
                mapping[summed[0]] = pair[1 - pair.index(summed[0])]
            else:
                rest.append(factor)
        taken = set(over) | set(mapping.values())
        if any(factor.type.names & taken for factor in rest) or x.type.names.intersection(mapping.values()):
            return {}, []
        return mapping, rest

    def factors(self, value: Value) -> list[Value]:
        if isinstance(self.op(value), Mul):
            return [factor for operand in self.operands(value) for factor in self.factors(operand)]
        return [value]

    def rename(self, op: Rename, x: Value) -> Folded:
        mapping = {old: new for old, new in op.mapping if old != new}
        if not mapping:
            return x
        if len(mapping) < len(op.mapping):
            return Again(Rename(tuple(mapping.items())), (x,))
        match self.op(x):
            case Rename(mapping=first):
                back = {new: old for old, new in first}
                both = dict(first) | {back.get(old, old): new for old, new in mapping.items()}
                return Again(Rename(tuple(both.items())), self.operands(x))
            case Expand(axes=axes) if mapping.keys() <= {axis.name for axis in axes}:
                return Again(Expand(tuple(_called(axis, mapping) for axis in axes)), self.operands(x))
            case Identity(row=row, column=column):
                return Again(Identity(_called(row, mapping), _called(column, mapping)))
            case Concat(parts=parts, axis=axis) if mapping.keys() == {axis.name}:
                return Again(Concat(parts, _called(axis, mapping)), self.operands(x))
            case Slice(result=result) as cut if mapping.keys() == {result.name}:
                return Again(replace(cut, result=_called(result, mapping)), self.operands(x))
            case Contract(over=over) if self.reads.get(x.name) == 1:
                a, b = self.operands(x)
                return self.rename_of_contract(over, a, b, mapping)
            case Mul() if any(isinstance(self.op(factor), Identity | Const) for factor in self.factors(x)):
                return Again(Mul(), tuple(self.called(factor, mapping) for factor in self.operands(x)))
            case _:
                return None

    def rename_of_contract(self, over: tuple[str, ...], a: Value, b: Value, mapping: Mapping[str, str]) -> Folded:
        """The weight's own axis is renamed instead: mostly in front of a loop, and the product can join a sum.

        A name that is summed over changes places with the one that takes it: W^T @ y along the axis of y.
        """
        for weight, x in ((a, b), (b, a)):
            own, summed = weight.type.names - x.type.names, {old: new for old, new in mapping.items() if new in over}
            rest = {new for old, new in mapping.items() if old not in summed}
            if own.issuperset(mapping) and not (weight.type.names | x.type.names) & rest:
                back = {new: old for old, new in summed.items()}
                turned = tuple(back.get(name, name) for name in over)
                return Again(Contract(turned), (self.called(weight, {**mapping, **back}), self.called(x, back)))
        return None

    def called(self, x: Value, mapping: Mapping[str, str]) -> Value:
        """x with those of its axes renamed that it has."""
        own = tuple((old, new) for old, new in mapping.items() if x.type.has(old))
        return self.line(Rename(own), x) if own else x

    def expand(self, axes: tuple[Axis, ...], x: Value) -> Folded:
        if not axes:
            return x
        first = self.op(x)
        return Again(Expand((*first.axes, *axes)), self.operands(x)) if isinstance(first, Expand) else None

    def slice(self, op: Slice, x: Value) -> Folded:
        axis = x.type.axis(op.axis)
        if op.start == Size.of(0) and op.stop == axis.size:
            return Again(Rename(((op.axis, op.result.name),)), (x,))
        match self.op(x):
            case Concat() as joined if joined.axis.name == op.axis:
                return self.slice_of_concat(op, joined, self.operands(x))
            case Slice() as first if first.result.name == op.axis:
                start, stop = first.start + op.start, first.start + op.stop
                return Again(Slice(first.axis, start, stop, op.result), self.operands(x))
            case Expand(axes=axes) if op.axis in {axis.name for axis in axes}:
                return Again(Expand((*_without(axes, (op.axis,)), op.result)), self.operands(x))
            case _:
                return None

    def slice_of_concat(self, op: Slice, joined: Concat, parts: tuple[Value, ...]) -> Folded:
        """The one part that the slice lies in, if it is known to."""
        start = Size.of(0)
        for value, name in zip(parts, joined.parts, strict=True):
            stop = start + value.type.axis(name).size
            if _known_between(start, op.start, op.stop, stop):
                return Again(Slice(name, op.start - start, op.stop - start, op.result), (value,))
            start = stop
        return None

    def index(self, axis: str, place: Size, x: Value) -> Folded:
        match self.op(x):
            case Expand(axes=axes) if axis in {each.name for each in axes}:
                return Again(Expand(_without(axes, (axis,))), self.operands(x))
            case Slice() as cut if cut.result.name == axis:
                return Again(Index(cut.axis, cut.start + place), self.operands(x))
            case Concat() as joined if joined.axis.name == axis:
                start = Size.of(0)
                for value, name in zip(self.operands(x), joined.parts, strict=True):
                    stop = start + value.type.axis(name).size
                    if _known_between(start, place, place + 1, stop):
                        return Again(Index(name, place - start), (value,))
                    start = stop
                return None
            case _:
                return None

    def concat(self, op: Concat, parts: tuple[Value, ...]) -> Folded:
        if len(parts) == 1:
            return Again(Rename(((op.parts[0], op.axis.name),)), parts)
        return self.concat_of_spread(op, parts) or self.concat_of_slices(op, parts) or self.concat_of_alike(op, parts)

    def concat_of_spread(self, op: Concat, parts: tuple[Value, ...]) -> Folded:
        """One value at every place of every part."""
        sources = [self.unspread(part) for part in parts]
        first = sources[0]
        if first is None or first.type.has(op.parts[0]):
            return None
        for source, part in zip(sources, op.parts, strict=True):
            if source is None or source.type != first.type or source.type.has(part):
                return None
            if source.name != first.name and (self.number(first) is None or self.number(source) != self.number(first)):
                return None
        rest = parts[0].type.without([op.parts[0]])
        return Again(Expand((*_without(rest, first.type.names), op.axis)), (first,))

    def concat_of_slices(self, op: Concat, parts: tuple[Value, ...]) -> Folded:
        """Slices of one value, side by side as they were, are one slice."""
        cuts: list[Slice] = []
        for part, name in zip(parts, op.parts, strict=True):
            cut = self.op(part)
            if not isinstance(cut, Slice) or cut.result.name != name:
                return None
            if self.operands(part) != self.operands(parts[0]) or (cuts and cut.start != cuts[-1].stop):
                return None
            if cuts and cut.axis != cuts[0].axis:
                return None
            cuts.append(cut)
        return Again(Slice(cuts[0].axis, cuts[0].start, cuts[-1].stop, op.axis), self.operands(parts[0]))

    def concat_of_alike(self, op: Concat, parts: tuple[Value, ...]) -> Folded:
        """What is computed alike of parts that lie side by side is computed of the whole: `concat(a[0:3] + b[0:3], a[3:5] + b[3:5])`."""
        if not isinstance(self.op(parts[0]), Elementwise) or not self.lie_together(op, parts):
            return None
        whole = [self.together(op, operands) for operands in zip(*map(self.operands, parts), strict=True)]
        return Again(self.made[parts[0].name].op, tuple(whole))

    def lie_together(self, op: Concat, parts: tuple[Value, ...]) -> bool:
        """Whether these are one value for all parts, slices side by side, or made alike of such, and nobody else reads them."""
        if len({part.name for part in parts}) == 1:
            return not any(parts[0].type.has(name) for name in op.parts)
        first = self.op(parts[0])
        if isinstance(first, Const):
            return all(self.op(part) == first for part in parts)
        if isinstance(first, Slice):
            return self.concat_of_slices(op, parts) is not None
        return (
            isinstance(first, Elementwise)
            and all(part.type.has(name) for part, name in zip(parts, op.parts, strict=True))
            and all(self.op(part) == first and self.reads.get(part.name, 0) == 1 for part in parts)
            and all(self.lie_together(op, operands) for operands in zip(*map(self.operands, parts), strict=True))
        )

    def together(self, op: Concat, parts: tuple[Value, ...]) -> Value:
        """The whole of parts that lie together."""
        if len({part.name for part in parts}) == 1 or isinstance(self.op(parts[0]), Const):
            return parts[0]
        if isinstance(self.op(parts[0]), Slice):
            slices = self.concat_of_slices(op, parts)
            assert isinstance(slices, Again)
            return self.line(slices.op, *slices.operands)
        whole = [self.together(op, operands) for operands in zip(*map(self.operands, parts), strict=True)]
        return self.line(self.made[parts[0].name].op, *whole)

    def merge(self, axes: tuple[str, ...], axis: Axis, x: Value) -> Folded:
        if len(axes) == 1:
            return Again(Rename(((axes[0], axis.name),)), (x,))
        match self.op(x):
            case Split() as split if tuple(each.name for each in split.axes) == axes:
                return Again(Rename(((split.axis, axis.name),)), self.operands(x))
            case Expand(axes=spread) if set(axes) <= {each.name for each in spread}:
                return Again(Expand((*_without(spread, axes), axis)), self.operands(x))
            case _:
                return None

    def split(self, axis: str, axes: tuple[Axis, ...], x: Value) -> Folded:
        match self.op(x):
            case Merge() as merge if merge.axis.name == axis and len(merge.axes) == len(axes):
                old = [self.operands(x)[0].type.axis(name) for name in merge.axes]
                if [each.size for each in old] != [each.size for each in axes]:
                    return None
                mapping = tuple((each.name, new.name) for each, new in zip(old, axes, strict=True))
                return Again(Rename(mapping), self.operands(x))
            case Expand(axes=spread) if axis in {each.name for each in spread}:
                return Again(Expand((*_without(spread, (axis,)), *axes)), self.operands(x))
            case _:
                return None


def _lasting(loop: Loop) -> frozenset[str]:
    """Carries that a step adds to: where one is not finite, its next value is not either."""
    summed = {
        carry.inside.name: {carry.inside.name} for carry in loop.carries
    }  # the carries that a value is a sum of, each at its own places
    for line in loop.lines:
        if isinstance(line.op, Add | Sub | Neg):
            summed[line.result.name] = {name for value in line.operands for name in summed.get(value.name, ())}
    return frozenset(each.inside.name for each in loop.carries if each.inside.name in summed.get(each.next.name, ()))


def _evaluated(op: Elementwise, numbers: Sequence[Const], type_: Type) -> Const | None:
    """The number; nothing where it is not finite, which text could not say."""
    with np.errstate(all="ignore"):
        array = op.compute(*(np.asarray(each.value, _NUMPY[each.dtype]) for each in numbers))
        value = np.asarray(array, _NUMPY[type_.dtype]).item()
    return Const(value, type_.dtype, type_.unit) if isfinite(value) else None


def _called(axis: Axis, mapping: Mapping[str, str]) -> Axis:
    return replace(axis, name=mapping.get(axis.name, axis.name))


def _without(axes: Sequence[Axis], names: Sequence[str] | frozenset[str]) -> tuple[Axis, ...]:
    return tuple(axis for axis in axes if axis.name not in names)


def _known_between(low: Size, start: Size, stop: Size, high: Size) -> bool:
    """Whether low <= start and stop <= high, as far as it shows without the values of symbols (which are not negative)."""
    return all(factor >= 0 for difference in (start - low, high - stop) for _, factor in difference.terms)
