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
    Case(10, 1024, 200, histogram=True),
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

    `run` does all steps; `states` gives the last states of such a run as zeros and ones [neuron, replica], `counts` the table
    [state, next state] where transitions are counted, for tests.
    """

    run: Callable[[], object]
    states: Callable[[], Array]
    counts: Callable[[], Array] | None = None


def scale_of(case: Case) -> float:
    """Standard deviation of the weights: what arrives at a neuron has one of about 1.5 at half the neurons on."""
    return 2.0 / math.sqrt(case.neurons * case.density)


def probabilities(network: Network, states: Array) -> Array:
    """P(x[t+1] = 1) in float64. Shapes: states [neuron, replica], as is what returns."""
    drive = network.W.astype(np.float64) @ states.astype(np.float64) + network.b[:, None]
    return 1 / (1 + np.exp(-drive))


def simulate(network: Network, case: Case, seed: int = 7) -> tuple[Array, Array]:
    """The equations as they stand, in NumPy and float64: the mean activity of each neuron over the last half of the steps, and the states.

    Shapes: returns [neuron], [neuron, replica].
    """
    draw = np.random.default_rng(seed)
    states, total = network.start.astype(np.float64), np.zeros(case.neurons)
    for _ in range(case.steps):
        states = (draw.random(states.shape) < probabilities(network, states)).astype(np.float64)
        total += states.mean(axis=1)
    return total / case.steps, states
