"""Built-in distributions. A draw is a counter-based random operation under the site it is given, shifted and scaled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from cortexspec.contracts.operand import Array, Operand
from cortexspec.contracts.operators import same_unit
from cortexspec.contracts.plugin import DistributionEntry, Keys
from cortexspec.contracts.translate import Drawn
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import Axis, RuleError, require_pure

Arguments = Sequence[Any]
Settings = Mapping[str, Operand]


def draw(build: Builder, drawn: Drawn, site: str, axes: Sequence[Axis], keys: Keys) -> Value:
    """Draws one value an element along `axes`, in their written order."""
    return drawn.entry.write(build, site, axes, drawn.arguments, drawn.settings, keys)


def _key(keys: Keys, site: str) -> tuple[Value, Value | None, Value | None]:
    if keys.seed is None:
        raise RuleError("CS700", f"a draw at this place ({site}) is not supported yet")
    return keys.seed, keys.trial, keys.step


def _value(argument: Any, place: int) -> Value:
    if isinstance(argument, Drawn):
        raise RuleError("CS700", "a distribution as the argument of this one is not supported yet", operand=place)
    return argument.value


def _pair(build: Builder, arguments: Arguments) -> tuple[Value, Value]:
    """Two arguments of one unit; a literal 0 fits the other's."""
    for place, argument in enumerate(arguments):
        _value(argument, place)
    first, second = same_unit(build, *arguments)
    return first.value, second.value


def _scaled(build: Builder, standard: Value, low: Value, spread: Value) -> Value:
    """low + spread*standard."""
    return write.add(build, low, write.mul(build, standard, spread))


