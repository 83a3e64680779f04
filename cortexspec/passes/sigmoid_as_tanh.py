"""Write sigmoid(x) as 1/2 + tanh(x/2)/2: most targets have a faster tanh, and the 1/2 of a centred sigmoid meets its opposite.

The two numbers join what is linear around them (`extract-linear-part`), so that a step has one tanh where it had a sigmoid.
"""

from __future__ import annotations

from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Sigmoid
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.linearity import Linearity
from cortexspec.passes.loop import Loop, loop_of


def sigmoid_as_tanh(function: Function) -> Function:
    """Where a loop computes it anew each time and everything that reads it is linear in it: else nothing absorbs the numbers."""
    return replace(function, body=_rewritten(function.body, Names.of(function)))


def _rewritten(lines: tuple[Line, ...], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            loop = replace(loop, lines=_rewritten(loop.lines, names))
            line = replace(loop, lines=_body(loop, names)).line()
        done.append(line)
    return tuple(done)


def _body(loop: Loop, names: Names) -> tuple[Line, ...]:
    linearity, build = Linearity(loop), Builder(names)
    kept = {value.name for value in loop.outputs}
    for line in loop.lines:
        if line.results[0].name not in linearity.fixed and line.results[0].name not in linearity.lines:
            kept.update(operand.name for operand in line.operands)
    for line in loop.lines:
        if not isinstance(line.op, Sigmoid) or line.result.name in linearity.fixed or line.result.name in kept:
            build.lines.append(line)
            continue
        build.span = line.span
        half = write.const(build, 0.5)
        tanh = write.tanh(build, write.mul(build, half, line.operands[0]))
        scaled = write.mul(build, half, tanh)
        build.lines.append(Line(line.results, Add(), (half, scaled), line.span))
    return tuple(build.lines)
