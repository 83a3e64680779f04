"""Units: the closed table against pint, names that parse back, exact arithmetic."""

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexspec.units import (
    COHERENT,
    DIMENSIONLESS,
    SYMBOLS,
    Unit,
    UnitError,
    from_coherent,
    parse_quantity,
    parse_unit,
    to_coherent,
    unit_of,
)
from cortexspec.units.pint_bridge import pint_name


@pytest.mark.parametrize("symbol", sorted(SYMBOLS))
def test_every_symbol_means_what_pint_says(symbol: str) -> None:
    ours = parse_unit(symbol)
    theirs = parse_quantity(1.0 * pint.get_application_registry()(pint_name(symbol)))
    assert theirs.unit == ours[0]
    assert theirs.value == pytest.approx(ours[1], rel=1e-14)


def test_the_coherent_set_needs_no_factor() -> None:
    for symbol, unit in COHERENT.items():
        assert parse_unit(symbol) == (unit, 1.0)
    assert unit_of("nS") * unit_of("mV") == unit_of("pA")
    assert unit_of("pA") * unit_of("ms") / unit_of("pF") == unit_of("mV")
    assert unit_of("GOhm") * unit_of("pA") == unit_of("mV")


@pytest.mark.parametrize(
    ("text", "name", "factor"),
    [
        ("mV/ms", "mV/ms", 1.0),
        ("V/s", "mV/ms", 1.0),
        ("Hz", "kHz", 1e-3),
        ("Hz^2", "kHz^2", 1e-6),
        ("mV^-1", "mV^-1", 1.0),
        ("Hz/mV", "kHz/mV", 1e-3),
        ("mV*ms", "mV*ms", 1.0),
        ("V/Hz", "mV*ms", 1e6),
        ("pA/ms", "pA/ms", 1.0),
        ("nA", "pA", 1e3),
        ("cm", "um", 1e4),
        ("m/s", "um/ms", 1e3),
        ("uM", "mM", 1e-3),
        ("%", "1", 0.01),
        ("rad", "1", 1.0),
        ("bit", "1", 1.0),
        ("deg", "1", math.pi / 180),
    ],
)
def test_written_units(text: str, name: str, factor: float) -> None:
    unit, found = parse_unit(text)
    assert unit.name() == name
    assert found == pytest.approx(factor, rel=1e-15)


def test_conversions_round_once() -> None:
    assert to_coherent(50, "Hz") == 0.05
    assert to_coherent(3.65e-3, "s") == 3.65
    assert from_coherent(to_coherent(0.67, "V"), "V") == 0.67
    assert np.array_equal(to_coherent(np.array([3.57, 6.25]), "Hz"), np.array([0.00357, 0.00625]))


@pytest.mark.parametrize(
    ("text", "help"),
    [("mv", "mV"), ("ohm", "Ohm"), ("khz", "kHz"), ("kg", ""), ("mV/", ""), ("", ""), ("ms ms", ""), ("2", "")],
)
def test_what_is_not_a_unit(text: str, help: str) -> None:
    with pytest.raises(UnitError) as error:
        parse_unit(text)
    assert help in error.value.help


exponents = st.fractions(min_value=-3, max_value=3, max_denominator=4)


@settings(deadline=None)
@given(st.tuples(*[exponents] * 5))
def test_a_name_parses_back(powers: tuple[Fraction, ...]) -> None:
    unit = Unit(powers)
    assert parse_unit(unit.name()) == (unit, 1.0)
    assert hash(unit) == hash(Unit(tuple(powers)))


@settings(deadline=None)
@given(st.tuples(*[exponents] * 5), st.tuples(*[exponents] * 5), st.integers(-3, 3))
def test_units_are_a_group(left: tuple[Fraction, ...], right: tuple[Fraction, ...], power: int) -> None:
    a, b = Unit(left), Unit(right)
    assert a * b / b == a
    assert a / a == DIMENSIONLESS
    assert (a * b) ** power == a**power * b**power
    assert (a**2) ** Fraction(1, 2) == a


def test_quantities_at_the_border() -> None:
    assert parse_quantity("50 ms").value == 50.0
    assert parse_quantity("-0.065 V").value == -65.0
    assert parse_quantity("1e-3").unit == DIMENSIONLESS
    assert parse_quantity(3).value == 3.0
    ours = parse_quantity(pint.Quantity(2.5, "nA*Mohm"))
    assert ours.unit == unit_of("mV")
    assert ours.value == pytest.approx(2.5)
    with pytest.raises(UnitError):
        parse_quantity(pint.Quantity(1, "kelvin"))
    with pytest.raises(UnitError):
        parse_quantity(object())
    with pytest.raises(UnitError):
        parse_quantity("fast")


def test_importing_the_library_does_not_import_pint() -> None:
    code = "import sys, cortexspec, cortexspec.units; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
