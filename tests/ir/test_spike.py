"""Detection of spikes: hard values, and the written slopes of the surrogates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops.spike import SURROGATES, Threshold
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.units import DIMENSIONLESS, unit_of

NEURON = Axis("neuron", Size.of(7))
VOLTAGE = unit_of("mV")
V = np.array([-60.0, -51.0, -50.2, -50.0, np.nextafter(-50.0, 0.0), -49.6, -40.0])
SLOPES: dict[str, Callable[[Array], Array]] = {
    "fast_sigmoid": lambda u: 1 / (1 + np.abs(u)) ** 2,
    "triangle": lambda u: np.maximum(0, 1 - np.abs(u)),
    "boxcar": lambda u: (np.abs(u) < 0.5) * 1.0,
    "arctan": lambda u: 1 / (1 + (np.pi * u) ** 2),
    "sigmoid": lambda u: 1 / np.cosh(u / 2) ** 2,
}


def _pulled_back(surrogate: str, steepness: float) -> tuple[Array, Array]:
    build = Builder()
    v = Value("v", Type((NEURON,), "float", VOLTAGE))
    others = Value("θ", Type((), "float", VOLTAGE)), Value("k", Type((), "float", DIMENSIONLESS / VOLTAGE))
    operands = (v, *others)
    spikes = build.one(Threshold(surrogate), *operands)
    assert spikes.type == Type((NEURON,))
    weight = Value("weight", spikes.type)
    down, _, none = Threshold(surrogate).pullback(build, [weight], operands, [spikes])
    assert down is not None and none is None and down.type.unit == DIMENSIONLESS / VOLTAGE
    function = build.function("f", (*operands, weight), (spikes, down), ("spikes", "down"))
    found = run(function, {"v": V, "θ": np.array(-50.0), "k": np.array(steepness), "weight": np.ones(7)}, {}, Layout())
    return found["spikes"], found["down"]


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_it_is_hard_and_strict_and_slopes_as_it_says(surrogate: str):
    spikes, down = _pulled_back(surrogate, 2.5)
    np.testing.assert_array_equal(spikes, [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(down, 2.5 * SLOPES[surrogate](2.5 * (V + 50)), rtol=1e-12)


@pytest.mark.parametrize("surrogate", ["triangle", "boxcar"])
def test_nothing_flows_beyond_a_compact_support(surrogate: str):
    _, down = _pulled_back(surrogate, 1.0)
    assert (down[np.abs(V + 50) >= 1] == 0).all()


def test_every_surrogate_has_its_slope_here():
    assert set(SLOPES) == set(SURROGATES)


def test_a_steepness_is_one_over_the_unit_of_what_is_compared():
    with pytest.raises(RuleError) as error:
        Threshold("triangle").rule(*(Type((), "float", VOLTAGE) for _ in range(3)))
    assert error.value.code == "CS401"
