"""What the passes know of the operations: which are numbers, which commute, which only move elements."""

from __future__ import annotations

from collections.abc import Mapping

from cortexspec.ir.module import Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops.arith import Add, And, Eq, Max, Min, Mul, Ne, Or
from cortexspec.ir.ops.constant import Const, SizeOf

# Both operands may change places: the operation is symmetric, and so are its rule and its meaning.
COMMUTATIVE: tuple[type[Op], ...] = (Add, Mul, Min, Max, Eq, Ne, And, Or)


def is_number(line: Line) -> bool:
    """A scalar without operands: written where it is read, it costs nothing."""
    return isinstance(line.op, Const | SizeOf)


def number(value: Value, made: Mapping[str, Line]) -> Const | None:
    """The constant that the value is, if it is one."""
    line = made.get(value.name)
    return line.op if line is not None and isinstance(line.op, Const) else None
