"""Compute once what is computed twice: common subexpressions, within each function and each loop body."""

from __future__ import annotations

from dataclasses import replace

from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.algebra import COMMUTATIVE
from cortexspec.passes.loop import in_every_body, loop_of, renamed, renamed_outputs, renamed_values


def share_common(function: Function) -> Function:
    """Of lines with the same op, attributes and operands the first is kept. Consts of a loop that are one value
    outside become one inside."""
    return in_every_body(function, _shared)


def _shared(function: Function) -> Function:
    known: dict[tuple[object, ...], Line] = {}
    same: dict[str, Value] = {}
    kept: list[Line] = []
    for line in function.body:
        line = renamed(line, same)
        if isinstance(line.op, Scan):
            line = _with_each_const_once(line)
        operands = [operand.name for operand in line.operands]
        if isinstance(line.op, COMMUTATIVE):
            operands.sort()
        first = known.setdefault((line.op, *operands), line)
        if first is line:
            kept.append(line)
        else:
            same.update((old.name, new) for old, new in zip(line.results, first.results, strict=True))
    return replace(function, body=tuple(kept), outputs=renamed_values(function.outputs, same))


def _with_each_const_once(line: Line) -> Line:
    loop = loop_of(line)
    first: dict[str, Value] = {}
    same = {
        fed.inside.name: first[fed.outside.name]
        for fed in (*loop.consts,)
        if first.setdefault(fed.outside.name, fed.inside).name != fed.inside.name
    }
    if not same:
        return line
    consts = tuple(fed for fed in loop.consts if fed.inside.name not in same)
    loop = replace(loop, consts=consts, lines=tuple(renamed(inner, same) for inner in loop.lines))
    return _shared_line(renamed_outputs(loop, same).line())


def _shared_line(line: Line) -> Line:
    """Consts that became one may have made lines of the body alike."""
    assert isinstance(line.op, Scan)
    return replace(line, op=replace(line.op, body=_shared(line.op.body)))
