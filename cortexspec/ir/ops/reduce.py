"""Operations that take axes away by combining the elements along them, the running sum, and the order of elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, op
from cortexspec.ir.ops import write
from cortexspec.ir.types import Dtype, Type, require_axis, require_dtype, require_pure


class Reduction(Op):
    """Drops the axes `over`."""

    allowed: ClassVar[tuple[Dtype, ...]] = ("float", "int")
    over: tuple[str, ...]

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_dtype(x, self.name, *self.allowed)
        for name in self.over:
            require_axis(x, name, self.name)
        return (self.result(x).with_axes(x.without(self.over)),)

    def result(self, x: Type) -> Type:
        return x

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        places = tuple(x.axes.index(name) for name in self.over)
        array = self.compute(x.array, places)
        kept = tuple(name for name in x.axes if name not in self.over)
        return (Tensor(np.asarray(array, context.numpy_dtype(results[0])), kept),)

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        raise NotImplementedError

    def flow(self, build: Builder, cotangent: Value, x: Value, y: Value) -> Value | None:
        """The cotangent of x, up to axes of `over` that are missing."""
        return None

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x,) = cotangents, operands
        if cotangent is None or x.type.dtype != "float":
            return (None,)
        flow = self.flow(build, cotangent, x, results[0])
        return (None if flow is None else write.fit(build, flow, x.type.axes),)


@op
@dataclass(frozen=True, slots=True)
class Sum(Reduction):
    """The sum; keeps the unit."""

    name: ClassVar[str] = "reduce.sum"
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return x.sum(axis=places)

    def flow(self, build: Builder, cotangent: Value, x: Value, y: Value) -> Value | None:
        return cotangent


@op
@dataclass(frozen=True, slots=True)
class Mean(Reduction):
    """The mean; keeps the unit."""

    name: ClassVar[str] = "reduce.mean"
    allowed: ClassVar[tuple[Dtype, ...]] = ("float",)
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return x.sum(axis=places) / np.prod([x.shape[place] for place in places]).astype(x.dtype)

    def flow(self, build: Builder, cotangent: Value, x: Value, y: Value) -> Value | None:
        for name in self.over:
            cotangent = write.div(build, cotangent, write.size_of(build, x.type.axis(name)))
        return cotangent


class _Extremum(Reduction):
    """The cotangent goes to the extreme element; equal ones share it."""

    def flow(self, build: Builder, cotangent: Value, x: Value, y: Value) -> Value | None:
        one, zero = write.const(build, 1.0), write.const(build, 0.0)
        taken = write.where(build, write.eq(build, x, y), one, zero)
        share = write.div(build, cotangent, write.sum_(build, taken, self.over))
        return write.mul(build, taken, share)


@op
@dataclass(frozen=True, slots=True)
class ReduceMax(_Extremum):
    """The largest element."""

    name: ClassVar[str] = "reduce.max"
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return x.max(axis=places)


@op
@dataclass(frozen=True, slots=True)
class ReduceMin(_Extremum):
    """The smallest element."""

    name: ClassVar[str] = "reduce.min"
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return x.min(axis=places)


@op
@dataclass(frozen=True, slots=True)
class LogSumExp(Reduction):
    """log(sum(exp(x))), without overflow; a pure number."""

    name: ClassVar[str] = "reduce.logsumexp"
    allowed: ClassVar[tuple[Dtype, ...]] = ("float",)
    over: tuple[str, ...]

    def result(self, x: Type) -> Type:
        require_pure(x, "logsumexp")
        return x

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        largest = x.max(axis=places, keepdims=True)
        largest = np.where(np.isfinite(largest), largest, 0)
        return np.log(np.exp(x - largest).sum(axis=places)) + largest.squeeze(axis=places)

    def flow(self, build: Builder, cotangent: Value, x: Value, y: Value) -> Value | None:
        return write.mul(build, cotangent, write.exp(build, write.sub(build, x, y)))


@op
@dataclass(frozen=True, slots=True)
class ArgMax(Reduction):
    """The place of the largest element along one axis, the first where several are equal."""

    name: ClassVar[str] = "reduce.argmax"
    over: tuple[str, ...]

    def result(self, x: Type) -> Type:
        return Type(x.axes, "int")

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        (place,) = places
        return x.argmax(axis=place)


class _Quantifier(Reduction):
    allowed: ClassVar[tuple[Dtype, ...]] = ("bool",)


@op
@dataclass(frozen=True, slots=True)
class Any(_Quantifier):
    """Whether some element is true."""

    name: ClassVar[str] = "reduce.any"
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return np.asarray(x.any(axis=places))


@op
@dataclass(frozen=True, slots=True)
class All(_Quantifier):
    """Whether every element is true."""

    name: ClassVar[str] = "reduce.all"
    over: tuple[str, ...]

    def compute(self, x: Array, places: tuple[int, ...]) -> Array:
        return np.asarray(x.all(axis=places))


@op
@dataclass(frozen=True, slots=True)
class CumulativeSum(Op):
    """Element i is the sum of elements 0 to i along `axis`."""

    name: ClassVar[str] = "reduce.cumulative_sum"
    axis: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_dtype(x, self.name, "float", "int")
        require_axis(x, self.axis, "a running sum")
        return (x,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        return (Tensor(np.cumsum(x.array, axis=x.axes.index(self.axis)), x.axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x,) = cotangents, operands
        if cotangent is None or x.type.dtype != "float":
            return (None,)
        backwards = write.flip(build, cotangent, self.axis)
        return (write.flip(build, write.cumulative_sum(build, backwards, self.axis), self.axis),)


@op
@dataclass(frozen=True, slots=True)
class ArgSort(Op):
    """The places that put the elements along `axis` into rising order; equal ones keep theirs. No gradient: `gather` has it.

    Shapes: x [axis, A]; gives integers [axis, A] with x[z[i, a], a] rising in i.
    """

    name: ClassVar[str] = "reduce.argsort"
    axis: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_dtype(x, self.name, "float", "int")
        require_axis(x, self.axis, "sorting")
        return (Type(x.axes, "int"),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        places = np.argsort(x.array, axis=x.axes.index(self.axis), kind="stable")
        return (Tensor(places.astype(np.int64), x.axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        return (None,)