def _normal(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    mean, deviation = _pair(build, arguments)
    return _scaled(build, write.normal(build, site, axes, *_key(keys, site)), mean, deviation)


def _lognormal(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    mean, deviation = _pair(build, arguments)
    for place, value in enumerate((mean, deviation)):
        require_pure(value.type, "lognormal", place)
    return write.exp(build, _scaled(build, write.normal(build, site, axes, *_key(keys, site)), mean, deviation))


def _uniform(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    low, high = _pair(build, arguments)
    spread = write.sub(build, high, low)
    return _scaled(build, write.uniform(build, site, axes, *_key(keys, site)), low, spread)


def _bernoulli(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    """1 where the draw is below p, else 0; no number where p is none or lies outside [0, 1], which stops the run.

    Raises: RuleError CS512 for a written number outside [0, 1].
    """
    p = _value(arguments[0], 0)
    require_pure(p.type, "a probability")
    known = arguments[0].literal
    if known is not None and not ((known >= 0) & (known <= 1)).all():
        raise RuleError("CS512", f"a probability lies in [0, 1], it is {_worst(known):g}", operand=0)
    seed, trial, step = _key(keys, site)
    drawn = write.cast(build, write.bernoulli(build, site, axes, p, seed, trial, step), "float")
    if known is not None:
        return drawn
    zero, one = write.const(build, 0.0), write.const(build, 1.0)
    inside = write.and_(build, write.ge(build, p, zero), write.le(build, p, one))
    return write.where(build, inside, drawn, write.const(build, math.nan))


def _worst(p: Array) -> float:
    """The first that is no probability."""
    return float(p.ravel()[int(np.argmax(~((p >= 0) & (p <= 1)).ravel()))])


def _poisson(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    mean = _value(arguments[0], 0)
    require_pure(mean.type, "the mean of a count")
    seed, trial, step = _key(keys, site)
    return write.cast(build, write.poisson(build, site, axes, mean, seed, trial, step), "float")


def _size(build: Builder, axes: Sequence[Axis]) -> Value:
    """The number of elements along all axes, as a float that is known at load."""
    known, total = 1, None
    for axis in axes:
        fixed = axis.size.fixed
        if fixed is not None:
            known *= fixed
            continue
        length = write.size_of(build, axis)
        total = length if total is None else write.mul(build, total, length)
    number = write.const(build, float(known))
    return number if total is None else write.mul(build, total, number)


def _symmetric(build: Builder, site: str, axes: Sequence[Axis], bound: Value, keys: Keys) -> Value:
    """Uniform in ±bound."""
    standard = write.uniform(build, site, axes, *_key(keys, site))
    return write.mul(build, write.sub(build, write.scale(build, standard, 2.0), write.const(build, 1.0)), bound)


def _by_fan_in(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    """Uniform in ±1/sqrt(n): n as given, or the size of the last axis."""
    inputs = _value(arguments[0], 0) if arguments else _size(build, axes[-1:])
    return _symmetric(build, site, axes, write.reciprocal(build, write.sqrt(build, inputs)), keys)


def _glorot(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    """Uniform in ±sqrt(6/(outputs + inputs)) over a matrix [target, source]. Source: Glorot & Bengio 2010, eq. 16."""
    if len(axes) < 2:
        raise RuleError("CS501", "glorot draws a matrix [target, source]")
    both = write.add(build, _size(build, axes[-2:-1]), _size(build, axes[-1:]))
    return _symmetric(build, site, axes, write.sqrt(build, write.div(build, write.const(build, 6.0), both)), keys)


def _orthogonal(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    """A matrix with orthonormal rows or columns, uniform over them: the Q of a normal matrix, signs by R's diagonal.

    Source: Saxe, McClelland & Ganguli 2014; Mezzadri 2007 for the signs.
    """
    from cortexspec.library.orthogonal import Orthogonalize

    if len(axes) < 2:
        raise RuleError("CS501", "orthogonal draws a matrix [target, source]")
    matrix = write.normal(build, site, axes, *_key(keys, site))
    return build.one(Orthogonalize(axes[-2].name, axes[-1].name), matrix)


def _permutation(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    if len(axes) != 1:
        raise RuleError("CS501", "a permutation has one axis")
    return write.cast(build, write.permutation(build, site, axes[0], *_key(keys, site)), "float")


def _truncated(
    build: Builder, site: str, axes: Sequence[Axis], arguments: Arguments, settings: Settings, keys: Keys
) -> Value:
    """Drawn again where it falls outside, eight times; what still lies outside is put on the bound."""
    (inner,) = arguments
    if not isinstance(inner, Drawn):
        raise RuleError(
            "CS501", "truncated wants a distribution, such as `truncated(normal(0, 1), low = 0)`", operand=0
        )
    value = draw(build, inner, f"{site}.0", axes, keys)
    low, high = settings.get("low"), settings.get("high")
    bounds = [(bound.value, out) for bound, out in ((low, write.lt), (high, write.gt)) if bound is not None]
    for attempt in range(1, 8) if bounds else ():
        again = draw(build, inner, f"{site}.{attempt}", axes, keys)
        # One condition for both bounds: what only it reads is drawn where it holds (`ir.ops.where_taken`).
        outside = reduce(partial(write.or_, build), [out(build, value, bound) for bound, out in bounds])
        value = write.where(build, outside, again, value)
    if low is not None:
        value = write.maximum(build, value, low.value)
    return value if high is None else write.minimum(build, value, high.value)


def _entry(
    name: str, lines: Callable[..., Value], arity: tuple[int, int | None], doc: str, settings: tuple[str, ...] = ()
) -> DistributionEntry:
    return DistributionEntry(name, lines, arity, settings, doc)


DISTRIBUTIONS: tuple[DistributionEntry, ...] = (
    _entry("normal", _normal, (2, 2), "normal(mean, standard deviation)"),
    _entry("lognormal", _lognormal, (2, 2), "exp of normal(mean, standard deviation), both in log units"),
    _entry("uniform", _uniform, (2, 2), "uniform(low, high)"),
    _entry("bernoulli", _bernoulli, (1, 1), "1 with probability p, else 0"),
    _entry("poisson", _poisson, (1, 1), "counts with the given mean"),
    _entry("fan_in", _by_fan_in, (0, 1), "uniform in ±1/sqrt(fan in)"),
    _entry("glorot", _glorot, (0, 0), "uniform in ±sqrt(6/(fan in + fan out)) over [target, source]"),
    _entry("orthogonal", _orthogonal, (0, 0), "a random matrix with orthonormal rows or columns"),
    _entry("permutation", _permutation, (0, 0), "0 to n - 1 in a random order"),
    _entry("truncated", _truncated, (1, 1), "truncated(D, low = a, high = b)", ("low", "high")),
)
__all__ = ["DISTRIBUTIONS", "draw"]
