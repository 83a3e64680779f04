"""How much a layer of expressive neurons tells of its input: a model with noise that falls as neurons grow, and redundancy.

INFERRED. Spieler, Martius & Levina 2026 (arXiv 2605.12049) say: the noise of a neuron falls as a power of its parameters down to a floor,
the eigenvalues of the outputs' covariance fall as a power of their place, and bits per character follow the information through one
affine map. The formula itself was not at hand; this reading has those parts and no others:

    sigma^2(k_e) = max(c k_e^-alpha, floor)
    lambda_i = i^-beta, i = 1 .. N
    I = 1/2 sum_i log2(1 + lambda_i / sigma^2)            (parallel Gaussian channels)
    N (k_e + k_c) = P                                     (what a budget leaves)
    bits per character = a - b I

One curve does not tell the four parameters apart (`Fit.sensitivity` shows it): `PRESET` is a fit of the published Enwik8 rows by a
coarse grid, not values of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """`c`, `alpha`, `floor` of the noise, `beta` of the redundancy: 0 for independent neurons."""

    c: float = 1.78
    alpha: float = 0.5
    floor: float = 0.01
    beta: float = 0.8

    def noise(self, k_e: Array | float) -> Array:
        """The variance of the noise of a neuron of k_e parameters, relative to the first eigenvalue of the signal."""
        return np.maximum(self.c * np.asarray(k_e, float) ** -self.alpha, self.floor)

    def information(self, n: Array | float, k_e: Array | float) -> Array:
        """Bits per step of n neurons of k_e parameters: the closed form, an integral over i from 1/2 to n + 1/2."""
        n, noise = np.broadcast_arrays(np.asarray(n, float), self.noise(k_e))
        return self._integral(n + 0.5, noise) - self._integral(np.full_like(n, 0.5), noise)

    def information_summed(self, n: int, k_e: float) -> float:
        """The sum over eigenvalues that the closed form stands for."""
        eigenvalues = np.arange(1, n + 1) ** -self.beta
        return float(0.5 * np.log2(1 + eigenvalues / self.noise(k_e)).sum())

    def _integral(self, x: Array, noise: Array) -> Array:
        """x/(2 ln 2) [ln(1 + x^-beta/s) + beta 2F1(1, 1/beta; 1 + 1/beta; -s x^beta)], whose derivative is half of log2(1 + x^-beta/s)."""
        if self.beta < 1e-6:
            return x / 2 * np.log2(1 + 1 / noise)
        from scipy.special import hyp2f1

        rest = self.beta * hyp2f1(1.0, 1 / self.beta, 1 + 1 / self.beta, -noise * x**self.beta)
        return x / (2 * np.log(2)) * (np.log1p(x**-self.beta / noise) + rest)


PRESET = Layer()


def parameters_of_neuron(d_m: Array | float, d_tree: Array | float, d_mlp: Array | float | None = None) -> Array:
    """k_e of a neuron with one hidden layer and one output, all but its synapses; d_mlp is 2 d_m unless it is given."""
    d_m, d_tree = np.asarray(d_m, float), np.asarray(d_tree, float)
    hidden = 2 * d_m if d_mlp is None else np.asarray(d_mlp, float)
    return hidden * (d_m + d_tree + 1) + d_m * (hidden + 1) + d_m + 1


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best neuron of a budget, by its memory, and how many of them the budget pays for."""

    d_m: int
    neurons: float
    information: float


def optimum(layer: Layer, budget: float, d_tree: float, k_c: float, largest: int = 400) -> Optimum:
    """Of neurons with d_m = 1 .. `largest`. `budget` is that of the layer alone."""
    d_m = np.arange(1, largest + 1)
    k_e = parameters_of_neuron(d_m, d_tree)
    neurons = budget / (k_e + k_c)
    kept = neurons >= 1
    found = np.where(kept, layer.information(np.maximum(neurons, 1), k_e), -np.inf)
    best = int(np.argmax(found))
    return Optimum(int(d_m[best]), float(neurons[best]), float(found[best]))


