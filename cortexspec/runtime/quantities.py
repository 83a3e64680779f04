"""Quantities at the border: "50 ms", a pint quantity, or a bare number in the coherent set."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, parse_quantity

Quantity = Any  # str, a pint quantity, or a number


def coherent(value: Quantity, unit: Unit, what: str) -> float:
    """The number of coherent units of a quantity that must be of `unit`; a bare number is taken as it is.

    Raises: SpecError CS401 for another dimension or a text that is no quantity.
    """
    try:
        found = parse_quantity(value)
    except UnitError as error:
        raise SpecError([Diagnostic("CS401", f"{what}: {error}", help=error.help)]) from None
    bare = not isinstance(value, str) and found.unit == DIMENSIONLESS
    if found.unit != unit and not bare:
        message = f"{what} is wanted in {unit.name()}, it is given in {found.unit.name()}"
        raise SpecError([Diagnostic("CS401", message, label=f"expected {unit.name()}, found {found.unit.name()}")])
    return found.value


def coherent_array(value: Any, unit: Unit, what: str) -> Array:
    """An array in coherent units: of numbers, of quantities, or a single quantity.

    Raises: SpecError CS401.
    """
    if isinstance(value, str):
        return np.asarray(coherent(value, unit, what))
    magnitude = getattr(value, "magnitude", None)
    if magnitude is not None and np.ndim(magnitude):
        one = coherent(value.__class__(1.0, value.units), unit, what)
        return np.asarray(magnitude) * one
    if magnitude is not None:
        return np.asarray(coherent(value, unit, what))
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        flat = [coherent(one, unit, what) for one in array.ravel().tolist()]
        return np.array(flat).reshape(array.shape)
    return array


def whole_steps(duration: float, dt: float, what: str = "the duration") -> int:
    """The number of steps. Raises: SpecError CS916 where the duration is off a whole number by more than 1e-6 of a step."""
    if not dt > 0:
        raise SpecError([Diagnostic("CS916", f"the step must be longer than 0, it is {dt:g}")])
    if duration < 0:
        raise SpecError([Diagnostic("CS916", f"{what} must not be negative, it is {duration:g}")])
    steps = duration / dt
    nearest = round(steps)
    if abs(steps - nearest) > 1e-6:
        message = f"{what} of {duration:g} is {steps:g} steps of {dt:g}, which is no whole number"
        raise SpecError([Diagnostic("CS916", message, help=f"write {nearest * dt:g}, or change dt")])
    return nearest
