"""The only loop of the IR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from cortexspec.ir.module import Function
from cortexspec.ir.op import Op, op
from cortexspec.ir.types import Axis, RuleError, Type


@op
@dataclass(frozen=True, slots=True)
class Scan(Op):
    """Runs `body` once for each place of the axis `over`.

    Operands: consts | carry | xs; results: carry | stack | sum. The body has the same operands without the axis `over`
    on xs, and gives the next carry, the elements of the stacks, and the terms of the sums.
    `save` says what the forward scan keeps for the reverse one: "carry" (recompute the step), "residuals", or named values.
    """

    name: ClassVar[str] = "scan"
    body: Function
    consts: int
    carry: int
    xs: int
    stack: int
    sum: int
    over: Axis
    reverse: bool = False
    save: Literal["carry", "residuals"] | tuple[str, ...] = "residuals"

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        wanted = [value.type for value in self.body.inputs]
        for place, (type_, inside) in enumerate(zip(operands, wanted, strict=True)):
            outside = inside.with_axes((*inside.axes, self.over)) if place >= self.consts + self.carry else inside
            if type_ != outside:
                raise RuleError("CS601", f"scan operand {place} is {type_}, its body wants {outside}", operand=place)
        outputs = [value.type for value in self.body.outputs]
        carried = wanted[self.consts : self.consts + self.carry]
        if outputs[: self.carry] != carried:
            raise RuleError("CS601", f"scan body returns a carry of {outputs[: self.carry]}, it was given {carried}")
        stacked = [t.with_axes((*t.axes, self.over)) for t in outputs[self.carry : self.carry + self.stack]]
        return (*carried, *stacked, *outputs[self.carry + self.stack :])

    def split(self, operands: Sequence[object]) -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
        """Operands as (consts, carry, xs)."""
        a, b = self.consts, self.consts + self.carry
        return operands[:a], operands[a:b], operands[b:]
