"""The workload of `benchmarks.rnn`: a training step of a relu network with a softmax read-out at the last step.

    h[t] = relu(W h[t-1] + V x[t] + b),  h = 0 before the first step,  T = 41 steps
    loss = cross entropy of softmax(U h[T] + c) and the labels, mean over the batch, + λ sum |W| D C(|W|)

The last term is the direct communicability penalty (specs/microns_rnn; Crofts & Higham 2009), which not every case has:

    C(A) = expm(diag(s)^-1/2 A diag(s)^-1/2) without its diagonal,   s = sums of A over its targets + 1e-10

A training step gives loss and gradients and moves all five arrays by Adam (betas 0.9 and 0.999, eps 1e-7; the paper's rate
is 1e-3, here it is 1e-6: programs that are called more often must not have other weights by that).
Every matrix is [target, source].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

STEPS = 41
BATCH = 128
LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-6, 0.9, 0.999, 1e-7
STRENGTH = 0.3
"""λ."""
OFFSET = 1e-10
NAMES = ("W", "V", "b", "U", "c")


@dataclass(frozen=True)
class Case:
    """One size of the workload."""

    n: int
    penalty: bool = False
    channels: int = 3
    classes: int = 2
    batch: int = BATCH
    steps: int = STEPS

    def __str__(self) -> str:
        return f"N = {self.n}" + (", penalty" if self.penalty else "")


CASES = tuple(Case(n, penalty) for n in (100, 312) for penalty in (False, True))


@dataclass(frozen=True)
class Problem:
    """Where training starts.

    Shapes: W, D [N, N], V [N, channel], b [N], U [class, N], c [class], x [batch, time, channel], label [batch].
    """

    W: Array
    V: Array
    b: Array
    U: Array
    c: Array
    x: Array
    label: NDArray[np.int64]
    D: Array

    def trained(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in NAMES}


def draw(case: Case, dtype: str, seed: int = 0) -> Problem:
    """An orthogonal W, Glorot V and U, places in the unit cube; biases are not 0, so that each array matters."""
    rng = np.random.default_rng(seed)
    n = case.n
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    places = rng.uniform(size=(n, 3))

    def glorot(rows: int, columns: int) -> Array:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns))

    arrays = {
        "W": q * np.sign(np.diag(r)),
        "V": glorot(n, case.channels),
        "b": rng.normal(0, 0.1, n),
        "U": glorot(case.classes, n),
        "c": rng.normal(0, 0.1, case.classes),
        "x": rng.normal(0.5, 0.1, (case.batch, case.steps, case.channels)),
        "D": np.sqrt(((places[:, None] - places[None]) ** 2).sum(2)),
    }
    label = rng.integers(0, case.classes, case.batch)
    return Problem(**{name: array.astype(dtype) for name, array in arrays.items()}, label=label)


def penalty(W: Array, D: Array) -> float:
    """λ sum |W| D C(|W|), as it stands."""
    from scipy.linalg import expm

    A = np.abs(W)
    root = 1 / np.sqrt(A.sum(0) + OFFSET)
    C = expm(root[:, None] * A * root[None])
    np.fill_diagonal(C, 0)
    return float(STRENGTH * np.sum(A * D * C))


def loss(problem: Problem, with_penalty: bool) -> float:
    """The equations as they stand, in NumPy: the meaning that every program is tested against."""
    h = np.zeros((problem.x.shape[0], len(problem.b)), problem.x.dtype)
    for t in range(problem.x.shape[1]):
        h = np.maximum(h @ problem.W.T + problem.x[:, t] @ problem.V.T + problem.b, 0)
    logits = h @ problem.U.T + problem.c
    top = logits.max(1)
    of_all = top + np.log(np.exp(logits - top[:, None]).sum(1))
    value = float(np.mean(of_all - logits[np.arange(len(logits)), problem.label]))
    return value + (penalty(problem.W, problem.D) if with_penalty else 0.0)
