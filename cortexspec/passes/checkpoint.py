"""Rewrite a loop as a loop of loops: the reverse pass stores one state a segment and redoes one segment at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import renamed as fresh_copy
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.specialise import specialise
from cortexspec.ir.types import Axis

Segments = int | Sequence[int]


def checkpoint(function: Function, segment: Segments, sizes: Mapping[str, int] | None = None) -> Function:
    """Every loop over time of T steps becomes T/k segments of k steps, and a loop over the steps that are left.

    The outer loop saves only its carry; inner ones keep their policy. Several lengths nest, longest first: `(100, 10)` cuts
    segments of 100 steps into ten of 10. With `sizes` the function is first made for these sizes: a loop that is not longer
    than a segment then stays, and nothing is left over where k divides T.
    Raises: ValueError unless each segment is shorter than the one around it, and of two steps or more.
    """
    lengths = [segment] if isinstance(segment, int) else list(segment)
    if not lengths or lengths[-1] < 1 or any(b >= a for a, b in pairwise(lengths)):
        raise ValueError(f"segments shrink from the outside in and have at least one step: {lengths}")
    return _checkpoint(specialise(function, sizes or {}), lengths, Names.of(function))


def _checkpoint(function: Function, lengths: Sequence[int], names: Names) -> Function:
    build = Builder(names)
    for line in function.body:
        if isinstance(line.op, Scan) and line.op.over.role == "time":
            _cut(build, line, lengths)
        else:
            build.lines.append(line)
    return replace(function, body=tuple(build.lines))


def _cut(build: Builder, line: Line, lengths: Sequence[int]) -> None:
    """Writes the loop of loops; its results get the names of the line's."""
    op = line.op
    assert isinstance(op, Scan)
    build.span = line.span
    size = op.over.size
    length = lengths[0]
    if size.fixed is not None and size.fixed <= length:
        build.lines.append(line)
        return
    segments = size.floor_div(length)
    whole = segments * length
    pieces = [(Size.of(0), whole)]
    if whole != size:
        pieces.append((whole, size))
    if op.reverse:
        pieces.reverse()

    consts, carry, xs = (list(part) for part in op.split(line.operands))
    stacks: list[list[Value]] = [[] for _ in range(op.stack)]
    axes: list[Axis] = []
    sums: list[Value] = []
    for start, stop in pieces:
        along = build.axis(op.over.name, stop - start, "time")
        parts = [write.slice_(build, x, op.over.name, start, stop, along) for x in xs]
        axes.append(along)
        if stop == whole:
            carry, given, terms = _segments(build, op, consts, carry, parts, along, segments, lengths)
        else:
            carry, given, terms = _plain(build, op, consts, carry, parts, along)
        for stack, part in zip(stacks, given, strict=True):
            stack.append(part)
        sums = [write.add(build, a, b) for a, b in zip(sums, terms, strict=True)] if sums else terms
    joined = [_joined(build, parts, axes, op) for parts in stacks]
    _rename_results(build, line, [*carry, *joined, *sums])


def _segments(
    build: Builder,
    op: Scan,
    consts: list[Value],
    carry: list[Value],
    xs: list[Value],
    along: Axis,
    segments: Size,
    lengths: Sequence[int],
) -> tuple[list[Value], list[Value], list[Value]]:
    """The loop over whole segments; results as (carry, stack, sum), stacks along `along`."""
    outer = Axis(build.names.fresh_axis("segment"), segments, "time")
    inner = Axis(build.names.fresh_axis(op.over.name), Size.of(lengths[0]), "time")
    split = [write.split(build, x, along.name, [outer, inner]) for x in xs]
    body = Builder(build.names)

    def inside(value: Value, drop: str | None = None) -> Value:
        axes = value.type.axes if drop is None else value.type.without([drop])
        return Value(build.names.fresh(value.name), value.type.with_axes(axes))

    held = [inside(value) for value in consts]
    state = [inside(value) for value in carry]
    frames = [inside(value, outer.name) for value in split]
    after, stacked, terms = _plain(body, op, held, state, frames, inner)
    segment = Function(
        build.names.fresh("segment"), (*held, *state, *frames), tuple(body.lines), (*after, *stacked, *terms)
    )
    if len(lengths) > 1:
        segment = _checkpoint(segment, lengths[1:], build.names)
    scan = Scan(segment, op.consts, op.carry, op.xs, op.stack, op.sum, outer, op.reverse, "carry")
    results = build.emit(scan, *consts, *carry, *split, hint="segments")
    ends, stacks, totals = scan.divide(results)
    merged = [write.merge(build, x, [outer.name, inner.name], along) for x in stacks]
    return list(ends), merged, list(totals)


def _plain(
    build: Builder, op: Scan, consts: list[Value], carry: list[Value], xs: list[Value], along: Axis
) -> tuple[list[Value], list[Value], list[Value]]:
    """The loop's own body over another axis, under fresh names."""
    scan = replace(op, body=fresh_copy(op.body, build.names), over=along)
    results = build.emit(scan, *consts, *carry, *xs, hint="part")
    ends, stacks, totals = scan.divide(results)
    return list(ends), list(stacks), list(totals)


def _joined(build: Builder, parts: list[Value], axes: list[Axis], op: Scan) -> Value:
    """Stacks of the pieces end to end along the loop's axis, in the order of time whichever way the loop runs."""
    if len(parts) == 1:
        return write.rename(build, parts[0], {axes[0].name: op.over.name})
    step = -1 if op.reverse else 1
    return write.concat(build, parts[::step], [axis.name for axis in axes[::step]], op.over)


def _rename_results(build: Builder, line: Line, values: Sequence[Value]) -> None:
    """Lets the lines written give the results that the rest of the function reads."""
    names = {value.name: result for value, result in zip(values, line.results, strict=True)}
    build.lines = [
        replace(
            made,
            results=tuple(names.get(value.name, value) for value in made.results),
            operands=tuple(names.get(value.name, value) for value in made.operands),
        )
        for made in build.lines
    ]
