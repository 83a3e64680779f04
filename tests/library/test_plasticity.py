"""Synapses that change with use against closed forms: amplitudes of a regular train, changes of a weight by one pair of spikes."""

from typing import Any

import numpy as np
import pytest

import cortexspec as cs

Array = np.ndarray[Any, Any]
DT = 0.1
U, DEPRESSION, FACILITATION = 0.2, 200.0, 600.0  # the library's, times in ms
TRAIN = """
use synapses
neuron clock { param interval = 40 ms; state v = 0; v' = 1/interval; spike when v > 1 - 0.05 ms/interval { v <- 0 } }
neuron probe { input I : pA; state q = 0 pA; q' = -q/10 ms + I/10 ms }
circuit pair {
  population a : clock
  population b : probe
  connect ab: a -> b { weight = 3 pA; synapse = tsodyks_markram() }
}
"""
PAIR = """
use synapses
neuron once {
  param first = 0 ms, step = 0 ms
  let due = first + step*index
  state fired = 0
  spike when t > due - 0.05 ms and fired < 0.5 { fired <- 1 }
}
neuron cell {
  param due = 50 ms
  input g : nS = 0 nS
  state fired = 0
  spike when t > due - 0.05 ms and fired < 0.5 { fired <- 1 }
}
circuit pair {
  population a[PLACES] : once(first = FIRST, step = STEP)
  population b : cell
  connect ab: a -> b.g { weight = 6 nS; synapse = stdp(η = 0.1 nS, bias = 1.05, τ_p = 20 ms, τ_m = 15 ms, w_max = LARGEST) }
}
"""


def amplitudes(interval: float, spikes: int) -> tuple[Array, Array, Array]:
    """u, R before each spike of a regular train that starts at rest, and u R, what is sent. Tsodyks, Pawelzik & Markram 1998."""
    u, R, found = U, 1.0, []
    for _ in range(spikes):
        used = u + U * (1 - u)
        found.append((used, R, used * R))
        u = U + (used - U) * np.exp(-interval / FACILITATION)
        R = 1 - (1 - R * (1 - used)) * np.exp(-interval / DEPRESSION)
    return tuple(np.array(found).T)


def sent(interval: float, duration: float) -> Array:
    """How much each spike adds to what arrives, in units of the weight."""
    simulation = cs.compile(
        cs.parse(TRAIN), "pair", backend="jax", dtype="float64", dt="0.1 ms", duration=duration, solver="exact"
    )
    simulation.set_parameters({"a.interval": interval})
    run = simulation.simulate(record=["a.spike", "ab.arriving"])
    fired = np.flatnonzero(run["a.spike"].values[0, :, 0])
    assert set(np.diff(fired)) == {round(interval / DT)}
    arriving = run["ab.arriving"].values[0, :, 0]
    after = fired[fired + 1 < len(arriving)] + 1
    return (arriving[after] - arriving[after - 1] * np.exp(-DT / 5)) / 3


@pytest.mark.parametrize(("interval", "duration"), [(40.0, 6000.0), (200.0, 6000.0)])
def test_a_regular_train_is_sent_as_its_recursion_says_and_comes_to_its_steady_state(
    interval: float, duration: float
) -> None:
    found = sent(interval, duration)
    _, _, wanted = amplitudes(interval, len(found))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert found[0] == pytest.approx(U + U * (1 - U))
    fades, recovers = np.exp(-interval / FACILITATION), np.exp(-interval / DEPRESSION)
    u = U * (1 + (1 - U) * (1 - fades)) / (1 - (1 - U) * fades)
    R = (1 - recovers) / (1 - (1 - u) * recovers)
    assert found[-1] == pytest.approx(u * R, rel=1e-4)


def changes(first: float, step: float, places: int, largest: str = "12 nS") -> tuple[Array, Array]:
    """Δt = t_post - t_pre in ms and Δw in nS, of one pair each."""
    text = PAIR.replace("PLACES", str(places)).replace("LARGEST", largest)
    text = text.replace("FIRST", f"{first} ms").replace("STEP", f"{step} ms")
    simulation = cs.compile(
        cs.parse(text), "pair", backend="jax", dtype="float64", dt="0.1 ms", duration="100 ms", solver="exact"
    )
    weight = simulation.simulate(record=["ab.weight[time = end]"])["ab.weight"].values.ravel()
    return 50 - (first + step * np.arange(places)), weight - 6


def test_one_pair_changes_a_weight_by_the_window() -> None:
    """Δw = η exp(-Δt/τ_p) where the target fires after, -bias η exp(Δt/τ_m) where it fired before."""
    apart, found = changes(12.0, 4.0, 19)
    apart, found = apart[apart != 0], found[apart != 0]
    wanted = np.where(apart > 0, 0.1 * np.exp(-apart / 20), -1.05 * 0.1 * np.exp(apart / 15))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_a_weight_stays_within_its_bounds() -> None:
    _, found = changes(30.0, 4.0, 4, largest="6.02 nS")
    np.testing.assert_allclose(found, [0.02] * 4)
