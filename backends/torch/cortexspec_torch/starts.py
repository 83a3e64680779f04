"""What a loop starts from is made where the loop keeps it: an array less to fill and to copy, each 2 % of a training step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import arith
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand, Merge

_ARITHMETIC = (arith.Add, arith.Sub, arith.Mul, arith.Div, arith.Neg)


@dataclass(frozen=True, slots=True)
class Start(Op):
    """The first value of a carry. `lines` make it, and nothing else reads what they make."""

    name: ClassVar[str] = "torch.start"
    lines: tuple[Line, ...]


def starts(function: Function) -> Function:
    """The function with the lines that make the first values of its loops' carries next to the loops."""
    body = function.body
    read = Counter(value.name for line in body for value in line.operands)
    read.update(value.name for value in function.outputs)
    made = {line.results[0].name: line for line in body if len(line.results) == 1}
    moved: set[str] = set()
    done: list[Line] = []
    for line in body:
        if isinstance(line.op, Scan):
            for value in line.op.split(line.operands)[1]:
                lines = _lines(value, made, read)
                if lines:
                    moved.update(line.result.name for line in lines)
                    done.append(Line((value,), Start(lines), _operands(lines), lines[-1].span))
        done.append(line)
    kept = [line for line in done if isinstance(line.op, Start) or line.results[0].name not in moved]
    return replace(function, body=tuple(kept))


def _lines(value: Value, made: dict[str, Line], read: Counter[str]) -> tuple[Line, ...]:
    line = made.get(value.name)
    if line is None or read[value.name] != 1:
        return ()
    source = line.operands[0] if line.operands else value
    if isinstance(line.op, Expand) and not source.type.axes:
        return (line,)
    if not isinstance(line.op, Merge):
        return ()
    before = made.get(source.name)
    if before is not None and read[source.name] == 1 and isinstance(before.op, _ARITHMETIC):
        return before, line
    return (line,)


def _operands(lines: Sequence[Line]) -> tuple[Value, ...]:
    inside = {line.result.name for line in lines}
    return tuple(value for line in lines for value in line.operands if value.name not in inside)
