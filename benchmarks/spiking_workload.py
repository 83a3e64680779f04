"""The workload of `benchmarks.spiking`: 4000 leaky integrate-and-fire neurons with K connections each, 1 s in steps of 0.1 ms.

A step, the same for every program: spikes found at the end of the last step arrive as jumps, the potential goes on exactly, who is above
threshold fires and is reset and held for 2 ms. `simulate` is that in NumPy; each program must have its rate before it is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.measure import Run

EXCITATORY, INHIBITORY = 3200, 800
NEURONS = EXCITATORY + INHIBITORY
THRESHOLD, RESET, TAU, HELD, DT = 20.0, 10.0, 20.0, 20, 0.1  # mV, ms and steps
DRIVE = 21.0  # mV, for about 9 Hz
RATE_WITHIN = 0.1

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """K connections a neuron, a fifth of them inhibitory. `each`: every synapse has a weight of its own, else every source has.

    `jump` is what an excitatory spike adds, in mV; an inhibitory one takes away `inhibition` times as much.
    """

    degree: int
    each: bool = False
    steps: int = 10_000
    jump: float = 0.1
    inhibition: float = 5.0

    def __str__(self) -> str:
        return f"K = {self.degree}, {'a weight a synapse' if self.each else 'shared weights'}"


# With 160 and 40 inputs these weights give the mean and the variance that 800 and 200 give with the others, so about the same rate.
_FEWER = {"jump": 0.1646, "inhibition": 7.04}
CASES = (Case(1000), Case(1000, each=True), Case(200, **_FEWER), Case(200, each=True, **_FEWER))


@dataclass(frozen=True)
class Network:
    """Connections by source: rows [source + 1], target [edge], weight [source] or [edge] in mV, float32; start [neuron] in mV."""

    rows: Array
    target: Array
    weight: Array
    start: Array
    drive: float


@dataclass(frozen=True)
class Program:
    """`run` simulates all steps, `rate` does and gives the mean rate in Hz."""

    run: Run
    rate: Callable[[], float]


def rate_of(fired: Array, case: Case) -> float:
    """Hz, from how often each neuron fired."""
    return float(np.mean(fired)) / (case.steps * DT * 1e-3)


def simulate(case: Case, network: Network) -> Array:
    """[neuron]: how often each fired."""
    v, held = network.start.astype(float), np.zeros(NEURONS)
    fired, spikes = np.zeros(NEURONS), np.zeros(0, np.int64)
    decay = np.exp(-DT / TAU)
    for _ in range(case.steps):
        jumps = np.zeros(NEURONS)
        for j in spikes:
            here = slice(network.rows[j], network.rows[j + 1])
            np.add.at(jumps, network.target[here], network.weight[here] if case.each else network.weight[j])
        free = held == 0
        v = np.where(free, network.drive + (v + jumps - network.drive) * decay, RESET)
        above = free & (v > THRESHOLD)
        held = np.where(above, HELD, np.maximum(held - 1, 0))
        v[above] = RESET
        fired += above
        spikes = np.flatnonzero(above)
    return fired
