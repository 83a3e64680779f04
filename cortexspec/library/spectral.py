"""The operations behind `spectral_radius`. They run in the interpreter, when start values are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, in_layout, op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.shape import require_axis, transpose
from cortexspec.ir.types import RuleError, Type, require_size


@op
@dataclass(frozen=True, slots=True)
class SpectralRadius(Op):
    """The largest absolute eigenvalue of a matrix over `row` and `column`, in its unit."""

    name: ClassVar[str] = "linear.spectral_radius"
    row: str
    column: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        _require_square(x, self.row, self.column)
        return (x.with_axes(x.without([self.row, self.column])),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        matrix, rest = _matrix(operands[0], self.row, self.column)
        return (in_layout(np.abs(np.linalg.eigvals(matrix)).max(-1), rest, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x,) = cotangents, operands
        if cotangent is None:
            return (None,)
        return (write.mul(build, cotangent, build.one(SpectralSlope(self.row, self.column), x)),)


@op
@dataclass(frozen=True, slots=True)
class SpectralSlope(Op):
    """How the spectral radius changes with each entry: Re(conj(λ) u* v)/|λ|, with u and v the left and right eigenvectors, u v = 1.

    Of several eigenvalues on the circle it is the slope of one.
    """

    name: ClassVar[str] = "linear.spectral_slope"
    row: str
    column: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        _require_square(x, self.row, self.column)
        return (Type(x.axes),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        matrix, rest = _matrix(operands[0], self.row, self.column)
        flat = matrix.reshape(-1, *matrix.shape[-2:])
        slopes = np.stack([_slope(one) for one in flat]).reshape(matrix.shape)
        return (in_layout(slopes, [*rest, self.row, self.column], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        raise RuleError("CS700", "the second derivative of a spectral radius is not supported yet")


def _slope(matrix: Array) -> Array:
    values, right = np.linalg.eig(matrix)
    place = int(np.argmax(np.abs(values)))
    value = values[place]
    if value == 0:
        return np.zeros_like(matrix)
    left: Array = np.linalg.inv(right)[place]
    return np.real(np.conj(value) * np.outer(left, right[:, place])) / np.abs(value)


def _matrix(x: Tensor, row: str, column: str) -> tuple[Array, list[str]]:
    rest = [name for name in x.axes if name not in (row, column)]
    return transpose(x.array, x.axes, [*rest, row, column]), rest


def _require_square(x: Type, row: str, column: str) -> None:
    rows, columns = require_axis(x, row, "a spectral radius"), require_axis(x, column, "a spectral radius")
    require_size(columns.size, rows.size, f"axis `{column}` of a square matrix")
