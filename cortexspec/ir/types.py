"""Types of the IR: a dtype, a set of named axes, a unit. Axis order is the layout's business, never a type's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cortexspec.ir.size import Size
from cortexspec.units import DIMENSIONLESS, Unit

Role = Literal["plain", "sample", "time", "edge"]
Dtype = Literal["float", "int", "bool", "bits"]  # float: 32 or 64 by option; int: 64; bits: unsigned 32


@dataclass(frozen=True, slots=True)
class Axis:
    """Identity is the name: two values that carry an axis of one name are aligned along it."""

    name: str
    size: Size
    role: Role = "plain"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Type:
    """`axes` is kept sorted by name: a set in meaning."""

    axes: tuple[Axis, ...] = ()
    dtype: Dtype = "float"
    unit: Unit = DIMENSIONLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(sorted(self.axes, key=lambda axis: axis.name)))
        names = [axis.name for axis in self.axes]
        if len(set(names)) != len(names):
            raise ValueError(f"axis occurs twice in {names}")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(axis.name for axis in self.axes)

    def axis(self, name: str) -> Axis:
        """Raises KeyError."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise KeyError(name)

    def has(self, name: str) -> bool:
        return any(axis.name == name for axis in self.axes)

    def without(self, names: Iterable[str]) -> tuple[Axis, ...]:
        dropped = set(names)
        return tuple(axis for axis in self.axes if axis.name not in dropped)

    def with_axes(self, axes: Iterable[Axis]) -> Type:
        return Type(tuple(axes), self.dtype, self.unit)

    def with_unit(self, unit: Unit) -> Type:
        return Type(self.axes, self.dtype, unit)

    def __str__(self) -> str:
        axes = "[" + ", ".join(axis.name for axis in self.axes) + "]" if self.axes else ""
        unit = "" if self.unit == DIMENSIONLESS else " " + self.unit.name()
        return f"{self.dtype}{axes}{unit}"


class RuleError(Exception):
    """An op refuses its operands. `operand` is the index of the culprit where there is one.

    The translator (contracts.translate) turns it into a Diagnostic at the place of that operand.
    """

    def __init__(self, code: str, message: str, *, label: str = "", help: str = "", operand: int | None = None):
        super().__init__(message)
        self.code, self.message, self.label, self.help, self.operand = code, message, label, help, operand


def union_axes(*types: Type) -> tuple[Axis, ...]:
    """All axes of all types. Raises RuleError CS501 where one name has two sizes or roles."""
    axes: dict[str, Axis] = {}
    for place, type_ in enumerate(types):
        for axis in type_.axes:
            known = axes.setdefault(axis.name, axis)
            if known != axis:
                raise RuleError(
                    "CS501",
                    f"axis `{axis.name}` has {axis.size} elements here and {known.size} there",
                    label=f"expected {known.size}, found {axis.size}",
                    operand=place,
                )
    return tuple(axes.values())


def require_same_unit(*types: Type) -> Unit:
    """The common unit. Raises RuleError CS401 that names the operand that differs from the first."""
    first = types[0].unit
    for place, type_ in enumerate(types[1:], start=1):
        if type_.unit != first:
            wanted, found = unit_in_words(first), unit_in_words(type_.unit)
            raise RuleError(
                "CS401",
                f"quantities of different dimension meet: {wanted} and {found}",
                label=f"expected {wanted}, found {found}",
                operand=place,
            )
    return first


def unit_in_words(unit: Unit) -> str:
    """What an author calls a unit: "mV/ms", and not "1" but "a pure number"."""
    return "a pure number" if unit == DIMENSIONLESS else unit.name()


def require_pure(type_: Type, what: str, operand: int = 0) -> None:
    """Raises RuleError CS401 unless the type is a pure number."""
    if type_.unit != DIMENSIONLESS:
        raise RuleError(
            "CS401",
            f"{what} wants a pure number, but is given {type_.unit.name()}",
            label=f"expected a pure number, found {type_.unit.name()}",
            operand=operand,
        )


_KINDS = {"float": "a number", "int": "an integer", "bool": "a truth value", "bits": "random bits"}


def require_dtype(type_: Type, what: str, *allowed: Dtype, operand: int = 0) -> None:
    """Raises RuleError CS602 unless the type is of one of the dtypes."""
    if type_.dtype not in allowed:
        wanted = " or ".join(_KINDS[dtype] for dtype in allowed)
        found = _KINDS[type_.dtype]
        raise RuleError(
            "CS602",
            f"{what} wants {wanted}, but is given {found}",
            label=f"expected {wanted}, found {found}",
            operand=operand,
        )


def require_alike(what: str, types: Sequence[Type], *allowed: Dtype) -> Dtype:
    """The common dtype. Raises RuleError CS602."""
    for place, type_ in enumerate(types):
        require_dtype(type_, what, *allowed, operand=place)
        if type_.dtype != types[0].dtype:
            require_dtype(type_, what, types[0].dtype, operand=place)
    return types[0].dtype


def require_axis(type_: Type, name: str, what: str, operand: int = 0) -> Axis:
    """The axis of that name. Raises RuleError CS501 where the type has none."""
    if not type_.has(name):
        has = ", ".join(axis.name for axis in type_.axes) or "no axes"
        raise RuleError("CS501", f"{what} wants an axis `{name}`, but finds {has}", label=f"has {has}", operand=operand)
    return type_.axis(name)


def require_free(axes: Sequence[Axis], added: Sequence[Axis], what: str) -> tuple[Axis, ...]:
    """All the axes. Raises RuleError CS501 where a name of `added` is in use."""
    names = [axis.name for axis in (*axes, *added)]
    for name in names:
        if names.count(name) > 1:
            raise RuleError("CS501", f"{what} would give two axes of the name `{name}`")
    return (*axes, *added)


def require_size(found: Size, wanted: Size, what: str) -> None:
    """Raises RuleError CS501 unless the two sizes are the same polynomial."""
    if found != wanted:
        raise RuleError(
            "CS501", f"{what} has {found} elements where {wanted} are wanted", label=f"expected {wanted}, found {found}"
        )
