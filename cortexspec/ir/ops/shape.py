"""Operations that move elements between axes and compute nothing. Axes are known by name, never by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Context, Op, Tensor, in_layout, op, transpose
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type, require_axis, require_free, require_size
from cortexspec.units import Unit


class Linear(Op):
    """One operand, one result, and a pullback that depends on no value."""

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        raise NotImplementedError

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (operand,) = cotangents, operands
        if cotangent is None or operand.type.dtype != "float":
            return (None,)
        return (self.flow(build, cotangent, operand),)


@op
@dataclass(frozen=True, slots=True)
class Rename(Linear):
    """Gives axes other names: `mapping` has (old, new) pairs. [target, source] of one population needs two names."""

    name: ClassVar[str] = "shape.rename"
    saved: ClassVar[bool] = False
    mapping: tuple[tuple[str, str], ...]

    def rule(self, x: Type) -> tuple[Type, ...]:
        new = dict(self.mapping)
        for old in new:
            require_axis(x, old, "rename")
        axes = [replace(axis, name=new.get(axis.name, axis.name)) for axis in x.axes]
        return (x.with_axes(require_free(axes, (), "rename")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,), new = operands, dict(self.mapping)
        return (in_layout(x.array, [new.get(name, name) for name in x.axes], results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return write.rename(build, cotangent, {new: old for old, new in self.mapping})


@op
@dataclass(frozen=True, slots=True)
class Merge(Linear):
    """Several axes become one, the last of `axes` fastest."""

    name: ClassVar[str] = "shape.merge"
    saved: ClassVar[bool] = False
    axes: tuple[str, ...]
    axis: Axis

    def rule(self, x: Type) -> tuple[Type, ...]:
        size = Size.of(1)
        for name in self.axes:
            size = size * require_axis(x, name, "merge").size
        require_size(self.axis.size, size, f"the merged axis `{self.axis.name}`")
        return (x.with_axes(require_free(x.without(self.axes), (self.axis,), "merge")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        rest = [name for name in x.axes if name not in self.axes]
        array = transpose(x.array, x.axes, [*rest, *self.axes])
        array = array.reshape((*array.shape[: len(rest)], prod(array.shape[len(rest) :])))
        return (in_layout(array, [*rest, self.axis.name], results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return write.split(build, cotangent, self.axis.name, [operand.type.axis(name) for name in self.axes])


@op
@dataclass(frozen=True, slots=True)
class Split(Linear):
    """One axis becomes several, the last of `axes` fastest."""

    name: ClassVar[str] = "shape.split"
    saved: ClassVar[bool] = False
    axis: str
    axes: tuple[Axis, ...]

    def rule(self, x: Type) -> tuple[Type, ...]:
        size = Size.of(1)
        for axis in self.axes:
            size = size * axis.size
        require_size(size, require_axis(x, self.axis, "split").size, f"the split axis `{self.axis}`")
        return (x.with_axes(require_free(x.without([self.axis]), self.axes, "split")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        rest = [name for name in x.axes if name != self.axis]
        array = transpose(x.array, x.axes, [*rest, self.axis])
        array = array.reshape((*array.shape[:-1], *(axis.size.evaluate(context.sizes) for axis in self.axes)))
        return (in_layout(array, [*rest, *(axis.name for axis in self.axes)], results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return write.merge(build, cotangent, [axis.name for axis in self.axes], operand.type.axis(self.axis))


@op
@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Operands end to end along the new axis `axis`; `parts` names the axis of each operand that takes part."""

    name: ClassVar[str] = "shape.concat"
    saved: ClassVar[bool] = False
    parts: tuple[str, ...]
    axis: Axis

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        size, first = Size.of(0), operands[0]
        rest = Type(first.without([self.parts[0]])).axes
        for place, (x, part) in enumerate(zip(operands, self.parts, strict=True)):
            size = size + require_axis(x, part, "concat", place).size
            if Type(x.without([part])).axes != rest:
                raise RuleError("CS501", f"concat joins {first} and {x}: their other axes differ", operand=place)
            if x.dtype != first.dtype:
                raise RuleError("CS602", f"concat joins {first} and {x}", operand=place)
            if x.unit != first.unit:
                raise RuleError(
                    "CS401",
                    f"quantities of different dimension stand in one array: {first.unit.name()} and {x.unit.name()}",
                    label=f"expected {first.unit.name()}, found {x.unit.name()}",
                    operand=place,
                )
        require_size(self.axis.size, size, f"the joined axis `{self.axis.name}`")
        return (first.with_axes(require_free(rest, (self.axis,), "concat")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        axes = context.axes(results[0])
        arrays = [
            transpose(x.array, [self.axis.name if name == part else name for name in x.axes], axes)
            for x, part in zip(operands, self.parts, strict=True)
        ]
        return (Tensor(np.concatenate(arrays, axis=axes.index(self.axis.name)), axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,) = cotangents
        if cotangent is None:
            return [None] * len(operands)
        flows: list[Value | None] = []
        start = Size.of(0)
        for operand, part in zip(operands, self.parts, strict=True):
            axis = operand.type.axis(part)
            stop = start + axis.size
            if operand.type.dtype == "float":
                flows.append(write.slice_(build, cotangent, self.axis.name, start, stop, axis))
            else:
                flows.append(None)
            start = stop
        return flows


@op
@dataclass(frozen=True, slots=True)
class Slice(Linear):
    """The places start <= i < stop of `axis`, along the axis `result`."""

    name: ClassVar[str] = "shape.slice"
    saved: ClassVar[bool] = False
    axis: str
    start: Size
    stop: Size
    result: Axis

    def rule(self, x: Type) -> tuple[Type, ...]:
        whole = require_axis(x, self.axis, "slice")
        require_size(self.result.size, self.stop - self.start, f"the slice `{self.result.name}`")
        start, stop, size = self.start.fixed, self.stop.fixed, whole.size.fixed
        if (start is not None and start < 0) or (stop is not None and size is not None and stop > size):
            places = f"places {self.start} to {self.stop}"
            raise RuleError("CS501", f"{places} do not lie in axis `{self.axis}` of {whole.size}")
        return (x.with_axes(require_free(x.without([self.axis]), (self.result,), "slice")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        taken = slice(self.start.evaluate(context.sizes), self.stop.evaluate(context.sizes))
        array = x.array[tuple(taken if name == self.axis else slice(None) for name in x.axes)]
        names = [self.result.name if name == self.axis else name for name in x.axes]
        return (in_layout(array, names, results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        whole = operand.type.axis(self.axis)
        return write.pad(build, cotangent, self.result.name, self.start, whole.size - self.stop, whole)


@op
@dataclass(frozen=True, slots=True)
class Pad(Linear):
    """Zeros before and after along `axis`, which becomes `result`."""

    name: ClassVar[str] = "shape.pad"
    saved: ClassVar[bool] = False
    axis: str
    before: Size
    after: Size
    result: Axis

    def rule(self, x: Type) -> tuple[Type, ...]:
        size = require_axis(x, self.axis, "pad").size + self.before + self.after
        require_size(self.result.size, size, f"the padded axis `{self.result.name}`")
        return (x.with_axes(require_free(x.without([self.axis]), (self.result,), "pad")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        width = (self.before.evaluate(context.sizes), self.after.evaluate(context.sizes))
        array = np.pad(x.array, [width if name == self.axis else (0, 0) for name in x.axes])
        names = [self.result.name if name == self.axis else name for name in x.axes]
        return (in_layout(array, names, results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        axis = operand.type.axis(self.axis)
        return write.slice_(build, cotangent, self.result.name, self.before, self.before + axis.size, axis)


@op
@dataclass(frozen=True, slots=True)
class Index(Linear):
    """The one place `place` of `axis`, which is dropped."""

    name: ClassVar[str] = "shape.index"
    saved: ClassVar[bool] = False
    axis: str
    place: Size

    def rule(self, x: Type) -> tuple[Type, ...]:
        axis = require_axis(x, self.axis, "an index")
        place, size = self.place.fixed, axis.size.fixed
        if place is not None and (place < 0 or (size is not None and place >= size)):
            raise RuleError("CS501", f"place {place} does not lie in axis `{self.axis}` of {axis.size}")
        return (x.with_axes(x.without([self.axis])),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        place = self.place.evaluate(context.sizes)
        array = np.asarray(x.array[tuple(place if name == self.axis else slice(None) for name in x.axes)])
        return (in_layout(array, [name for name in x.axes if name != self.axis], results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        whole = operand.type.axis(self.axis)
        one = build.axis(self.axis, 1)
        return write.pad(
            build, write.expand(build, cotangent, [one]), one.name, self.place, whole.size - self.place - 1, whole
        )


@op
@dataclass(frozen=True, slots=True)
class Expand(Linear):
    """The same values at every place of the new axes."""

    name: ClassVar[str] = "shape.expand"
    saved: ClassVar[bool] = False
    axes: tuple[Axis, ...]

    def rule(self, x: Type) -> tuple[Type, ...]:
        return (x.with_axes(require_free(x.axes, self.axes, "expand")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        axes = context.axes(results[0])
        array = x.array[tuple(slice(None) if name in x.axes else np.newaxis for name in axes)]
        return (Tensor(np.broadcast_to(array, context.shape(results[0])), axes),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return write.sum_(build, cotangent, [axis.name for axis in self.axes])


@op
@dataclass(frozen=True, slots=True)
class Diagonal(Linear):
    """The diagonal over two axes of one size, along the axis `result`."""

    name: ClassVar[str] = "shape.diagonal"
    saved: ClassVar[bool] = False
    row: str
    column: str
    result: Axis

    def rule(self, x: Type) -> tuple[Type, ...]:
        size = require_axis(x, self.row, "diagonal").size
        require_size(require_axis(x, self.column, "diagonal").size, size, f"axis `{self.column}`")
        require_size(self.result.size, size, f"the diagonal `{self.result.name}`")
        return (x.with_axes(require_free(x.without([self.row, self.column]), (self.result,), "diagonal")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        array = np.diagonal(x.array, axis1=x.axes.index(self.row), axis2=x.axes.index(self.column))
        rest = [name for name in x.axes if name not in (self.row, self.column)]
        return (in_layout(array, [*rest, self.result.name], results[0], context),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        row, column = operand.type.axis(self.row), operand.type.axis(self.column)
        along = write.rename(build, cotangent, {self.result.name: self.row})
        return write.mul(build, along, write.identity(build, row, column))


@op
@dataclass(frozen=True, slots=True)
class Flip(Linear):
    """Elements of `axis` in reverse order."""

    name: ClassVar[str] = "shape.flip"
    saved: ClassVar[bool] = False
    axis: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_axis(x, self.axis, "flip")
        return (x,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        return (Tensor(np.flip(x.array, x.axes.index(self.axis)), x.axes),)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return write.flip(build, cotangent, self.axis)


@op
@dataclass(frozen=True, slots=True)
class InUnit(Linear):
    """The same numbers in another unit: so quantities of several dimensions can stand side by side in one array."""

    name: ClassVar[str] = "shape.in_unit"
    saved: ClassVar[bool] = False
    unit: Unit

    def rule(self, x: Type) -> tuple[Type, ...]:
        return (Type(x.axes, x.dtype, self.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        return (operands[0],)

    def flow(self, build: Builder, cotangent: Value, operand: Value) -> Value:
        return build.one(InUnit(cotangent.type.unit * self.unit / operand.type.unit), cotangent)
