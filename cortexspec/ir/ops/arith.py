"""Elementwise operations. Operands are aligned by axis name; the result has the union of their axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, align, op
from cortexspec.ir.ops import write
from cortexspec.ir.types import (
    Dtype,
    RuleError,
    Type,
    require_alike,
    require_dtype,
    require_pure,
    require_same_unit,
    union_axes,
)
from cortexspec.units import DIMENSIONLESS, Unit


class Elementwise(Op):
    """`result` gives dtype and unit, `compute` the meaning on aligned arrays, `partials` the cotangents on the
    union of the axes.
    """

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        dtype, unit = self.result(*operands)
        return (Type(union_axes(*operands), dtype, unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        axes = context.axes(results[0])
        array = self.compute(*(align(operand, axes) for operand in operands))
        return (Tensor(np.asarray(array, context.numpy_dtype(results[0])), axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,) = cotangents
        if cotangent is None:
            return [None] * len(operands)
        partials = self.partials(build, cotangent, operands, results[0])
        return [
            None if partial is None else write.fit(build, partial, operand.type.axes)
            for partial, operand in zip(partials, operands, strict=True)
        ]

    def result(self, *operands: Any, **_: Any) -> tuple[Dtype, Unit]:
        raise NotImplementedError

    def compute(self, *arrays: Any, **_: Any) -> Array:
        raise NotImplementedError

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return [None] * len(operands)


class _SameUnit(Elementwise):
    """Two numbers of one unit, floats or integers; the result has their unit."""

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (a, b), "float", "int"), require_same_unit(a, b)


@op
@dataclass(frozen=True, slots=True)
class Add(_SameUnit):
    """a + b"""

    name: ClassVar[str] = "arith.add"

    def compute(self, a: Array, b: Array) -> Array:
        return a + b

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return cotangent, cotangent


@op
@dataclass(frozen=True, slots=True)
class Sub(_SameUnit):
    """a - b"""

    name: ClassVar[str] = "arith.sub"

    def compute(self, a: Array, b: Array) -> Array:
        return a - b

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return cotangent, write.neg(build, cotangent)


@op
@dataclass(frozen=True, slots=True)
class Mul(Elementwise):
    """a*b; units multiply."""

    name: ClassVar[str] = "arith.mul"

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (a, b), "float", "int"), a.unit * b.unit

    def compute(self, a: Array, b: Array) -> Array:
        return a * b

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        a, b = operands
        return write.mul(build, cotangent, b), write.mul(build, cotangent, a)


@op
@dataclass(frozen=True, slots=True)
class Div(Elementwise):
    """a/b of floats; units divide."""

    name: ClassVar[str] = "arith.div"

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (a, b), "float"), a.unit / b.unit

    def compute(self, a: Array, b: Array) -> Array:
        return a / b

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        da = write.div(build, cotangent, operands[1])
        return da, write.neg(build, write.mul(build, da, result))


@op
@dataclass(frozen=True, slots=True)
class FloorDiv(Elementwise):
    """The largest integer not above a/b, of integers."""

    name: ClassVar[str] = "arith.floor_div"

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (a, b), "int"), DIMENSIONLESS

    def compute(self, a: Array, b: Array) -> Array:
        return a // b


@op
@dataclass(frozen=True, slots=True)
class Mod(_SameUnit):
    """a - floor(a/b)*b: the remainder with the sign of b."""

    name: ClassVar[str] = "arith.mod"

    def compute(self, a: Array, b: Array) -> Array:
        return np.mod(a, b)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        a, b = operands
        turns = write.floor(build, write.div(build, a, b))
        return cotangent, write.neg(build, write.mul(build, cotangent, turns))


class _Extreme(_SameUnit):
    """The cotangent goes to the operand that was taken; at a tie each gets one half."""

    def taken(self, build: Builder, a: Value, b: Value) -> Value:
        raise NotImplementedError

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        a, b = operands
        zero = write.zero_like(build, cotangent)
        half = write.where(build, write.eq(build, a, b), write.scale(build, cotangent, 0.5), zero)
        one, other = self.taken(build, a, b), self.taken(build, b, a)
        return write.where(build, one, cotangent, half), write.where(build, other, cotangent, half)


@op
@dataclass(frozen=True, slots=True)
class Min(_Extreme):
    """The smaller of a and b."""

    name: ClassVar[str] = "arith.min"

    def compute(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)

    def taken(self, build: Builder, a: Value, b: Value) -> Value:
        return write.lt(build, a, b)


@op
@dataclass(frozen=True, slots=True)
class Max(_Extreme):
    """The larger of a and b."""

    name: ClassVar[str] = "arith.max"

    def compute(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def taken(self, build: Builder, a: Value, b: Value) -> Value:
        return write.gt(build, a, b)


class _KeepsUnit(Elementwise):
    def result(self, x: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (x,), "float", "int"), x.unit


@op
@dataclass(frozen=True, slots=True)
class Neg(_KeepsUnit):
    """-x"""

    name: ClassVar[str] = "arith.neg"

    def compute(self, x: Array) -> Array:
        return -x

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return (write.neg(build, cotangent),)


@op
@dataclass(frozen=True, slots=True)
class Abs(_KeepsUnit):
    """|x|; slope 0 at 0."""

    name: ClassVar[str] = "arith.abs"

    def compute(self, x: Array) -> Array:
        return np.abs(x)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return (write.mul(build, cotangent, write.sign(build, operands[0])),)


@op
@dataclass(frozen=True, slots=True)
class Relu(_KeepsUnit):
    """max(x, 0); slope 0 at 0."""

    name: ClassVar[str] = "arith.relu"

    def compute(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        # Read from the result: a program has that anyway, and need not keep x as well.
        above = write.gt(build, result, write.zero_like(build, result))
        return (write.where(build, above, cotangent, write.zero_like(build, cotangent)),)


@op
@dataclass(frozen=True, slots=True)
class Sign(Elementwise):
    """-1, 0 or 1."""

    name: ClassVar[str] = "arith.sign"

    def result(self, x: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (x,), "float", "int"), DIMENSIONLESS

    def compute(self, x: Array) -> Array:
        return np.sign(x)


@op
@dataclass(frozen=True, slots=True)
class Sqrt(Elementwise):
    """The square root; the unit's too."""

    name: ClassVar[str] = "arith.sqrt"

    def result(self, x: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, (x,), "float"), x.unit ** Fraction(1, 2)

    def compute(self, x: Array) -> Array:
        return np.sqrt(x)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return (write.div(build, write.scale(build, cotangent, 0.5), result),)


