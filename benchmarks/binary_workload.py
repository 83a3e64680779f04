"""The workload of `benchmarks.binary`: networks of binary neurons that are all drawn anew at each step.

    p = sigmoid(W x + b),    x[t+1] ~ Bernoulli(p),    x in {0, 1}

`replicas` runs of one network go side by side, each from a start of its own, in float32; `specs/binary.cortex` says the same. What
comes out are the last states; with `histogram` also how often each of the 2^(2 n) transitions occurred, summed over replicas.
A rival may draw its random numbers from whatever generator its library has.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One size of the workload. `density` is the share of pairs that are connected."""

    neurons: int
    replicas: int
    steps: int
    density: float = 1.0
    histogram: bool = False

    def __str__(self) -> str:
        how = ", transitions counted" if self.histogram else f", {self.density:.0%}" if self.density < 1 else ""
        return f"{self.neurons} x {self.replicas}{how}"


CASES = (
    Case(100, 64, 200),
    Case(1000, 64, 100),
    Case(1000, 64, 100, density=0.1),
    Case(10, 1024, 2000, histogram=True),
)


@dataclass(frozen=True)
class Network:
    """Shapes: W [target, source], b [target], start [neuron, replica], zeros and ones."""

    W: Array
    b: Array
    start: Array


@dataclass(frozen=True)
class Program:
    """One version of the workload, its network and start bound.

    `run` does all steps. For tests, `states` gives the last states of such a run as zeros and ones [neuron, replica], and where
    transitions are counted `flux` the information in bit that the table [state, next state] says one state has of the next.
    """

    run: Callable[[], object]
    states: Callable[[], Array] | None = None
    flux: Callable[[], float] | None = None


def scale_of(case: Case) -> float:
    """Standard deviation of the weights: what arrives at a neuron has one of about 1.5 at half the neurons on."""
    return 2.0 / math.sqrt(case.neurons * case.density)


def probabilities(network: Network, states: Array) -> Array:
    """P(x[t+1] = 1) in float64. Shapes: states [neuron, replica], as is what returns."""
    drive = network.W.astype(np.float64) @ states.astype(np.float64) + network.b[:, None]
    return 1 / (1 + np.exp(-drive))


def simulate(case: Case, network: Network, seed: int = 7) -> Array:
    """The equations as they stand, in NumPy and float64: the last states [neuron, replica]."""
    draw, states = np.random.default_rng(seed), network.start.astype(np.float64)
    for _ in range(case.steps):
        states = (draw.random(states.shape) < probabilities(network, states)).astype(np.float64)
    return states


def flux_of(counts: Array) -> float:
    """I(state; next state) in bit from a table of counts [state, next state], with the correction of Miller and Madow."""
    total, rows, columns = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)

    def entropy(table: Array) -> float:
        p = table[table > 0] / total
        return float(-(p * np.log2(p)).sum() + (len(p) - 1) / (2 * total * math.log(2)))

    return entropy(rows) + entropy(columns) - entropy(counts.ravel())
