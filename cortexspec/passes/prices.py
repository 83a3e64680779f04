"""What a line costs, roughly: enough to tell a rewrite that pays from one that does not.

Two numbers, kept apart. `calls` counts kernels, whatever their size: so a choice that it decides is the same for one region and for
fifty. `work` counts elements and multiply-adds, without samples: it only forbids what would multiply the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

from cortexspec.ir.module import Line
from cortexspec.ir.ops.constant import Nullary
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.shape import Expand, Index, Merge, Rename, Slice, Split
from cortexspec.ir.types import Axis

CALL, VIEW = 1.0, 0.1
_VIEWS = (Rename, Slice, Index, Expand, Merge, Split)


@dataclass(frozen=True, slots=True)
class Prices:
    """`sizes` binds size symbols; one that it leaves open counts as `unknown`."""

    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    unknown: int = 100_000

    def places(self, axes: Iterable[Axis]) -> int:
        """How many elements lie along the axes, samples left out."""
        return prod(self._size(axis) for axis in axes if axis.role != "sample")

    def _size(self, axis: Axis) -> int:
        return axis.size.evaluate({**dict.fromkeys(axis.size.symbols, self.unknown), **self.sizes})

    def calls(self, line: Line) -> float:
        if isinstance(line.op, Nullary):
            return 0.0
        return VIEW if isinstance(line.op, _VIEWS) else CALL

    def work(self, line: Line) -> int:
        """Elements that the line goes through: for a contraction every product, else those of its largest array."""
        if isinstance(line.op, Contract):
            axes = {axis.name: axis for value in line.operands for axis in value.type.axes}
            return self.places(axes.values())
        return max(self.places(value.type.axes) for value in (*line.operands, *line.results))
