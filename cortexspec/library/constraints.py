"""Built-in constraints. `in C` projects the natural value after each optimiser step; `in C(by = f)` trains another value.

The raw value of a reparametrised parameter is a pure number: of `positive(by = exp)` the logarithm of the value in
coherent units, of `interval(a, b, by = sigmoid)` the logit of the place between a and b.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import ConstraintEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import RuleError
from cortexspec.units import DIMENSIONLESS, Unit

Settings = Mapping[str, Any]
_LEAST = 1e-12  # a projection onto an open set needs a place to put what left it


def _unit(settings: Settings) -> Unit:
    """The unit of the natural value, which lowering adds to the settings."""
    return settings.get("unit", DIMENSIONLESS)


def _pure(build: Builder, x: Value) -> Value:
    """The number of coherent units."""
    if x.type.unit == DIMENSIONLESS:
        return x
    return write.div(build, x, write.const(build, 1.0, x.type.unit))


def _with_unit(build: Builder, x: Value, unit: Unit) -> Value:
    return x if unit == DIMENSIONLESS else write.mul(build, x, write.const(build, 1.0, unit))


def _by(settings: Settings, *known: str) -> str:
    by = str(settings.get("by", ""))
    if by not in known:
        raise RuleError("CS301", f"this constraint is not made by `{by}`", help=f"it is made by {' or '.join(known)}")
    return by


def _project_positive(build: Builder, x: Value, settings: Settings) -> Value:
    return write.maximum(build, x, write.const(build, _LEAST, x.type.unit))


def _project_nonnegative(build: Builder, x: Value, settings: Settings) -> Value:
    return write.maximum(build, x, write.const(build, 0.0, x.type.unit))


def _constrain_positive(build: Builder, raw: Value, settings: Settings) -> Value:
    by = _by(settings, "exp", "softplus")
    return _with_unit(build, (write.exp if by == "exp" else write.softplus)(build, raw), _unit(settings))


def _unconstrain_positive(build: Builder, x: Value, settings: Settings) -> Value:
    x = _pure(build, x)
    if _by(settings, "exp", "softplus") == "exp":
        return write.log(build, x)
    # log(exp(x) - 1), written so that it does not overflow
    inner = write.neg(build, write.expm1(build, write.neg(build, x)))
    return write.add(build, x, write.log(build, inner))


def _bounds(build: Builder, settings: Settings, unit: Unit) -> tuple[Value, Value]:
    low, high = settings.get("low"), settings.get("high")
    if low is None or high is None:
        raise RuleError("CS301", "interval wants two bounds, `interval(0, 1)`")
    return _bound(build, low, unit), _bound(build, high, unit)


def _bound(build: Builder, bound: Any, unit: Unit) -> Value:
    if isinstance(bound, Operand):
        return write.const(build, 0.0, unit) if bound.zero else bound.value
    return write.const(build, float(bound), unit)


def _project_interval(build: Builder, x: Value, settings: Settings) -> Value:
    low, high = _bounds(build, settings, x.type.unit)
    return write.minimum(build, write.maximum(build, x, low), high)


def _constrain_interval(build: Builder, raw: Value, settings: Settings) -> Value:
    _by(settings, "sigmoid")
    low, high = _bounds(build, settings, _unit(settings))
    return write.add(build, low, write.mul(build, write.sub(build, high, low), write.sigmoid(build, raw)))


def _unconstrain_interval(build: Builder, x: Value, settings: Settings) -> Value:
    _by(settings, "sigmoid")
    low, high = _bounds(build, settings, x.type.unit)
    return write.log(build, write.div(build, write.sub(build, x, low), write.sub(build, high, x)))


def _pattern(settings: Settings, x: Value, name: str) -> Value:
    pattern = settings.get("low")
    if not isinstance(pattern, Operand):
        raise RuleError("CS301", f"{name} wants a matrix, `{name}(M)`")
    lacking = [axis.name for axis in x.type.axes if not pattern.type.has(axis.name)]
    if lacking:
        raise RuleError(
            "CS501", f"`{name}` wants one value for each that it holds; along `{lacking[0]}` there is only one"
        )
    return pattern.value


def _project_support(build: Builder, x: Value, settings: Settings) -> Value:
    """0 where the pattern is 0, so that no connection is made that was not there."""
    pattern = _pattern(settings, x, "support_of")
    zero = write.const(build, 0.0, x.type.unit)
    return write.where(build, write.ne(build, pattern, write.const(build, 0.0, pattern.type.unit)), x, zero)


def _project_signs(build: Builder, x: Value, settings: Settings) -> Value:
    """0 where the sign is not the pattern's: what has crossed stops at 0, and may come back."""
    pattern = _pattern(settings, x, "signs_of")
    zero, none = write.const(build, 0.0, x.type.unit), write.const(build, 0.0, pattern.type.unit)
    above, below = write.maximum(build, x, zero), write.minimum(build, x, zero)
    rest = write.where(build, write.lt(build, pattern, none), below, zero)
    return write.where(build, write.gt(build, pattern, none), above, rest)


CONSTRAINTS: tuple[ConstraintEntry, ...] = (
    ConstraintEntry(
        "positive",
        _project_positive,
        _constrain_positive,
        _unconstrain_positive,
        doc="above 0; `by = exp` or `by = softplus` trains another value",
    ),
    ConstraintEntry(
        "nonnegative",
        _project_nonnegative,
        _constrain_positive,
        _unconstrain_positive,
        doc="not below 0; `by = exp` or `by = softplus` trains another value",
    ),
    ConstraintEntry(
        "interval",
        _project_interval,
        _constrain_interval,
        _unconstrain_interval,
        doc="between two bounds, `interval(a, b)`; `by = sigmoid` trains another value",
    ),
    ConstraintEntry("support_of", _project_support, doc="`support_of(M)`: 0 wherever M is 0"),
    ConstraintEntry(
        "signs_of", _project_signs, doc="`signs_of(M)`: nowhere of another sign than M, and 0 wherever M is 0"
    ),
)
