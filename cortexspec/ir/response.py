"""How values change with a few of them, where they depend on these linearly: the same lines, run on the change alone.

A line that multiplies what changes by what does not is run again with the change in the place of the operand, so an exact jump
costs one product and no difference of large numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortexspec.diagnostics import Span
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Div, Mul, Neg, Sub, Where
from cortexspec.ir.ops.events import Deliver
from cortexspec.ir.ops.indexing import Gather, ScatterAdd
from cortexspec.ir.ops.linear import Contract, SparseProduct
from cortexspec.ir.ops.reduce import CumulativeSum, Mean, Sum
from cortexspec.ir.ops.shape import Concat, Diagonal, Expand, Flip, Index, Merge, Pad, Rename, Slice, Split

_OF_ONE = (Neg, Expand, Rename, Slice, Index, Pad, Flip, Merge, Split, Sum, Mean, CumulativeSum, Diagonal)


@dataclass
class NotLinearHere(Exception):
    """A line does something else with what changes than add it, or multiply it by what stays."""

    span: Span | None


def responses(build: Builder, lines: Sequence[Line], changes: Mapping[str, Value]) -> dict[str, Value]:
    """The change of each value that depends on those named in `changes`, which gives theirs; all may be in other units alike.

    `lines` are those of `build`'s function, to which the new ones are added. A change may lack axes along which it is the same.
    Raises: NotLinearHere.
    """
    found = dict(changes)
    before = build.span
    for line in tuple(lines):
        if any(operand.name in found for operand in line.operands):
            build.span = line.span
            found[line.results[0].name] = _response(build, line, found)
    build.span = before
    return found


def _response(build: Builder, line: Line, known: Mapping[str, Value]) -> Value:
    changes = [known.get(operand.name) for operand in line.operands]
    places = [place for place, change in enumerate(changes) if change is not None]
    match line.op:
        case Add() | Sub():
            return _sum(build, line, changes)
        case Mul() if len(places) == 1:
            return _again(build, line, places[0], known)
        case Div() if places == [0]:
            return _again(build, line, 0, known)
        case Where() if changes[0] is None:
            some = next(change for change in changes[1:] if change is not None)
            a, b = (write.zero_like(build, some) if change is None else change for change in changes[1:])
            return write.where(build, line.operands[0], a, b)
        case Concat():
            some = next(change for change in changes if change is not None)
            none = write.zero_like(build, some)
            parts = [
                _whole(build, none if change is None else change, operand)
                for change, operand in zip(changes, line.operands, strict=True)
            ]
            return build.one(line.op, *parts)
        case Contract() if len(places) == 1:
            return _again(build, line, places[0], known)
        case Gather() | ScatterAdd() if places == [0]:
            return _again(build, line, 0, known)
        case Deliver() if places == [0]:
            return _delivered(build, line, line.op, known)
        case SparseProduct() if len(places) == 1:
            return _again(build, line, places[0], known)
        case op if isinstance(op, _OF_ONE):
            return _again(build, line, 0, known)
        case _:
            raise NotLinearHere(line.span)


def _sum(build: Builder, line: Line, changes: Sequence[Value | None]) -> Value:
    a, b = changes
    if a is not None and b is not None:
        return build.one(line.op, a, b)
    if a is not None:
        return a
    assert b is not None
    return write.neg(build, b) if isinstance(line.op, Sub) else b


def _again(build: Builder, line: Line, place: int, known: Mapping[str, Value]) -> Value:
    operand = line.operands[place]
    change = known[operand.name]
    if not isinstance(line.op, Mul | Div):
        change = _whole(build, change, operand)
    return build.one(line.op, *line.operands[:place], change, *line.operands[place + 1 :])


def _delivered(build: Builder, line: Line, deliver: Deliver, known: Mapping[str, Value]) -> Value:
    """What the change alone delivers, to a ring that has nothing yet."""
    z, rows, target, weight, ring, *when = line.operands
    change = _whole(build, known[z.name], z)
    empty = write.zeros(build, ring.type.with_unit(change.type.unit * weight.type.unit))
    return build.one(deliver, change, rows, target, weight, empty, *when)


def _whole(build: Builder, change: Value, value: Value) -> Value:
    """With all axes of the value that changes."""
    return write.expand(build, change, [axis for axis in value.type.axes if not change.type.has(axis.name)])
