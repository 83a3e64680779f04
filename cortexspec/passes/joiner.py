"""Joins values end to end along one axis, as early in what makes them as they are alike: one 2*κ for all, not a 2*κ each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Line, Value
from cortexspec.ir.ops.arith import Elementwise
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.shape import Concat, Expand
from cortexspec.ir.types import Axis


class Joiner:
    """`axes` are the places of the values along `axis`, in order; a value that lacks its own is the same along all of it.

    `made` has the lines that make values; what it does not have is joined as it is.
    """

    def __init__(self, build: Builder, made: Mapping[str, Line], axes: Sequence[Axis], axis: Axis):
        self.build, self.made, self.axes, self.axis = build, made, tuple(axes), axis
        self.known: dict[tuple[str, ...], Value] = {}

    def shared(self, values: Sequence[Value]) -> bool:
        """One value for all, or one number."""
        if any(value.type.has(axis.name) for value in values for axis in self.axes):
            return False
        if all(value.name == values[0].name for value in values):
            return True
        ops = [self.made[value.name].op if value.name in self.made else None for value in values]
        return isinstance(ops[0], Const) and all(op == ops[0] for op in ops)

    def join(self, values: Sequence[Value], hint: str = "") -> Value:
        """What is shared by all stays without the axis."""
        if self.shared(values):
            return values[0]
        key = tuple(value.name for value in values)
        if key not in self.known:
            self.known[key] = self._alike(values, hint) or self.concat(values, hint)
        return self.known[key]

    def concat(self, values: Sequence[Value], hint: str = "") -> Value:
        """The values end to end as they are, spread along axes that only some have."""
        own = {axis.name for axis in self.axes}
        rest = {axis.name: axis for value in values for axis in value.type.axes if axis.name not in own}
        spread: list[Value] = []
        for value, axis in zip(values, self.axes, strict=True):
            missing = tuple(each for each in (*rest.values(), axis) if not value.type.has(each.name))
            spread.append(self.build.one(Expand(missing), value) if missing else value)
        parts = tuple(axis.name for axis in self.axes)
        return self.build.one(Concat(parts, self.axis), *spread, hint=hint or _common([value.name for value in values]))

    def _alike(self, values: Sequence[Value], hint: str) -> Value | None:
        lines = [self.made[value.name] for value in values if value.name in self.made]
        if len(lines) < len(values):
            return None
        op = lines[0].op
        if not isinstance(op, Elementwise) or not lines[0].operands or any(line.op != op for line in lines):
            return None
        self.build.span = lines[0].span
        columns = [self.join(column) for column in zip(*(line.operands for line in lines), strict=True)]
        return self.build.one(op, *columns, hint=hint)


def _common(names: Sequence[str]) -> str:
    """What all are called in the end: `κ` for V.ss.κ_1 and V.ii.κ_1."""
    last = {re.sub(r"(_\d+)+$", "", name.rpartition(".")[2]) for name in names}
    return last.pop() if len(last) == 1 else ""
