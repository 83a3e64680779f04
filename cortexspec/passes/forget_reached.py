"""Take from deliveries what only a backward pass reads: which sources it may leave out. Without gradients nothing carries it."""

from __future__ import annotations

from dataclasses import replace

from cortexspec.ir.module import Function, Line
from cortexspec.ir.ops.events import Deliver
from cortexspec.ir.ops.scan import Scan


def forget_reached(function: Function) -> Function:
    """For functions that are not differentiated; their values stay, and what made `reached` dies where nothing else reads it."""
    return replace(function, body=_forgotten(function.body))


def _forgotten(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(_line(line) for line in lines)


def _line(line: Line) -> Line:
    match line.op:
        case Scan() as scan:
            return replace(line, op=replace(scan, body=forget_reached(scan.body)))
        case Deliver() as deliver:
            first = len(line.operands) - len(deliver.parted(line.operands[6:])[1])
            return replace(line, operands=line.operands[:first])
        case _:
            return line
