"""Reading and adding at places that an integer array names: drawn wiring, labels, delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, align, op
from cortexspec.ir.ops import write
from cortexspec.ir.types import (
    Axis,
    RuleError,
    Type,
    require_alike,
    require_axis,
    require_dtype,
    require_free,
    union_axes,
    unit_in_words,
)


def _places(axes: Sequence[str], sizes: Sequence[int], along: str, index: Array) -> dict[str, Array]:
    """Where in an array each position of `axes` reads, an axis at a time: at itself, and along `along` at the index."""
    places: dict[str, Array] = {}
    for place, (name, size) in enumerate(zip(axes, sizes, strict=True)):
        shape = [1] * len(axes)
        shape[place] = size
        places[name] = np.arange(size).reshape(shape)
    places[along] = index
    return places


@op
@dataclass(frozen=True, slots=True)
class Gather(Op):
    """z = x[index] along `axis`: that axis gives way to the axes of `index`. Axes that both have are aligned.

    Shapes: x [axis, A, B], index [A, C]; gives [A, B, C] with z[a, b, c] = x[index[a, c], a, b].
    """

    name: ClassVar[str] = "indexing.gather"
    saved: ClassVar[bool] = False
    axis: str

    def rule(self, x: Type, index: Type) -> tuple[Type, ...]:
        require_dtype(index, "an index", "int", operand=1)
        require_axis(x, self.axis, "gather")
        rest = x.with_axes(x.without([self.axis]))
        return (x.with_axes(union_axes(rest, index)),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, index = operands
        axes, shape = context.axes(results[0]), context.shape(results[0])
        # `axis` may come back as an axis of the index, so the places of x along it are set last.
        places = _places(axes, shape, self.axis, align(index, axes))
        return (Tensor(x.array[tuple(places[name] for name in x.axes)] if x.axes else x.array, axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, index) = cotangents, operands
        if cotangent is None or x.type.dtype != "float":
            return None, None
        rest = {axis.name for axis in x.type.without([self.axis])}
        over = [axis.name for axis in index.type.axes if axis.name not in rest]
        flow = write.scatter_add(build, cotangent, index, x.type.axis(self.axis), over)
        return write.fit(build, flow, x.type.axes), None


@op
@dataclass(frozen=True, slots=True)
class ScatterAdd(Op):
    """Adds each value into the place along `axis` that the index names; the axes `over` are summed away.

    Shapes: values [A, B, C], index [A, C], over (C,); gives [axis, A, B] with z[index[a, c], a, b] += values[a, b, c].
    """

    name: ClassVar[str] = "indexing.scatter_add"
    axis: Axis
    over: tuple[str, ...]

    def rule(self, values: Type, index: Type) -> tuple[Type, ...]:
        require_dtype(index, "an index", "int", operand=1)
        for name in self.over:
            require_axis(values, name, "scatter_add")
            require_axis(index, name, "scatter_add", operand=1)
        rest = values.with_axes(union_axes(values, index))
        return (values.with_axes(require_free(rest.without(self.over), (self.axis,), "scatter_add")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        values, index = operands
        kept = context.axes(results[0])
        # The summed axes go behind the others, so that one of them may have the name of `axis`.
        rest = [name for name in kept if name != self.axis.name]
        sizes = {name: size for t in operands for name, size in zip(t.axes, t.array.shape, strict=True)}
        shape = [sizes[name] for name in (*rest, *self.over)]

        def spread(tensor: Tensor) -> Array:
            wanted = [*rest, *self.over]
            have = [name for name in wanted if name in tensor.axes]
            array = tensor.array.transpose([tensor.axes.index(name) for name in have])
            return array[tuple(slice(None) if name in have else np.newaxis for name in wanted)]

        result = np.zeros(context.shape(results[0]), context.numpy_dtype(results[0]))
        places = _places(rest, shape[: len(rest)], self.axis.name, spread(index))
        extra = (1,) * len(self.over)
        for name in rest:
            places[name] = places[name].reshape(places[name].shape + extra)
        where = tuple(places[name] for name in kept)
        np.add.at(result, where, np.broadcast_to(spread(values), shape))
        return (Tensor(result, kept),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (values, index) = cotangents, operands
        if cotangent is None or values.type.dtype != "float":
            return None, None
        return write.fit(build, write.gather(build, cotangent, index, self.axis.name), values.type.axes), None


@op
@dataclass(frozen=True, slots=True)
class Put(Op):
    """x with `row` at the place along `axis` that the index names.

    Shapes: x [axis, A], row [A], index []; gives [axis, A] with z[index, a] = row[a] and z[i, a] = x[i, a] elsewhere.
    """

    name: ClassVar[str] = "indexing.put"
    saved: ClassVar[bool] = False
    axis: str

    def rule(self, x: Type, row: Type, index: Type) -> tuple[Type, ...]:
        require_dtype(index, "an index", "int", operand=2)
        require_axis(x, self.axis, "put")
        require_alike("put", (x, row), x.dtype)
        if index.axes or row.names != x.names - {self.axis}:
            raise RuleError("CS501", f"one row of {x} along `{self.axis}` is put at one place, not {row} at {index}")
        if row.unit != x.unit:
            raise RuleError(
                "CS401", f"what is put has not the unit of where it goes, {unit_in_words(x.unit)}", operand=1
            )
        return (x,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, row, index = operands
        found = x.array.copy()
        found[tuple(index.array if name == self.axis else slice(None) for name in x.axes)] = row.array
        return (Tensor(found, x.axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, row, index) = cotangents, operands
        if cotangent is None or x.type.dtype != "float":
            return None, None, None
        flow = write.fit(build, cotangent, x.type.axes)
        none = write.zeros(build, row.type.with_unit(flow.type.unit))
        return write.put(build, flow, none, index, self.axis), write.gather(build, flow, index, self.axis), None
