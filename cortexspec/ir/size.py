"""Axis sizes: integers, or polynomials in symbols bound at load, so that compile time knows no population size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A polynomial with integer coefficients over symbols, in canonical form: `terms` is sorted and has no zero.

    `Size.of(4)`, `Size.symbol("E")`, `a + b`, `a * b`. `evaluate({"E": 3200})` gives the integer.
    """

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def of(value: int | str | Size) -> Size:
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            return Size((((value,), 1),))
        return Size((((), value),) if value else ())

    @staticmethod
    def symbol(name: str) -> Size:
        return Size.of(name)

    def __add__(self, other: Size | int) -> Size:
        total = dict(self.terms)
        for monomial, factor in Size.of(other).terms:
            total[monomial] = total.get(monomial, 0) + factor
        return _canonical(total)

    def __mul__(self, other: Size | int) -> Size:
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in Size.of(other).terms:
                monomial = tuple(sorted(left + right))
                total[monomial] = total.get(monomial, 0) + a * b
        return _canonical(total)

    def __sub__(self, other: Size | int) -> Size:
        return self + Size.of(other) * -1

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(symbol for monomial, _ in self.terms for symbol in monomial)

    @property
    def fixed(self) -> int | None:
        """The integer, where no symbol is left."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and self.terms[0][0] == () else None

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """Raises KeyError for a symbol that `sizes` does not bind."""
        total = 0
        for monomial, factor in self.terms:
            for symbol in monomial:
                factor *= sizes[symbol]
            total += factor
        return total

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join("*".join(([str(f)] if f != 1 or not m else []) + list(m)) for m, f in self.terms)


def _canonical(total: Mapping[Monomial, int]) -> Size:
    return Size(tuple(sorted((monomial, factor) for monomial, factor in total.items() if factor)))
