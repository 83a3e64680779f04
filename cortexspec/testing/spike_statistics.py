"""A network of spiking neurons in single precision: rates and irregularity on one backend are those of the interpreter, within statistics.

A rounding that differs moves a spike by a step sooner or later, and from there on the runs are two samples of one network. So means are
compared, by their standard errors: of rates over stretches of time, of the coefficient of variation over neurons, pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cortexspec.contracts.backend import Backend
from cortexspec.ir.op import Array
from cortexspec.runtime.api import compile, parse
from cortexspec.testing.parity import Row, judged
from cortexspec.testing.settings import SINGLE

NETWORK = """
use neurons, synapses
neuron steady { param current : pA = 0 pA  per neuron; output current }

circuit network(N: int = 4000, K: int = 100) {
  population E[round(0.8*N)], I[round(0.2*N)] : lif
  group cells = [E, I]
  connect E -> cells { rule = bernoulli(K/N); weight = 40 pA; synapse = exponential(5 ms) }
  connect I -> cells { rule = bernoulli(K/N); weight = -240 pA; synapse = exponential(5 ms) }
  connect steady(current ~ uniform(240 pA, 320 pA)) -> cells
}
"""
NEURONS, SECOND, WARM_UP = 4000, 1000.0, 200.0  # ms
STRETCHES = 20  # of a second, so that what one has of the one before is little
FEWEST = 5  # spikes of a neuron whose intervals are compared
MOST = 4.0  # standard errors


@dataclass(frozen=True, slots=True)
class Statistics:
    """rates [stretch]: of the mean neuron, in Hz; cv [neuron]: of the intervals of each, NaN where there are too few; spikes: all."""

    rates: Array
    cv: Array
    spikes: int


def statistics_on(
    backend: str, neurons: int = NEURONS, duration: float = SECOND, warm_up: float = WARM_UP, wiring: int = 1
) -> Statistics:
    """Of the excitatory neurons of the network on one backend, in single precision."""
    arguments = {"N": neurons, "K": min(100, neurons // 4)}
    simulation = compile(
        parse(NETWORK), "network", arguments, backend=backend, dtype="float32", solver="exact", dt="0.1 ms", seed=wiring
    )
    train = simulation.simulate(duration=warm_up + duration, record=["E.spike"])["E.spike"].values[0]
    spikes = train[round(warm_up / 0.1) :] > 0  # [step, neuron]
    stretches = spikes.reshape(STRETCHES, -1, spikes.shape[1])
    return Statistics(stretches.mean(axis=(1, 2)) * 1e4, np.array([_cv(one) for one in spikes.T]), int(spikes.sum()))


def _cv(train: Array) -> float:
    at = np.flatnonzero(train)
    if len(at) < FEWEST:
        return np.nan
    intervals = np.diff(at)
    return float(intervals.std() / intervals.mean())


def apart(found: Array, wanted: Array) -> float:
    """The mean of the differences [pair] in its standard errors; pairs of which one is unknown are left out. 0 where all are equal."""
    both = np.isfinite(found) & np.isfinite(wanted)
    difference = found[both] - wanted[both]
    if not difference.any():
        return 0.0
    return float(abs(difference.mean()) / (difference.std(ddof=1) / np.sqrt(len(difference))))


def statistics_rows(
    backend: Backend, neurons: int = NEURONS, duration: float = SECOND, warm_up: float = WARM_UP
) -> Iterator[Row]:
    """A row for the rate and one for the coefficient of variation: how many standard errors the means are apart."""
    wanted, found = (statistics_on(name, neurons, duration, warm_up) for name in ("interpreter", backend.name))
    case = f"lif network of {neurons:,}, statistics"
    told = {
        "rates": (found.rates, wanted.rates, "Hz"),
        "intervals": (found.cv, wanted.cv, "CV"),
    }
    for quantity, (ours, theirs, unit) in told.items():
        means = f"{np.nanmean(ours):.4g} {unit} against {np.nanmean(theirs):.4g}"
        note = f"{means}, {found.spikes:,} spikes against {wanted.spikes:,}" if quantity == "rates" else means
        yield judged(
            Row(case, SINGLE.name, quantity, apart(ours, theirs), MOST, f"{quantity} differ: {means}", note=note),
            backend.name,
        )
