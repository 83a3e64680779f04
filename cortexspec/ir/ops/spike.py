"""Detection of spikes: a hard threshold whose slope is a surrogate's, so that gradients pass what has none of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Elementwise
from cortexspec.ir.types import Dtype, RuleError, Type, require_alike, require_pure, require_same_unit
from cortexspec.units import DIMENSIONLESS, Unit

Slope = Callable[[Builder, Value], Value]


def _fast_sigmoid(build: Builder, u: Value) -> Value:
    """1/(1 + |u|)^2. Zenke and Ganguli 2018, doi:10.1162/neco_a_01086."""
    return write.pow(build, write.add(build, write.const(build, 1.0), write.abs(build, u)), -2.0)


def _triangle(build: Builder, u: Value) -> Value:
    """max(0, 1 - |u|): nothing beyond |u| = 1. Bellec et al. 2018, arXiv 1803.09574."""
    return write.relu(build, write.sub(build, write.const(build, 1.0), write.abs(build, u)))


def _boxcar(build: Builder, u: Value) -> Value:
    """1 for |u| < 1/2, else 0. Wu et al. 2018, doi:10.3389/fnins.2018.00331."""
    inside = write.lt(build, write.abs(build, u), write.const(build, 0.5))
    return write.where(build, inside, write.const(build, 1.0), write.const(build, 0.0))


def _arctan(build: Builder, u: Value) -> Value:
    """1/(1 + (pi u)^2). Fang et al. 2021, arXiv 2007.05785."""
    square = write.pow(build, write.scale(build, u, np.pi), 2.0)
    return write.reciprocal(build, write.add(build, write.const(build, 1.0), square))


def _sigmoid(build: Builder, u: Value) -> Value:
    """4 s(u) s(-u), s the logistic function."""
    both = write.mul(build, write.sigmoid(build, u), write.sigmoid(build, write.neg(build, u)))
    return write.scale(build, both, 4.0)


SURROGATES: Mapping[str, Slope] = MappingProxyType(
    {
        "fast_sigmoid": _fast_sigmoid,
        "triangle": _triangle,
        "boxcar": _boxcar,
        "arctan": _arctan,
        "sigmoid": _sigmoid,
    }
)
"""The slope of each surrogate at u = steepness*(a - b), 1 at u = 0."""

SUPPORT: Mapping[str, float] = MappingProxyType({"triangle": 1.0, "boxcar": 0.5})
"""The largest |u| at which a slope is not 0: a backward pass may leave out what did not come so near its threshold."""


@op
@dataclass(frozen=True, slots=True)
class Threshold(Elementwise):
    """1 where a > b, else 0: hard, whatever the surrogate. A third operand, the steepness, is one over the unit of a.

    Its derivative by a is steepness*slope(steepness*(a - b)), with the slope of the surrogate, by b the negative of that; nothing
    flows to the steepness.
    """

    name: ClassVar[str] = "spike.threshold"
    surrogate: str

    def __post_init__(self) -> None:
        if self.surrogate not in SURROGATES:
            raise RuleError("CS601", f"there is no surrogate `{self.surrogate}`")

    def result(self, a: Type, b: Type, steepness: Type) -> tuple[Dtype, Unit]:
        require_alike(self.name, (a, b, steepness), "float")
        require_same_unit(a, b)
        require_pure(Type((), "float", a.unit * steepness.unit), "the steepness of a surrogate times what is compared")
        if not steepness.names <= a.names | b.names:
            raise RuleError("CS501", "the steepness of a surrogate has an axis that what is compared lacks", operand=2)
        return "float", DIMENSIONLESS

    def compute(self, a: Array, b: Array, steepness: Array) -> Array:
        return a > b

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        a, b, steepness = operands
        u = write.mul(build, steepness, write.sub(build, a, b))
        slope = write.mul(build, steepness, SURROGATES[self.surrogate](build, u))
        flow = write.mul(build, cotangent, slope)
        return flow, write.neg(build, flow), None