@op
@dataclass(frozen=True, slots=True)
class Pow(Elementwise):
    """x to a power that is written; the unit is raised with it."""

    name: ClassVar[str] = "arith.pow"
    exponent: float

    def result(self, x: Type) -> tuple[Dtype, Unit]:
        dtype = require_alike(self.name, (x,), "float")
        if x.unit == DIMENSIONLESS:
            return dtype, DIMENSIONLESS
        ratio = Fraction(self.exponent).limit_denominator(64)
        if float(ratio) != self.exponent:
            require_pure(x, f"the power {self.exponent}")
        return dtype, x.unit**ratio

    def compute(self, x: Array) -> Array:
        match self.exponent:
            case 2:
                return x * x
            case -1:
                return 1 / x
            case 0.5:
                return np.sqrt(x)
            case _:
                return np.power(x, x.dtype.type(self.exponent))

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        if self.exponent == 0:
            return (None,)
        (x,) = operands
        slope = write.pow(build, x, self.exponent - 1)
        return (write.mul(build, write.scale(build, cotangent, self.exponent), slope),)


@op
@dataclass(frozen=True, slots=True)
class Power(Elementwise):
    """a to the power b, both pure numbers. The slope in b is 0 where a is not positive."""

    name: ClassVar[str] = "arith.power"

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        require_pure(a, "a power with a computed exponent")
        require_pure(b, "an exponent", operand=1)
        return require_alike(self.name, (a, b), "float"), DIMENSIONLESS

    def compute(self, a: Array, b: Array) -> Array:
        return np.power(a, b)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        a, b = operands
        one, zero = write.const(build, 1.0), write.const(build, 0.0)
        da = write.mul(build, b, write.power(build, a, write.sub(build, b, one)))
        positive = write.gt(build, a, zero)
        logarithm = write.log(build, write.where(build, positive, a, one))
        db = write.where(build, positive, write.mul(build, result, logarithm), zero)
        return write.mul(build, cotangent, da), write.mul(build, cotangent, db)


