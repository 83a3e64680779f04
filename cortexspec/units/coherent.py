"""From written units to the coherent set and back. Quantities come in as text, as numbers or as pint's."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from cortexspec.units.dimension import DIMENSIONLESS, Unit
from cortexspec.units.table import SYMBOLS


class UnitError(ValueError):
    """A unit text that the closed table does not know; `help` names the nearest symbol where there is one."""

    def __init__(self, message: str, help: str = ""):
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in the coherent set with its unit."""

    value: float
    unit: Unit


_HIGHEST_POWER = 12
_FACTOR = re.compile(r"\s*([*/]?)\s*([^\W\d_]+|%|1)\s*(?:\^(-?\d+|\(-?\d+(?:/\d+)?\)))?\s*")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")
_FOREIGN = {
    "Ω": "Ohm", "µm": "um", "μm": "um", "µs": "us", "μs": "us", "µV": "uV", "μV": "uV", "µA": "uA", "μA": "uA",
    "sec": "s", "second": "s", "volt": "V", "mol": "M", "degree": "deg", "percent": "%", "min": "s", "Mohm": "MOhm",
}  # fmt: skip


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Unit, Fraction | float]:
    unit, factor = DIMENSIONLESS, Fraction(1)
    place = 0
    if not text.strip():
        raise UnitError("a unit is missing")
    while place < len(text):
        match = _FACTOR.match(text, place)
        if match is None or bool(match[1]) == (place == 0):
            raise UnitError(f"`{text}` is not a unit", "write symbols joined by `*`, `/` and `^`, as in `mV/ms`")
        operator, symbol, power_text = match.groups()
        power = Fraction(power_text.strip("()")) if power_text else Fraction(1)
        if abs(power) > _HIGHEST_POWER:
            raise UnitError(f"`{text}` has a power beyond any physical unit")
        if operator == "/":
            power = -power
        one_unit, one_factor = _symbol(symbol)
        unit = unit * one_unit**power
        factor = factor * _raise(one_factor, power)
        place = match.end()
    return unit, factor


_NUMBERS = ("real", "float", "double", "number", "scalar")


def _symbol(symbol: str) -> tuple[Unit, Fraction | float]:
    if symbol == "1":
        return DIMENSIONLESS, Fraction(1)
    if symbol in SYMBOLS:
        return SYMBOLS[symbol].unit, SYMBOLS[symbol].factor
    if symbol in _NUMBERS:
        raise UnitError(
            f"`{symbol}` is not a unit of the language",
            "a pure number is `real` among arguments, and elsewhere has no unit",
        )
    by_case = {known.lower(): known for known in sorted(SYMBOLS)}.get(symbol.lower(), "")
    near = _FOREIGN.get(symbol) or by_case or next(iter(get_close_matches(symbol, SYMBOLS, 1, 0.6)), "")
    raise UnitError(f"`{symbol}` is not a unit of the language", f"did you mean `{near}`?" if near else "")


def _raise(factor: Fraction | float, power: Fraction) -> Fraction | float:
    if isinstance(factor, Fraction) and power.denominator == 1:
        return factor ** int(power)
    if factor == 1:
        return Fraction(1)
    return float(factor) ** float(power)


def parse_unit(text: str) -> tuple[Unit, float]:
    """The unit of a text and how many coherent units one of it is: "Hz" is (kHz, 0.001), "deg" is (1, 0.017...).

    Takes what a spec may write (`mV/ms`, `mV*ms`, `kHz^2`), `1`, and whatever `Unit.name` prints.

    Raises: UnitError for a symbol outside the table.
    """
    unit, factor = _parse(text)
    return unit, float(factor)


def unit_of(text: str) -> Unit:
    """The unit of a text, without its factor."""
    return _parse(text)[0]


def scale_of(text: str) -> float:
    """How many coherent units one of `text` is."""
    return float(_parse(text)[1])


@overload
def to_coherent(value: float, unit: str) -> float: ...
@overload
def to_coherent(value: NDArray[Any], unit: str) -> NDArray[Any]: ...
def to_coherent(value: Any, unit: str) -> Any:
    """A value in a written unit as a value in the coherent set: `to_coherent(50, "Hz")` is 0.05 (kHz)."""
    return _scale(value, _parse(unit)[1])


@overload
def from_coherent(value: float, unit: str) -> float: ...
@overload
def from_coherent(value: NDArray[Any], unit: str) -> NDArray[Any]: ...
def from_coherent(value: Any, unit: str) -> Any:
    """A value of the coherent set as a value in a written unit: `from_coherent(0.05, "Hz")` is 50."""
    return _scale(value, 1 / _parse(unit)[1])


def _scale(value: Any, factor: Fraction | float) -> Any:
    """Dividing by 1000 rounds once, multiplying by 0.001 twice; so 3.65 ms and 0.00365 s are the same float."""
    if isinstance(value, (bool, int)):
        value = float(value)
    if isinstance(factor, float):
        return value * factor
    if factor.denominator == 1:
        return value * float(factor)
    if factor.numerator == 1:
        return value / float(factor.denominator)
    return value * float(factor)


def parse_quantity(value: Any) -> Quantity:
    """A quantity at the border of the library: "50 ms", a pint quantity, or a bare number (already coherent).

    Raises: UnitError for text that is not a number with a unit of the table.
    """
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is None:
            raise UnitError(f"`{value}` is not a number with a unit", 'write "50 ms"')
        number, unit = match.groups()
        return Quantity(to_coherent(float(number), unit or "1"), unit_of(unit or "1"))
    if isinstance(value, (int, float, np.number)):
        return Quantity(float(cast(float, value)), DIMENSIONLESS)
    from cortexspec.units.pint_bridge import quantity_from_pint

    return quantity_from_pint(value)
