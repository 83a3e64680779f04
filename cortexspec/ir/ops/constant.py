"""Values that need no operand: numbers, tables of numbers, indices along an axis, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Context, Op, Tensor, op
from cortexspec.ir.types import Axis, Dtype, RuleError, Type
from cortexspec.units import DIMENSIONLESS, Unit


class Nullary(Op):
    """Has no operand, so nothing flows back."""

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        return ()


@op
@dataclass(frozen=True, slots=True)
class Const(Nullary):
    """One number. A zero may be given any unit."""

    name: ClassVar[str] = "const"
    saved: ClassVar[bool] = False
    value: float | int | bool
    dtype: Dtype = "float"
    unit: Unit = DIMENSIONLESS

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        return (Type((), self.dtype, self.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        return (Tensor(np.array(self.value, context.numpy_dtype(results[0])), ()),)


@op
@dataclass(frozen=True, slots=True)
class Table(Nullary):
    """Written numbers along axes of written size; `values` run with the last of `axes` fastest."""

    name: ClassVar[str] = "table"
    saved: ClassVar[bool] = False
    values: tuple[float, ...]
    axes: tuple[Axis, ...]
    dtype: Dtype = "float"
    unit: Unit = DIMENSIONLESS

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        count = 1
        for axis in self.axes:
            if axis.size.fixed is not None:
                count *= axis.size.fixed
        if all(axis.size.fixed is not None for axis in self.axes) and count != len(self.values):
            raise RuleError("CS501", f"a table of {len(self.values)} numbers stands where {count} are wanted")
        return (Type(self.axes, self.dtype, self.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        written = [axis.name for axis in self.axes]
        shape = [axis.size.evaluate(context.sizes) for axis in self.axes]
        array = np.array(self.values, context.numpy_dtype(results[0])).reshape(shape)
        axes = context.axes(results[0])
        return (Tensor(array.transpose([written.index(name) for name in axes]), axes),)


@op
@dataclass(frozen=True, slots=True)
class Iota(Nullary):
    """0, 1, 2, ... along `axis`, as integers."""

    name: ClassVar[str] = "shape.iota"
    saved: ClassVar[bool] = False
    axis: Axis

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        return (Type((self.axis,), "int"),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        return (Tensor(np.arange(self.axis.size.evaluate(context.sizes), dtype=np.int64), (self.axis.name,)),)


@op
@dataclass(frozen=True, slots=True)
class Identity(Nullary):
    """The identity matrix over two axes of one size."""

    name: ClassVar[str] = "shape.identity"
    saved: ClassVar[bool] = False
    row: Axis
    column: Axis

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        if self.row.size != self.column.size:
            raise RuleError("CS501", f"an identity matrix is square, not {self.row.size} by {self.column.size}")
        return (Type((self.row, self.column)),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        matrix = np.eye(self.row.size.evaluate(context.sizes), dtype=context.dtype)
        return (Tensor(matrix, context.axes(results[0])),)


@op
@dataclass(frozen=True, slots=True)
class SizeOf(Nullary):
    """The number of elements along `axis`, as a float: what a mean divides by."""

    name: ClassVar[str] = "shape.size_of"
    saved: ClassVar[bool] = False
    axis: Axis

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        return (Type(),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        return (Tensor(np.array(self.axis.size.evaluate(context.sizes), context.dtype), ()),)
