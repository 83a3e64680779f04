"""The workload of `benchmarks.elm`: a recurrent layer of Expressive Leaky Memory neurons (arXiv 2605.12049), forward and backward.

    v[t] = (x[t], a[t-1]),  s = sum over 8 synapses of w v,  q = (10 s, κ m),  κ = exp(-1/τ)
    u    = W2 relu(W1 q + c1)^2 + c2,  m <- κ m + (1 - exp(-5/τ)) 1.7159 tanh(2/3 u)
    z    = W_y m,  r <- κ_r r + (1 - κ_r) z,  a[t] = relu(z - r + b)
    loss = mean of (a - 1)^2 over steps, neurons and batch

N = 128 neurons with 15 branches and 15 memory units each, 64 inputs, T = 100 steps, batch 32, float32; `specs/elm.cortex` says the same.
All states are 0 in front of the first step. A training step gives the loss and its gradients by the seven arrays in `NAMES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N, MEMORY, HIDDEN, BRANCHES, SYNAPSES, INPUTS = 128, 15, 30, 15, 8, 64
STEPS, BATCH = 100, 32
GAIN, RATIO, TAU_R = 10.0, 5.0, 5.0
NAMES = ("W1", "c1", "W2", "c2", "Wy", "b", "w")


@dataclass(frozen=True)
class Problem:
    """Where a training step is taken.

    Shapes: W1 [N, hidden, branch and memory], c1 [N, hidden], W2 [N, memory, hidden], c2 [N, memory], Wy [N, memory], b [N],
    w and pre [N*branch, synapse], tau [memory], x [batch, time, input]. `pre` numbers inputs first, then neurons.
    """

    W1: Array
    c1: Array
    W2: Array
    c2: Array
    Wy: Array
    b: Array
    w: Array
    pre: Array
    tau: Array
    x: Array

    def trained(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in NAMES}

    @property
    def decay(self) -> Array:
        """κ [memory]."""
        return np.exp(-1 / self.tau)

    @property
    def rate(self) -> Array:
        """(1 - κ_λ) 1.7159 [memory]."""
        return (1 - np.exp(-RATIO / self.tau)) * 1.7159

    @property
    def dense(self) -> Array:
        """w as a matrix [N*branch, input and neuron]."""
        matrix = np.zeros((len(self.w), INPUTS + N), self.w.dtype)
        np.add.at(matrix, (np.arange(len(self.w))[:, None], self.pre), self.w)
        return matrix


DECAY_R = float(np.exp(-1 / TAU_R))


@dataclass(frozen=True)
class Program:
    """One version of the workload. `bytes` is what a training step takes beside what it is given, where that is known."""

    forward: Callable[[], object]
    step: Callable[[], object]
    value_and_gradients: Callable[[], tuple[float, dict[str, Array]]]
    bytes: int | None = None


def frames(steps: int, dtype: str, seed: int = 1) -> Array:
    """Spikes [batch, time, input], in a tenth of the bins."""
    return (np.random.default_rng(seed).random((BATCH, steps, INPUTS)) < 0.1).astype(dtype)


def loss(p: Problem) -> float:
    """The equations as they stand, in NumPy: the meaning that every program is tested against."""
    batch, steps, _ = p.x.shape
    m, r, a = np.zeros((batch, N, MEMORY)), np.zeros((batch, N)), np.zeros((batch, N))
    total = 0.0
    for t in range(steps):
        v = np.concatenate([p.x[:, t], a], 1)
        s = (p.w * v[:, p.pre]).sum(-1).reshape(batch, N, BRANCHES)
        q = np.concatenate([GAIN * s, p.decay * m], 2)
        h = np.maximum(np.einsum("nij,bnj->bni", p.W1, q) + p.c1, 0) ** 2
        m = p.decay * m + p.rate * np.tanh(2 / 3 * (np.einsum("nij,bnj->bni", p.W2, h) + p.c2))
        z = (p.Wy * m).sum(-1)
        r = DECAY_R * r + (1 - DECAY_R) * z
        a = np.maximum(z - r + p.b, 0)
        total += float(((a - 1) ** 2).mean())
    return total / steps
