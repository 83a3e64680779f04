"""In a loop, axes that have one place whatever the sizes are left out: a population of one neuron is one array [instance, sample].

Lines then are elementwise that summed over such an axis or spread along it, which `extract-linear-part` and engines both see through.
The axes go and come at the border of the loop, and around a line that names them and has no other form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Elementwise
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.reduce import CumulativeSum, Mean, ReduceMax, ReduceMin, Sum
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat, Expand, Flip, Index, Pad, Rename, Slice
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Fed, Given, Loop, loop_of


def squeeze(function: Function) -> Function:
    """Loop bodies only. Axes of samples stay."""
    return replace(function, body=_squeezed(function.body, Names.of(function)))


def _squeezed(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            writing = _Writing(replace(loop, lines=_squeezed(loop.lines, names)), names)
            loop = writing.loop()
            done += [*writing.before.lines, loop.line(), *writing.after.lines]
        else:
            done.append(line)
    return tuple(done)


def _is_single(axis: Axis) -> bool:
    return axis.size.fixed == 1 and axis.role == "plain"


def _single(type_: Type) -> tuple[Axis, ...]:
    return tuple(axis for axis in type_.axes if _is_single(axis))


class _Writing:
    """Writes a loop again. `small` has for each value of the old body what it is without its axes of one place."""

    def __init__(self, loop: Loop, names: Names):
        self.old = loop
        self.before, self.build, self.after = (Builder(names) for _ in range(3))
        self.before.span = self.after.span = loop.span
        self.small: dict[str, Value] = {}

    def loop(self) -> Loop:
        consts = tuple(self.fed(fed) for fed in self.old.consts)
        carries = tuple(self.fed(Fed(carry.start, carry.inside)) for carry in self.old.carries)
        xs = tuple(self.fed(fed) for fed in self.old.xs)
        for line in self.old.lines:
            self.build.span = line.span
            self.line(line)
        return replace(
            self.old,
            lines=tuple(self.build.lines),
            consts=consts,
            carries=tuple(
                replace(
                    carry,
                    start=fed.outside,
                    inside=fed.inside,
                    next=self.small[carry.next.name],
                    result=self.left(carry.result),
                )
                for carry, fed in zip(self.old.carries, carries, strict=True)
            ),
            xs=xs,
            stacks=tuple(self.given(given) for given in self.old.stacks),
            sums=tuple(self.given(given) for given in self.old.sums),
        )

    def fed(self, fed: Fed) -> Fed:
        outside = _without(self.before, fed.outside, _single(fed.inside.type))
        self.small[fed.inside.name] = Value(fed.inside.name, _smaller(fed.inside.type))
        return Fed(outside, self.small[fed.inside.name])

    def given(self, given: Given) -> Given:
        return replace(given, inside=self.small[given.inside.name], result=self.left(given.result))

    def left(self, wanted: Value) -> Value:
        """A result of the loop without the axes, from which one with them is written under the old name."""
        axes = _single(wanted.type)
        if not axes:
            return wanted
        result = Value(self.after.names.fresh(wanted.name), _smaller(wanted.type))
        self.after.lines.append(Line((wanted,), Expand(axes), (result,), self.after.span))
        return result

    def line(self, line: Line) -> None:
        if not any(_single(value.type) for value in (*line.operands, *line.results)):
            self.build.lines.append(replace(line, operands=tuple(self.small[value.name] for value in line.operands)))
            self.small.update((value.name, value) for value in line.results)
            return
        found = self.written(line)
        if found is not None:
            self.small[line.result.name] = found
            return
        operands = [write.expand(self.build, self.small[value.name], _single(value.type)) for value in line.operands]
        self.build.lines.append(replace(line, operands=tuple(operands)))
        for value in line.results:
            self.small[value.name] = _without(self.build, value, _single(value.type))

    def written(self, line: Line) -> Value | None:
        """The line without the axes, where that is a line of its kind or none at all."""
        op, operands = line.op, [self.small[value.name] for value in line.operands]
        single = {axis.name for value in line.operands for axis in _single(value.type)}
        match op:
            case Elementwise():
                return self.build.one(op, *operands, hint=line.result.name)
            case Sum(over=over) | Mean(over=over) | ReduceMax(over=over) | ReduceMin(over=over):
                rest = _rest(over, single)
                return self.build.one(replace(op, over=rest), *operands) if rest else operands[0]
            case Contract(over=over):
                return write.contract(self.build, operands[0], operands[1], _rest(over, single))
            case Rename(mapping=mapping):
                pairs = {old: new for old, new in mapping if old not in single}
                return write.rename(self.build, operands[0], pairs) if pairs else operands[0]
            case Expand(axes=axes):
                return write.expand(self.build, operands[0], [axis for axis in axes if not _is_single(axis)])
            case Index(axis=axis) if axis in single:
                return operands[0]
            case Slice(axis=axis, result=result) if _is_single(result):
                return operands[0] if axis in single else self.build.one(Index(axis, op.start), operands[0])
            case Slice(axis=axis) | Index(axis=axis) | Pad(axis=axis) | Flip(axis=axis) | CumulativeSum(axis=axis):
                return self.build.one(op, *operands) if axis not in single else None
            case Concat(parts=parts, axis=axis) if not _is_single(axis):
                joined = zip(operands, line.operands, parts, strict=True)
                whole = [write.expand(self.build, x, _absent(x, old.type.axis(part))) for x, old, part in joined]
                return self.build.one(op, *whole, hint=line.result.name)
            case _:
                return None


def _absent(value: Value, axis: Axis) -> tuple[Axis, ...]:
    return () if value.type.has(axis.name) else (axis,)


def _rest(names: Iterable[str], single: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in single)


def _smaller(type_: Type) -> Type:
    return type_.with_axes(axis for axis in type_.axes if not _is_single(axis))


def _without(build: Builder, value: Value, axes: Iterable[Axis]) -> Value:
    for axis in axes:
        value = write.index(build, value, axis.name, 0)
    return value