class Pure(Elementwise):
    """Wants a pure number and gives one; `slope` is the derivative from operand and result."""

    def result(self, x: Type) -> tuple[Dtype, Unit]:
        require_pure(x, self.name.rpartition(".")[2])
        return require_alike(self.name, (x,), "float"), DIMENSIONLESS

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        raise NotImplementedError

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        slope = self.slope(build, operands[0], result)
        return (None if slope is None else write.mul(build, cotangent, slope),)


@op
@dataclass(frozen=True, slots=True)
class Exp(Pure):
    """e to the power x."""

    name: ClassVar[str] = "arith.exp"

    def compute(self, x: Array) -> Array:
        return np.exp(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return y


@op
@dataclass(frozen=True, slots=True)
class Expm1(Pure):
    """exp(x) - 1 without loss near 0."""

    name: ClassVar[str] = "arith.expm1"

    def compute(self, x: Array) -> Array:
        return np.expm1(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.add(build, y, write.const(build, 1.0))


@op
@dataclass(frozen=True, slots=True)
class Log(Pure):
    """The natural logarithm."""

    name: ClassVar[str] = "arith.log"

    def compute(self, x: Array) -> Array:
        return np.log(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.reciprocal(build, x)


@op
@dataclass(frozen=True, slots=True)
class Log1p(Pure):
    """log(1 + x) without loss near 0."""

    name: ClassVar[str] = "arith.log1p"

    def compute(self, x: Array) -> Array:
        return np.log1p(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.reciprocal(build, write.add(build, x, write.const(build, 1.0)))


@op
@dataclass(frozen=True, slots=True)
class Tanh(Pure):
    """The hyperbolic tangent."""

    name: ClassVar[str] = "arith.tanh"

    def compute(self, x: Array) -> Array:
        return np.tanh(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.sub(build, write.const(build, 1.0), write.mul(build, y, y))


@op
@dataclass(frozen=True, slots=True)
class Sigmoid(Pure):
    """1/(1 + exp(-x)), without overflow for large |x|."""

    name: ClassVar[str] = "arith.sigmoid"

    def compute(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1 / (1 + small), small / (1 + small))

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.mul(build, y, write.sub(build, write.const(build, 1.0), y))


@op
@dataclass(frozen=True, slots=True)
class Softplus(Pure):
    """log(1 + exp(x)), without overflow."""

    name: ClassVar[str] = "arith.softplus"

    def compute(self, x: Array) -> Array:
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.sigmoid(build, x)


@op
@dataclass(frozen=True, slots=True)
class Sin(Pure):
    """The sine."""

    name: ClassVar[str] = "arith.sin"

    def compute(self, x: Array) -> Array:
        return np.sin(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.cos(build, x)


@op
@dataclass(frozen=True, slots=True)
class Cos(Pure):
    """The cosine."""

    name: ClassVar[str] = "arith.cos"

    def compute(self, x: Array) -> Array:
        return np.cos(x)

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return write.neg(build, write.sin(build, x))


class _Step(Pure):
    """Piecewise constant: no slope."""

    def slope(self, build: Builder, x: Value, y: Value) -> Value | None:
        return None


@op
@dataclass(frozen=True, slots=True)
class Floor(_Step):
    """The largest whole number not above x."""

    name: ClassVar[str] = "arith.floor"

    def compute(self, x: Array) -> Array:
        return np.floor(x)


@op
@dataclass(frozen=True, slots=True)
class Ceil(_Step):
    """The smallest whole number not below x."""

    name: ClassVar[str] = "arith.ceil"

    def compute(self, x: Array) -> Array:
        return np.ceil(x)


@op
@dataclass(frozen=True, slots=True)
class Round(_Step):
    """The nearest whole number; halves go to the even one."""

    name: ClassVar[str] = "arith.round"

    def compute(self, x: Array) -> Array:
        return np.round(x)


class _Comparison(Elementwise):
    """Two numbers of one unit give a truth value."""

    saved: ClassVar[bool] = False

    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        require_alike(self.name, (a, b), "float", "int")
        require_same_unit(a, b)
        return "bool", DIMENSIONLESS


@op
@dataclass(frozen=True, slots=True)
class Lt(_Comparison):
    """a < b"""

    name: ClassVar[str] = "arith.lt"

    def compute(self, a: Array, b: Array) -> Array:
        return a < b


@op
@dataclass(frozen=True, slots=True)
class Le(_Comparison):
    """a <= b"""

    name: ClassVar[str] = "arith.le"

    def compute(self, a: Array, b: Array) -> Array:
        return a <= b


@op
@dataclass(frozen=True, slots=True)
class Gt(_Comparison):
    """a > b"""

    name: ClassVar[str] = "arith.gt"

    def compute(self, a: Array, b: Array) -> Array:
        return a > b


@op
@dataclass(frozen=True, slots=True)
class Ge(_Comparison):
    """a >= b"""

    name: ClassVar[str] = "arith.ge"

    def compute(self, a: Array, b: Array) -> Array:
        return a >= b


class _Equality(_Comparison):
    def result(self, a: Type, b: Type) -> tuple[Dtype, Unit]:
        require_alike(self.name, (a, b), "float", "int", "bool")
        require_same_unit(a, b)
        return "bool", DIMENSIONLESS


@op
@dataclass(frozen=True, slots=True)
class Eq(_Equality):
    """a == b"""

    name: ClassVar[str] = "arith.eq"

    def compute(self, a: Array, b: Array) -> Array:
        return a == b


@op
@dataclass(frozen=True, slots=True)
class Ne(_Equality):
    """a != b"""

    name: ClassVar[str] = "arith.ne"

    def compute(self, a: Array, b: Array) -> Array:
        return a != b


class _Logic(Elementwise):
    saved: ClassVar[bool] = False

    def result(self, *operands: Type) -> tuple[Dtype, Unit]:
        return require_alike(self.name, operands, "bool"), DIMENSIONLESS


@op
@dataclass(frozen=True, slots=True)
class And(_Logic):
    """a and b"""

    name: ClassVar[str] = "arith.and"

    def compute(self, a: Array, b: Array) -> Array:
        return a & b


@op
@dataclass(frozen=True, slots=True)
class Or(_Logic):
    """a or b"""

    name: ClassVar[str] = "arith.or"

    def compute(self, a: Array, b: Array) -> Array:
        return a | b


@op
@dataclass(frozen=True, slots=True)
class Not(_Logic):
    """not a"""

    name: ClassVar[str] = "arith.not"

    def compute(self, a: Array) -> Array:
        return ~a


@op
@dataclass(frozen=True, slots=True)
class Where(Elementwise):
    """a where the condition is true, else b."""

    name: ClassVar[str] = "arith.where"

    def result(self, condition: Type, a: Type, b: Type) -> tuple[Dtype, Unit]:
        require_dtype(condition, "a condition", "bool")
        for place, type_ in ((1, a), (2, b)):
            require_dtype(type_, "where", a.dtype, operand=place)
        try:
            return a.dtype, require_same_unit(a, b)
        except RuleError as error:
            error.operand = 2
            raise

    def compute(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        condition, zero = operands[0], write.zero_like(build, cotangent)
        return None, write.where(build, condition, cotangent, zero), write.where(build, condition, zero, cotangent)


@op
@dataclass(frozen=True, slots=True)
class Cast(Elementwise):
    """To another dtype: float to int drops the fraction, bool gives 0 and 1."""

    name: ClassVar[str] = "arith.cast"
    saved: ClassVar[bool] = False
    dtype: Dtype

    def result(self, x: Type) -> tuple[Dtype, Unit]:
        if self.dtype != "float":
            require_pure(x, f"a cast to {self.dtype}")
        return self.dtype, x.unit

    def compute(self, x: Array) -> Array:
        return np.trunc(x) if self.dtype == "int" and x.dtype.kind == "f" else x

    def partials(
        self, build: Builder, cotangent: Value, operands: Sequence[Value], result: Value
    ) -> Sequence[Value | None]:
        return (cotangent if operands[0].type.dtype == "float" else None,)
