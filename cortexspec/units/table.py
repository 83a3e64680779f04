"""The closed table of unit symbols that a spec may write. No gram, coulomb, kelvin: g, C, K are names in papers."""

import math
from dataclasses import dataclass
from fractions import Fraction

from cortexspec.units.dimension import COHERENT, DIMENSIONLESS, Unit

PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of the table: how many coherent units it is, exactly where that is a power of ten."""

    unit: Unit
    factor: Fraction | float


# Each prefixable symbol with the coherent symbol of its dimension and the power of ten from one to the other.
_PREFIXABLE = {
    "s": ("ms", 3),
    "V": ("mV", 3),
    "A": ("pA", 12),
    "S": ("nS", 9),
    "F": ("pF", 12),
    "Ohm": ("GOhm", -9),
    "Hz": ("kHz", -3),
    "m": ("um", 6),
    "M": ("mM", 3),
}


def _table() -> dict[str, Symbol]:
    symbols: dict[str, Symbol] = {}
    for base, (coherent, exponent) in _PREFIXABLE.items():
        for prefix, power in PREFIXES.items():
            symbols[prefix + base] = Symbol(COHERENT[coherent], Fraction(10) ** (power + exponent))
    symbols["cm"] = Symbol(COHERENT["um"], Fraction(10) ** 4)
    for name, factor in (("rad", Fraction(1)), ("bit", Fraction(1)), ("%", Fraction(1, 100)), ("deg", math.pi / 180)):
        symbols[name] = Symbol(DIMENSIONLESS, factor)
    return symbols


SYMBOLS: dict[str, Symbol] = _table()
