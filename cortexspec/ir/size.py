"""Axis sizes: integers, or polynomials in symbols bound at load, so that compile time knows no population size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A polynomial with integer coefficients over symbols, in canonical form: `terms` is sorted and has no zero.

    `Size.of(4)`, `Size.symbol("E")`, `a + b`, `a * b`. `evaluate({"E": 3200})` gives the integer. The whole part of a
    symbol over an integer is a symbol too, `time//5`: its value follows from the one of `time`.
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

    def floor_div(self, divisor: int) -> Size:
        """The whole part of an integer or of one symbol over a positive integer. Raises ValueError for another size."""
        if self.fixed is not None:
            return Size.of(self.fixed // divisor)
        if divisor == 1:
            return self
        if len(self.terms) != 1 or self.terms[0][1] != 1 or len(self.terms[0][0]) != 1:
            raise ValueError(f"the whole part of ({self})/{divisor} is no size")
        return Size.symbol(f"{self.terms[0][0][0]}//{divisor}")

    def bind(self, sizes: Mapping[str, int]) -> Size:
        """The size with numbers for the symbols that `sizes` has."""
        total: dict[Monomial, int] = {}
        for monomial, factor in self.terms:
            known = [symbol for symbol in monomial if symbol.partition("//")[0] in sizes]
            rest = tuple(symbol for symbol in monomial if symbol not in known)
            for symbol in known:
                factor *= Size.symbol(symbol).evaluate(sizes)
            total[rest] = total.get(rest, 0) + factor
        return _canonical(total)

    @property
    def symbols(self) -> frozenset[str]:
        """What has to be bound."""
        return frozenset(symbol.partition("//")[0] for monomial, _ in self.terms for symbol in monomial)

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
                name, *divisors = symbol.split("//")
                value = sizes[name]
                for divisor in divisors:
                    value //= int(divisor)
                factor *= value
            total += factor
        return total

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join("*".join(([str(f)] if f != 1 or not m else []) + list(m)) for m, f in self.terms)


def _canonical(total: Mapping[Monomial, int]) -> Size:
    return Size(tuple(sorted((monomial, factor) for monomial, factor in total.items() if factor)))
