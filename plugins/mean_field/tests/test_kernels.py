"""Moments of kernels against closed forms and integrals."""

import numpy as np
import pytest
from cortexspec_mean_field import exponential, linear_kernel, mean_kernel
from scipy.integrate import simpson
from scipy.linalg import expm

from cortexspec.diagnostics import SpecError


def test_an_exponential_current_has_its_closed_form() -> None:
    membrane, synapse = 0.01, 0.003
    found = exponential(membrane, synapse)
    assert found.area == pytest.approx(1, rel=1e-13)
    assert found.k2 == pytest.approx(1 / (2 * (membrane + synapse)), rel=1e-13)
    assert found.d2 == pytest.approx(1 / (2 * membrane * synapse * (membrane + synapse)), rel=1e-13)


@pytest.mark.parametrize("shape", ["alpha", "biexponential", "mixture"])
def test_moments_are_integrals_of_the_kernel(shape: str) -> None:
    membrane, fast, slow = 10.0, 3.0, 20.0
    a, b = {
        "alpha": ([[-1 / membrane, 1 / membrane, 0], [0, 0, 1], [0, -1 / fast**2, -2 / fast]], [0, 0, 1 / fast**2]),
        "biexponential": ([[-1 / membrane, 1 / membrane, 0], [0, -1 / slow, 1 / slow], [0, 0, -1 / fast]], [0, 0, 1 / fast]),
        "mixture": ([[-1 / membrane, 1 / membrane, 1 / membrane], [0, -1 / fast, 0], [0, 0, -1 / slow]], [0, 0.8 / fast, 0.2 / slow]),
    }[shape]  # fmt: skip
    a, b, c = np.array(a), np.array(b), np.array([1.0, 0, 0])
    found = linear_kernel(a, b, c)

    step, times = 0.02, 20_001
    states, ahead = np.empty((times, 3)), expm(a * step)
    states[0] = b
    for place in range(1, times):
        states[place] = ahead @ states[place - 1]
    k, slope = states @ c, states @ a.T @ c
    for name, integrand in {"area": k, "k2": k**2, "d2": slope**2, "k3": k**3, "kd2": k * slope**2}.items():
        assert getattr(found, name) == pytest.approx(simpson(integrand, dx=step), rel=1e-8), name


def test_constants_that_differ_between_synapses_are_averaged() -> None:
    one, two = exponential(0.01, 0.003), exponential(0.01, 0.012)
    found = mean_kernel((0.25, one), (0.75, two))
    assert found.d2 == pytest.approx(0.25 * one.d2 + 0.75 * two.d2)


def test_a_jump_of_the_potential_is_refused() -> None:
    with pytest.raises(SpecError, match="CS951"):
        linear_kernel([[-100.0]], [100.0], [1.0])


def test_a_filter_that_does_not_decay_is_refused() -> None:
    with pytest.raises(SpecError, match="CS952"):
        linear_kernel([[-100.0, 100.0], [0.0, 0.0]], [0.0, 1.0], [1.0, 0.0])
