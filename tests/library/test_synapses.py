"""The kernels that come with CortexSpec: the response to one spike against its closed form."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cortexspec as cs

Array = np.ndarray[Any, Any]
TEXT = """
use synapses
neuron once { state v = -1; v' = 1 ms^-1; spike when v crosses 0 }
neuron probe { input I : pA; state q = 0 pA; q' = -q/10 ms + I/10 ms }
circuit pair {
  population a : once
  population b : probe
  connect ab: a -> b { weight = WEIGHT; synapse = KERNEL }
}
"""


def two(rise: float, decay: float, t: Array) -> Array:
    return (np.exp(-t / decay) - np.exp(-t / rise)) / (decay - rise)


PEAK = float(two(1, 5, np.array(1 * 5 / (5 - 1) * np.log(5 / 1))))
KERNELS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "exponential(5 ms)": ("3 pA", lambda t: np.exp(-t / 5)),
    "alpha(5 ms)": ("3 pA", lambda t: t / 5 * np.exp(1 - t / 5)),
    "difference_of_exponentials(1 ms, 5 ms)": ("3 pA", lambda t: two(1, 5, t) / PEAK),
    "exponential_area(5 ms)": ("3 pA/kHz", lambda t: np.exp(-t / 5) / 5),
    "alpha_area(5 ms)": ("3 pA/kHz", lambda t: t / 25 * np.exp(-t / 5)),
    "difference_of_exponentials_area(1 ms, 5 ms)": ("3 pA/kHz", lambda t: two(1, 5, t)),
    "mixture_area(0.8, 3 ms, 80 ms)": ("3 pA/kHz", lambda t: 0.8 * np.exp(-t / 3) / 3 + 0.2 * np.exp(-t / 80) / 80),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_spike_makes_the_response_of_its_closed_form(kernel: str) -> None:
    weight, response = KERNELS[kernel]
    text = TEXT.replace("KERNEL", kernel).replace("WEIGHT", weight)
    sim = cs.compile(cs.parse(text), "pair", dtype="float64", dt="0.1 ms", duration="20 ms", solver="exact")
    run = sim.simulate(record=["ab.arriving", "a.spike", "b.q"])
    (fired,) = np.flatnonzero(run["a.spike"].values[0, :, 0])
    found = run["ab.arriving"].values[0, fired + 1 :, 0]  # what the step used: the first with the whole jump
    times = np.arange(len(found)) * 0.1
    np.testing.assert_allclose(found / 3, response(times), rtol=0, atol=1e-12)
