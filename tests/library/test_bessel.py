"""The Bessel function of connections that are tuned by a von Mises profile."""

import numpy as np
import pytest

import cortexspec as cs


@pytest.mark.parametrize("x", [0.0, 0.5, 20.0, -3.0])
def test_it_is_what_numpy_has(x: float) -> None:
    text = f"neuron n {{ state x = 1; x <- bessel_i0({x}*x) }}\ncircuit c {{ population p : n }}"
    run = cs.compile(cs.parse(text), "c", dtype="float64", dt="1", duration="1").simulate(record=["p.x"])
    np.testing.assert_allclose(run["p.x"].values.ravel(), np.i0(x), rtol=1e-14)
