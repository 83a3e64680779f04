"""A unit of the coherent set: exact exponents over five base units, and a readable name for them."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from itertools import combinations, product

# The base of the coherent set. With these five, nS = pA/mV, pF = pA*ms/mV, GOhm = mV/pA and kHz = 1/ms need no factor.
BASE = ("mV", "ms", "pA", "um", "mM")

Exponents = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Unit:
    """A unit of the coherent set: equal dimensions, equal units. A display unit (Hz for kHz) is text kept elsewhere.

    >>> parse_unit("mV/ms")[0] * parse_unit("ms")[0] == parse_unit("V")[0]
    True
    """

    exponents: Exponents

    def __mul__(self, other: "Unit") -> "Unit":
        return Unit(tuple(a + b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __truediv__(self, other: "Unit") -> "Unit":
        return Unit(tuple(a - b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __pow__(self, power: "int | Fraction") -> "Unit":
        if isinstance(power, float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a unit is raised to an int or a Fraction, not to {power!r}: floats are not exact")
        return Unit(tuple(exponent * Fraction(power) for exponent in self.exponents))

    @property
    def dimensionless(self) -> bool:
        return not any(self.exponents)

    def name(self) -> str:
        """A readable product of coherent units, e.g. "mV/ms", "kHz", "mV^-1"; "1" for a pure number.

        `parse_unit(unit.name())` gives the unit back with factor 1.
        """
        return _name(self.exponents)

    def __str__(self) -> str:
        return self.name()

    def __repr__(self) -> str:
        return f"Unit({self.name()!r})"


def _base(**exponents: int) -> Unit:
    return Unit(tuple(Fraction(exponents.get(symbol, 0)) for symbol in BASE))


DIMENSIONLESS = _base()

# Every symbol of the coherent set with its unit, the ones a reader likes best first.
COHERENT: dict[str, Unit] = {
    "ms": _base(ms=1),
    "mV": _base(mV=1),
    "pA": _base(pA=1),
    "um": _base(um=1),
    "mM": _base(mM=1),
    "kHz": _base(ms=-1),
    "nS": _base(pA=1, mV=-1),
    "GOhm": _base(mV=1, pA=-1),
    "pF": _base(pA=1, ms=1, mV=-1),
}


@lru_cache(maxsize=4096)
def _name(exponents: Exponents) -> str:
    if not any(exponents):
        return "1"
    factors = sorted(_factors(exponents), key=lambda factor: factor[0] == "ms")  # mV*ms, not ms*mV
    over = [_power(symbol, exponent) for symbol, exponent in factors if exponent > 0]
    under = [(symbol, -exponent) for symbol, exponent in factors if exponent < 0]
    if not over:
        return "*".join(_power(symbol, -exponent) for symbol, exponent in under)
    return "*".join(over) + "".join("/" + _power(symbol, exponent) for symbol, exponent in under)


def _factors(exponents: Exponents) -> list[tuple[str, Fraction]]:
    """The nicest product of at most two coherent symbols; else the base units themselves."""
    if found := _products().get(exponents):
        return found
    return [(symbol, exponent) for symbol, exponent in zip(BASE, exponents, strict=True) if exponent]


@cache
def _products() -> dict[Exponents, list[tuple[str, Fraction]]]:
    """Every product of one or two coherent symbols with small powers, the nicest for each dimension."""
    powers = [Fraction(p) for p in (1, -1, 2, -2, 3, -3)] + [Fraction(1, 2), Fraction(-1, 2)]
    best: dict[Exponents, list[tuple[str, Fraction]]] = {}
    for count in (1, 2):
        for symbols in combinations(COHERENT, count):
            for chosen in product(powers, repeat=count):
                factors = list(zip(symbols, chosen, strict=True))
                known = best.setdefault(_multiply(factors), factors)
                if len(known) == count and _cost(factors) < _cost(known):
                    best[_multiply(factors)] = factors
    return best


def _multiply(factors: list[tuple[str, Fraction]]) -> Exponents:
    unit = DIMENSIONLESS
    for symbol, power in factors:
        unit = unit * COHERENT[symbol] ** power
    return unit.exponents


def _cost(factors: list[tuple[str, Fraction]]) -> tuple[float, ...]:
    """Small powers first, then a numerator rather than none, then base units rather than derived ones."""
    size = float(sum(abs(power) for _, power in factors))
    no_numerator = float(all(power < 0 for _, power in factors))
    derived = sum(symbol not in BASE for symbol, _ in factors)
    return (size, no_numerator, derived)


def _power(symbol: str, exponent: Fraction) -> str:
    if exponent == 1:
        return symbol
    text = str(exponent)
    return f"{symbol}^({text})" if "/" in text else f"{symbol}^{text}"
