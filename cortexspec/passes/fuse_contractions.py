"""In a loop, contractions of one value with several weights become one, with the weights stacked in front of the loop.

    a = A @ x;  b = B @ x        ->        ab = AB @ x;  a, b = slices of ab

The stages of a solver and the gates of a recurrent unit read one value through several matrices; one larger product starts one
kernel and reads the value once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Slice
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis
from cortexspec.passes.linearity import sample_axes
from cortexspec.passes.loop import Fed, Loop, loop_of


def fuse_contractions(function: Function) -> Function:
    """Weights are consts of the loop (so after `hoist`), of one unit, with one axis each that the value does not have."""
    return replace(function, body=_fused(function.body, Names.of(function)))


def _fused(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            before = Builder(names)
            before.span = line.span
            loop = _loop(replace(loop, lines=_fused(loop.lines, names)), before)
            done += [*before.lines, loop.line()]
        else:
            done.append(line)
    return tuple(done)


def _loop(loop: Loop, before: Builder) -> Loop:
    consts = {fed.inside.name: fed for fed in loop.consts}
    groups: dict[tuple[object, ...], list[tuple[Line, Value, Axis]]] = {}
    for line in loop.lines:
        found = _weighed(line, consts)
        if found is not None:
            weight, row, key = found
            groups.setdefault(key, []).append((line, weight, row))
    stacked = {members[0][0].result.name: members for members in groups.values() if len(members) > 1}
    if not stacked:
        return loop
    gone = {line.result.name for members in stacked.values() for line, _, _ in members}
    body, added = Builder(before.names), list[Fed]()
    for line in loop.lines:
        name = line.results[0].name
        if name in stacked:
            members = stacked[name]
            fed, size = _stack([(consts[weight.name], row) for _, weight, row in members], before)
            added.append(fed)
            _write(body, members, fed.inside, size)
        elif name not in gone:
            body.lines.append(line)
    return replace(loop, consts=(*loop.consts, *added), lines=tuple(body.lines))


def _weighed(line: Line, consts: dict[str, Fed]) -> tuple[Value, Axis, tuple[object, ...]] | None:
    """The weight, its own axis, and what contractions that go together have in common."""
    if not isinstance(line.op, Contract):
        return None
    for weight, x in (line.operands, line.operands[::-1]):
        rows = [axis for axis in weight.type.axes if not x.type.has(axis.name)]
        if weight.name in consts and x.name not in consts and len(rows) == 1 and not sample_axes(weight.type):
            rest = weight.type.without([rows[0].name])
            return weight, rows[0], (x.name, frozenset(line.op.over), rest, weight.type.unit, rows[0].role)
    return None


def _stack(members: Sequence[tuple[Fed, Axis]], before: Builder) -> tuple[Fed, Axis]:
    """The weights one above the other, outside and inside; and their common axis."""
    size = sum((row.size for _, row in members), Size.of(0))
    axis = before.axis("stacked", size, members[0][1].role)
    stacked = write.concat(before, [fed.outside for fed, _ in members], [row.name for _, row in members], axis)
    return Fed(stacked, Value(before.names.fresh(stacked.name), stacked.type)), axis


def _write(body: Builder, members: Sequence[tuple[Line, Value, Axis]], weight: Value, axis: Axis) -> None:
    """One product, and each result as a slice of it."""
    first, old, _ = members[0]
    body.span = first.span
    x = next(value for value in first.operands if value.name != old.name)
    assert isinstance(first.op, Contract)
    whole = write.contract(body, weight, x, first.op.over)
    start = Size.of(0)
    for line, _, row in members:
        cut = Slice(axis.name, start, start + row.size, row)
        body.lines.append(Line(line.results, cut, (whole,), line.span))
        start = start + row.size
