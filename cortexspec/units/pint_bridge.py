"""Quantities of pint at the library's border. Only this file imports pint, and only when somebody brings one."""

from fractions import Fraction
from typing import Any

from cortexspec.units.coherent import Quantity, UnitError
from cortexspec.units.dimension import BASE, DIMENSIONLESS, Unit

# How pint writes the five base units.
_PINT_BASE = dict(zip(BASE, ("millivolt", "millisecond", "picoampere", "micrometer", "millimolar"), strict=True))
_SPECIAL = {"Ohm": "ohm", "%": "percent", "deg": "degree", "rad": "radian", "bit": "dimensionless"}


def pint_name(symbol: str) -> str:
    """A symbol of the closed table in pint's spelling: `Ohm` is `ohm`, `mM` is `mM`."""
    for ours, theirs in _SPECIAL.items():
        if symbol.endswith(ours) and (ours == "Ohm" or symbol == ours):
            return symbol[: -len(ours)] + theirs
    return symbol[:-1] + "molar" if symbol.endswith("M") else symbol


def quantity_from_pint(value: Any) -> Quantity:
    """A pint quantity in the coherent set.

    Raises: UnitError for a dimension outside the language (a mass alone, a temperature).
    """
    if not hasattr(value, "to") or not hasattr(value, "dimensionality"):
        raise UnitError(f"{value!r} is not a quantity", 'give text such as "50 ms", a pint quantity, or a number')
    unit = _unit(value)
    factors = [
        f"{_PINT_BASE[symbol]} ** ({power})" for symbol, power in zip(BASE, unit.exponents, strict=True) if power
    ]
    return Quantity(float(value.to(" * ".join(factors) or "dimensionless").magnitude), unit)


def _unit(value: Any) -> Unit:
    """The exponents over our base, solved from pint's over length, mass, time, current and substance.

    A volt is kg m^2 s^-3 A^-1 and a molar is mol m^-3, so mass counts volts and substance counts molars.
    """
    exponents = {name: Fraction(str(power)).limit_denominator(64) for name, power in dict(value.dimensionality).items()}
    voltage = exponents.pop("[mass]", Fraction(0))
    concentration = exponents.pop("[substance]", Fraction(0))
    current = exponents.pop("[current]", Fraction(0)) + voltage
    time = exponents.pop("[time]", Fraction(0)) + 3 * voltage
    length = exponents.pop("[length]", Fraction(0)) - 2 * voltage + 3 * concentration
    if exponents:
        raise UnitError(f"{value!r} has a dimension that the language does not know: {', '.join(sorted(exponents))}")
    unit = Unit((voltage, time, current, length, concentration))
    return unit if any(unit.exponents) else DIMENSIONLESS
