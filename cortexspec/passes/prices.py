"""What a line costs, roughly: enough to tell a rewrite that pays from one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

from cortexspec.ir.module import Line
from cortexspec.ir.ops.constant import Nullary
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.shape import Expand, Index, Merge, Rename, Slice, Split
from cortexspec.ir.types import Axis, Type

_VIEWS = (Rename, Slice, Index, Expand, Merge, Split)


@dataclass(frozen=True, slots=True)
class Prices:
    """In units of one element read and written by an elementwise operation. The defaults are those of eager kernels on a CPU.

    `sizes` binds size symbols; what it leaves open counts as `unknown`, samples as `samples`.
    """

    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    samples: int = 128
    unknown: int = 100_000
    call: float = 4000.0  # to start a kernel
    view: float = 400.0  # to look at the same elements in another way
    product: float = 0.15  # one multiplication and addition inside a matrix product
    batched: float = 800.0  # each further matrix of a batched product

    def size(self, axis: Axis) -> int:
        if axis.role == "sample" and not axis.size.symbols <= self.sizes.keys():
            return self.samples
        return axis.size.evaluate(self.sizes) if axis.size.symbols <= self.sizes.keys() else self.unknown

    def elements(self, axes: Iterable[Axis]) -> int:
        return prod(self.size(axis) for axis in axes)

    def elementwise(self, type_: Type) -> float:
        return self.call + self.elements(type_.axes)

    def contraction(self, a: Type, b: Type, over: Iterable[str]) -> float:
        """Axes that both have and that are not summed make a batch of products."""
        names = set(over)
        batch = [axis for axis in a.axes if b.has(axis.name) and axis.name not in names]
        every = {axis.name: axis for axis in (*a.axes, *b.axes)}
        return self.call + self.batched * (self.elements(batch) - 1) + self.product * self.elements(every.values())

    def line(self, line: Line) -> float:
        op = line.op
        if isinstance(op, Nullary):
            return 0.0
        if isinstance(op, _VIEWS):
            return self.view
        if isinstance(op, Contract):
            a, b = line.operands
            return self.contraction(a.type, b.type, op.over)
        return self.call + max(self.elements(value.type.axes) for value in (*line.operands, *line.results))