@dataclass(frozen=True, slots=True)
class Fit:
    """`layer`, and bits per character = `offset` - `slope` * information. `r`: Pearson's, of told against found; `rms` in bits.

    `sensitivity`: the singular values of the residuals' slopes by the logarithms of c, alpha, floor and beta, the largest 1. One
    near 0 is a direction that the data do not tell.
    """

    layer: Layer
    offset: float
    slope: float
    r: float
    rms: float
    sensitivity: tuple[float, ...]

    def told(self, n: Array, k_e: Array) -> Array:
        return self.offset - self.slope * self.layer.information(n, k_e)


def fit(n: Sequence[float], k_e: Sequence[float], bits: Sequence[float], start: Layer = PRESET) -> Fit:
    """Least squares of all four parameters and the affine map, from `start`. Raises: ValueError for fewer than four points."""
    sizes, parameters, found = (np.asarray(one, float) for one in (n, k_e, bits))
    if not sizes.shape == parameters.shape == found.shape or sizes.size < 4:
        raise ValueError("a fit wants four points or more: sizes, parameters and bits of each")
    from scipy.optimize import least_squares

    def affine(layer: Layer) -> tuple[float, float]:
        columns = np.stack([np.ones_like(found), -layer.information(sizes, parameters)], axis=1)
        (offset, slope), *_ = np.linalg.lstsq(columns, found, rcond=None)
        return float(offset), float(slope)

    def residuals(logs: Array) -> Array:
        layer = Layer(*np.exp(logs))
        offset, slope = affine(layer)
        return offset - slope * layer.information(sizes, parameters) - found

    first = np.log(astuple(start))
    bounds = np.log([(1e-3, 0.05, 1e-6, 0.05), (1e3, 3.0, 1.0, 3.0)])
    solution = least_squares(residuals, first, bounds=(bounds[0], bounds[1]), diff_step=1e-4)
    layer = Layer(*(float(one) for one in np.exp(solution.x)))
    offset, slope = affine(layer)
    told = offset - slope * layer.information(sizes, parameters)
    values = np.linalg.svd(np.asarray(solution.jac), compute_uv=False)
    relative = tuple(float(one) for one in values / max(float(values[0]), 1e-300))
    constant = np.ptp(told) == 0 or np.ptp(found) == 0
    r = float("nan") if constant else float(np.corrcoef(told, found)[0, 1])
    return Fit(layer, offset, slope, r, float(np.sqrt(np.mean((told - found) ** 2))), relative)


def figure(
    path: Path, points: dict[str, tuple[Array, Array, Array]], fitted: Fit, measure: str = "bits per character"
) -> Path:
    """Theory beside data: the measure against the number of neurons, and found against told. points[label] = (n, k_e, bits)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for place, (label, (n, k_e, bits)) in enumerate(points.items()):
        order = np.argsort(n)
        colour = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")[place % 4]
        left.plot(np.asarray(n)[order], np.asarray(bits)[order], "o", color=colour, label=label)
        left.plot(np.asarray(n)[order], fitted.told(np.asarray(n)[order], np.asarray(k_e)[order]), color=colour)
        right.plot(fitted.told(n, k_e), bits, "o", color=colour)
    ends = [
        min(axis[0] for axis in (right.get_xlim(), right.get_ylim())),
        max(axis[1] for axis in (right.get_xlim(), right.get_ylim())),
    ]
    right.plot(ends, ends, color="grey", lw=0.8, ls="--")
    left.set(xlabel="neurons", ylabel=measure, xscale="log", title="points: found, lines: told (inferred model)")
    right.set(xlabel=f"told {measure}", ylabel=f"found {measure}", title=f"r = {fitted.r:.3f}, rms = {fitted.rms:.3f}")
    left.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set_fontsize(9)
    drawn.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=150)
    plt.close(drawn)
    return path
