"""In which units people read what an experiment measures. Cells, `--json` and Python have coherent ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cortexspec.units import SYMBOLS, Unit, from_coherent, unit_of

_RATE = "Hz"


@dataclass(frozen=True, slots=True)
class ShownUnits:
    """`measured`: the unit of each measure of an experiment whose unit is known; `written`: those that its claims write, in the
    order of the text."""

    measured: Mapping[str, Unit] = field(default_factory=dict[str, Unit])
    written: tuple[str, ...] = ()

    def name(self, unit: Unit | None) -> str:
        """The unit that people read: what the claims write for it, else Hz for a rate, or a power of one of these (Hz^2), else its
        coherent name; nothing for a pure number, and where it is not known."""
        if unit is None or unit.dimensionless:
            return ""
        known = (*self.written, _RATE)
        exact = (text for text in known if unit_of(text) == unit)
        powers = (f"{text}^{_exponent(power)}" for text in known if (power := _power(text, unit)) is not None)
        return next(exact, "") or next(powers, "") or unit.name()

    def of(self, measure: str) -> str:
        return self.name(self.measured.get(measure))

    def value(self, measure: str, value: Any) -> Any:
        """A coherent value, number or array, in the unit that people read."""
        unit = self.of(measure)
        return from_coherent(1.0, unit) * value if unit else value

    def text(self, measure: str, value: Any, digits: Callable[[Any], str]) -> str:
        """`21.66 Hz`, written by `digits`."""
        return digits(self.value(measure, value)) + after_number(self.of(measure))

    def heading(self, measure: str, said: str = "") -> str:
        """`rate (Hz)`, or `mean of the rates (Hz)` where it is `said` otherwise; a measure without a unit as it is."""
        return with_unit(said or measure, self.of(measure))


def with_unit(name: str, unit: str) -> str:
    """A name as it stands over a column or at an axis."""
    return f"{name} ({unit})" if unit else name


def after_number(unit: str) -> str:
    """A unit as it stands after a number."""
    return f" {unit}" if unit else ""


def _power(text: str, unit: Unit) -> Fraction | None:
    """The power above 0 of a single symbol that a unit is."""
    if text not in SYMBOLS:
        return None
    base = SYMBOLS[text].unit
    ratios = [whole / part for part, whole in zip(base.exponents, unit.exponents, strict=True) if part]
    return next((power for power in ratios[:1] if power > 0 and base**power == unit), None)


def _exponent(power: Fraction) -> str:
    return f"{power}" if power.denominator == 1 else f"({power})"
