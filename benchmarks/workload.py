"""The workload of `benchmarks.cmc`: canonical microcircuits as a neural ODE, 20 Euler steps of 3.65 ms.

R regions of four populations each (`ss, ii, dp, sp`), every population a potential v and its slope w. The equations
are those of `specs/cmc_ode.cortex`:

    r   = sigmoid(R v) - 1/2
    u_p = sum_q S_pq r_q + sum_s C_s mean_q v_q(s)        S from γ with its signs, C = 0.1 sigmoid(a) off_diagonal(W)
    v'  = w,    w' = κ H u - 2 κ w - κ² v

A start (v0, w0) goes in, batch first; the potential of sp after 73 ms comes out; the loss is its mean square, and a
training step gives the loss and its gradients by κ, γ, W and a. Units: ms, mV, kHz.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

STEPS = 20
DT = 3.65
GAIN = 1.0
"""H in mV."""
SLOPE = 0.67
"""R per mV."""

POPULATIONS = ("ss", "ii", "dp", "sp")
COUPLINGS = (
    ("γ1", "ss", "ss", -1),
    ("γ2", "ss", "sp", -1),
    ("γ3", "ss", "ii", -1),
    ("γ4", "ii", "ii", -1),
    ("γ5", "ii", "ss", +1),
    ("γ6", "ii", "dp", +1),
    ("γ7", "sp", "sp", -1),
    ("γ8", "sp", "ss", +1),
    ("γ9", "dp", "ii", -1),
    ("γ10", "dp", "dp", -1),
)
"""Name, target, source, sign."""
_RATES = (0.05, 0.00625, 0.00357, 0.05)
_STRENGTHS = (0.08, 0.08, 0.16, 0.08, 0.08, 0.04, 0.08, 0.08, 0.04, 0.02)


@dataclass(frozen=True)
class Case:
    """One size of the workload."""

    batch: int
    regions: int

    def __str__(self) -> str:
        return f"({self.batch}, {self.regions})"


CASES = (Case(128, 1), Case(1024, 5), Case(4096, 5))


@dataclass(frozen=True)
class Parameters:
    """What is trained. Shapes: kappa [R, 4] and gamma [R, 10] in kHz, W [R, R] in kHz/mV, [target, source], a [R]."""

    kappa: Array
    gamma: Array
    W: Array
    a: Array

    def as_tuple(self) -> tuple[Array, Array, Array, Array]:
        return self.kappa, self.gamma, self.W, self.a


def draw_parameters(case: Case, dtype: str, seed: int = 0) -> Parameters:
    """The paper's constants, each within 10 %, so that no two regions are alike."""
    rng = np.random.default_rng(seed)
    n = case.regions
    return Parameters(
        kappa=(np.array(_RATES) * rng.uniform(0.9, 1.1, (n, 4))).astype(dtype),
        gamma=(np.array(_STRENGTHS) * rng.uniform(0.9, 1.1, (n, 10))).astype(dtype),
        W=(0.1 * rng.standard_normal((n, n))).astype(dtype),
        a=(1 + 0.1 * rng.standard_normal(n)).astype(dtype),
    )


def draw_start(case: Case, dtype: str, seed: int = 1) -> tuple[Array, Array]:
    """Potentials and slopes at time 0. Shapes: both [B, R, 4]. Units: mV, mV/ms."""
    rng = np.random.default_rng(seed)
    shape = (case.batch, case.regions, 4)
    return rng.standard_normal(shape).astype(dtype), (0.1 * rng.standard_normal(shape)).astype(dtype)


def coupling_signs() -> Array:
    """The tensor that makes S from γ: S = signs @ γ. Shapes: returns [4, 4, 10]."""
    signs = np.zeros((4, 4, len(COUPLINGS)))
    for k, (_, target, source, sign) in enumerate(COUPLINGS):
        signs[POPULATIONS.index(target), POPULATIONS.index(source), k] = sign
    return signs


def simulate(parameters: Parameters, v0: Array, w0: Array) -> tuple[Array, Array]:
    """The equations as they stand, in NumPy: the meaning that every other version is tested against.

    Shapes: v0, w0 [B, R, 4]; returns potentials and slopes at the end, [B, R, 4].
    """
    kappa = parameters.kappa
    S = np.einsum("pqk,rk->rpq", coupling_signs(), parameters.gamma)
    off_diagonal = parameters.W * (1 - np.eye(len(parameters.W)))
    C = 0.1 / (1 + np.exp(-parameters.a))[:, None] * off_diagonal
    v, w = v0, w0
    for _ in range(STEPS):
        r = 1 / (1 + np.exp(-SLOPE * v)) - 0.5
        u = np.einsum("rpq,brq->brp", S, r) + np.einsum("rs,bs->br", C, v.mean(axis=2))[:, :, None]
        v, w = v + DT * w, w + DT * (kappa * GAIN * u - 2 * kappa * w - kappa**2 * v)
    return v, w


def lagged_scale() -> float:
    """R/2 per mV: x = R v / 2 makes the rate tanh(x)/2.

    In x the Euler steps of v and w are one recurrence of second order, which the fastest versions run:

        x[n+2] = 2 l x[n+1] - l² x[n] + κ (P tanh x[n] + Q x[n]),    l = 1 - κ dt,  x[1] = x[0] + R/2 dt w0
    """
    return SLOPE / 2


LAGGED_COUPLING = (SLOPE / 2) * DT**2 * GAIN / 2
"""P = LAGGED_COUPLING * S: one R/2 for x, one 1/2 for tanh(x)/2."""
LAGGED_CONTEXT = 0.1 * DT**2 * GAIN / 4
"""Q = LAGGED_CONTEXT * sigmoid(a) off_diagonal(W) for each population of the target and of the source."""


def loss(v: Array) -> float:
    """Mean square of the final potential of sp. Shapes: v [B, R, 4]."""
    return float(np.mean(v[:, :, POPULATIONS.index("sp")] ** 2))
