"""The operation behind `orthogonal()`. It runs once, in the interpreter, when start values are drawn; nothing flows back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Context, Op, Tensor, op
from cortexspec.ir.ops.shape import in_layout, require_axis, transpose
from cortexspec.ir.types import Type, require_pure


@op
@dataclass(frozen=True, slots=True)
class Orthogonalize(Op):
    """The orthogonal factor of a matrix over `row` and `column`, columns (or rows, of a wide matrix) orthonormal."""

    name: ClassVar[str] = "linear.orthogonalize"
    row: str
    column: str

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_pure(x, "orthogonalize")
        require_axis(x, self.row, "orthogonalize")
        require_axis(x, self.column, "orthogonalize")
        return (x,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        rest = [name for name in x.axes if name not in (self.row, self.column)]
        names = [*rest, self.row, self.column]
        matrix = transpose(x.array, x.axes, names)
        wide = matrix.shape[-2] < matrix.shape[-1]
        tall = np.swapaxes(matrix, -1, -2) if wide else matrix
        q, r = np.linalg.qr(tall)
        diagonal = np.diagonal(r, axis1=-2, axis2=-1)
        q = q * np.where(diagonal < 0, -1.0, 1.0)[..., np.newaxis, :]
        return (in_layout(np.swapaxes(q, -1, -2) if wide else q, names, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        return (None,)
