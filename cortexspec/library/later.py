"""Functions of the language that are typed but not lowered yet: each has its unit and axes, so that specs with it are judged.

`LATER` are the entries that lowering meets: they say CS700 at their place. `SIGNATURES` are those that analysis reads:
they give the type and write nothing. A function that lowers moves from here to `functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import RuleError, Type
from cortexspec.units import DIMENSIONLESS

Settings = Mapping[str, Any]
Signature = Callable[[Builder, Sequence[Operand], Settings], Operand]


def _typed(build: Builder, x: Operand, without: Sequence[str] = ()) -> Operand:
    """An operand like x, without some axes."""
    axes = x.type.without(without)
    type_ = Type(axes, "float", x.type.unit)
    written = tuple(name for name in x.axes if name not in without)
    return Operand(Value(build.names.fresh("later"), type_), written, anonymous=x.anonymous and bool(written))


def _like(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
    return _typed(build, arguments[0])


def _matrix(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
    if len(arguments[0].axes) != 2:
        raise RuleError("CS501", "a matrix [target, source] is wanted here", operand=0)
    return _typed(build, arguments[0])


def _eigenvalues(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
    matrix = _matrix(build, arguments, settings)
    return _typed(build, matrix, without=matrix.axes[1:])


def _jacobian(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
    rows = [build.axis(name, Size.symbol("states")) for name in ("state_target", "state_source")]
    unit = settings.get("rate", DIMENSIONLESS)
    value = Value(build.names.fresh("jacobian"), Type(tuple(rows), "float", unit))
    return Operand(value, tuple(axis.name for axis in rows))


def _of_everything(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
    return _typed(build, arguments[0], without=arguments[0].axes)


_TABLE: tuple[tuple[str, Signature, tuple[int, int | None], tuple[str, ...], tuple[str, ...], str], ...] = (
    ("running_mean", _of_everything, (1, 1), (), (), "the mean over the last epoch of training, noise on"),
    ("eigenvalues", _eigenvalues, (1, 1), (), (), "the eigenvalues of a matrix"),
    ("jacobian", _jacobian, (0, 0), (), (), "the derivative of the vector field at rest"),
    ("real", _like, (1, 1), (), (), "the real part"),
    ("imag", _like, (1, 1), (), (), "the imaginary part"),
)


def _not_yet(name: str) -> Signature:
    def write(build: Builder, arguments: Sequence[Operand], settings: Settings) -> Operand:
        raise RuleError("CS700", f"`{name}` is not supported here yet")

    return write


SIGNATURES: tuple[FunctionEntry, ...] = tuple(
    FunctionEntry(name, signature, arity, settings, static, doc)
    for name, signature, arity, settings, static, doc in _TABLE
)
LATER: tuple[FunctionEntry, ...] = tuple(replace(entry, write=_not_yet(entry.name)) for entry in SIGNATURES)
