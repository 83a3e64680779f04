"""In a loop, a sum or mean over values that were only joined for it becomes the sum of the parts.

    mean(concat(v_ss, v_ii))        ->        1/2*(v_ss + v_ii)

An engine that fuses elementwise lines reads the parts where they are; joining them would write and read each once more.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.reduce import Mean, Sum
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Concat
from cortexspec.passes.loop import Loop, loop_of, made_by, named, readers


def sum_parts(function: Function) -> Function:
    """Loop bodies only, and joined values that nothing else reads."""
    return replace(function, body=_in_loops(function.body, Names.of(function)))


def _in_loops(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            line = _summed(replace(loop, lines=_in_loops(loop.lines, names)), names).line()
        done.append(line)
    return tuple(done)


def _summed(loop: Loop, names: Names) -> Loop:
    made, reads, build = made_by(loop.lines), readers(loop.lines, loop.outputs), Builder(names)
    for line in loop.lines:
        joined = made.get(line.operands[0].name) if isinstance(line.op, Sum | Mean) else None
        if joined is not None and isinstance(joined.op, Concat) and reads[joined.result.name] == 1:
            build.span = line.span
            if _written(build, line, joined):
                continue
        build.lines.append(line)
    read = readers(build.lines, loop.outputs)
    kept = (line for line in build.lines if not isinstance(line.op, Concat) or line.result.name in read)
    return replace(loop, lines=tuple(kept))


def _written(build: Builder, line: Line, joined: Line) -> bool:
    """Whether the reduction runs over the joined axis; then its result is written from the parts."""
    assert isinstance(line.op, Sum | Mean)
    assert isinstance(joined.op, Concat)
    axis = joined.op.axis
    if axis.name not in line.op.over:
        return False
    rest = [name for name in line.op.over if name != axis.name]
    along = write.mean if isinstance(line.op, Mean) else write.sum_
    parts = zip(joined.operands, joined.op.parts, strict=True)
    sums = [write.sum_(build, along(build, value, rest), [part]) for value, part in parts]
    total = reduce(lambda a, b: write.add(build, a, b), sums)
    if isinstance(line.op, Mean):
        total = write.mul(build, write.reciprocal(build, write.size_of(build, axis)), total)
    return _called(build, total, line.result)


def _called(build: Builder, value: Value, wanted: Value) -> bool:
    """Whether the last line could take the name; it is the one that made the value, as sums are written anew."""
    return named(build, value, wanted) == wanted
