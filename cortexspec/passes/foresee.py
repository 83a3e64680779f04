"""Draws of a loop that know their step before it runs, all at once in front of it.

A draw's key is its seed, trial and step, and a step is a count: nothing in the loop decides it. An engine that runs calls one by one
draws a thousand numbers in the time of one, so the loop reads what is drawn frame by frame. That costs the memory of the frames: it
is done where they are few. An engine that compiles whole loops gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add
from cortexspec.ir.ops.random import Draw
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.algebra import number
from cortexspec.passes.loop import Fed, Loop, loop_of, made_by

LIMIT = 1 << 16
"""Numbers of one trial, over all steps, up to which draws are made ahead: with 128 trials 32 MB in single precision."""


def foresee(function: Function, sizes: Mapping[str, int], limit: int = LIMIT) -> Function:
    """The function with the draws of its outer loops in front of them, where they are few."""
    build = Builder(Names.of(function))
    for line in function.body:
        build.lines.append(_drawn_ahead(loop_of(line), build, sizes, limit) if isinstance(line.op, Scan) else line)
    return replace(function, body=tuple(build.lines))


def _drawn_ahead(loop: Loop, build: Builder, sizes: Mapping[str, int], limit: int) -> Line:
    """The loop without those draws, whose lines are written in front of it."""
    outside = {fed.inside.name: fed.outside for fed in loop.consts}
    starts = _counted(loop)
    steps: dict[str, Value] = {}
    drawn: list[Fed] = []
    kept: list[Line] = []
    for line in loop.lines:
        if not isinstance(line.op, Draw) or not line.op.per_step or not _few(line, loop, sizes, limit):
            kept.append(line)
            continue
        *others, step = line.operands
        if step.name not in starts or any(one.name not in outside for one in others):
            kept.append(line)
            continue
        if step.name not in steps:
            steps[step.name] = write.add(build, write.iota(build, loop.op.over), starts[step.name])
        type_ = line.result.type
        whole = Value(build.names.fresh(f"{line.result.name}_frames"), type_.with_axes((*type_.axes, loop.op.over)))
        build.lines.append(
            replace(line, operands=(*(outside[one.name] for one in others), steps[step.name]), results=(whole,))
        )
        drawn.append(Fed(whole, line.result))
    return replace(loop, lines=tuple(kept), xs=(*loop.xs, *drawn)).line()


def _counted(loop: Loop) -> dict[str, Value]:
    """The carries that are one more at each step, with their start."""
    made = made_by(loop.lines)
    found: dict[str, Value] = {}
    for carry in () if loop.op.reverse else loop.carries:
        line = made.get(carry.next.name)
        if carry.inside.type.dtype != "int" or carry.inside.type.axes or line is None or not isinstance(line.op, Add):
            continue
        first, second = line.operands
        one = number(second, made) if first == carry.inside else number(first, made) if second == carry.inside else None
        if one is not None and one.value == 1:
            found[carry.inside.name] = carry.start
    return found


def _few(line: Line, loop: Loop, sizes: Mapping[str, int], limit: int) -> bool:
    """Whether the frames of a draw, of one trial, are no more numbers than the limit."""
    axes = [axis for axis in (*line.result.type.axes, loop.op.over) if axis.role != "sample"]
    if any(not axis.size.symbols <= sizes.keys() for axis in axes):
        return False
    total = 1
    for axis in axes:
        total *= axis.size.evaluate(sizes)
    return total <= limit
