"""Entropies of histograms, in bit: plug-in, Miller-Madow, and Nemenman, Shafee and Bialek's posterior mean."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.special import digamma, gammaln, polygamma

Array = np.ndarray[Any, Any]
Correction = Literal["none", "miller_madow", "nsb"]
_WIDE, _STEPS, _LEVEL = 24.0, 400, 45.0
_LARGE = 1e4
_MANY = 1 << 12  # cells of a row


def entropy(counts: Array, axes: int = 1, correction: Correction = "none") -> Array:
    """H of the last `axes` axes of a table of counts or of probabilities.

    `miller_madow` adds (R - 1)/(2 T ln 2), R the occupied cells and T the counts; `nsb` is `nsb_entropy` over all cells.
    Shapes: counts [..., one axis a part]; returns [...]. Units: bit. An empty table has entropy 0.
    Source: Miller 1955, the correction after Miller and Madow.
    """
    rows = _rows(counts, axes)
    if correction == "nsb":
        return np.apply_along_axis(nsb_entropy, -1, rows) if rows.size else np.zeros(rows.shape[:-1])
    total, occupied, plain = _of_large_rows(rows) if rows.shape[-1] >= _MANY else _of_rows(rows)
    if correction == "none":
        return plain
    return plain + np.where(total > 0, (occupied - 1) / (2 * np.log(2) * np.where(total > 0, total, 1)), 0.0)


def binary_entropy(p: Array | float) -> Array:
    """h(p) = -p log2 p - (1 - p) log2(1 - p), in bit; 0 at p = 0 and p = 1."""
    p = np.asarray(p, float)
    return -_xlog2x(p) - _xlog2x(1 - p)


def nsb_entropy(counts: Array) -> float:
    """The posterior mean of H where the prior is nearly flat in H: a mixture of symmetric Dirichlet priors over the K cells.

    Each concentration β has the weight dξ/dβ, ξ(β) = ψ(Kβ + 1) - ψ(β + 1) its mean entropy, times the evidence of the
    counts. Use it where there are fewer transitions than cells.
    Shapes: counts [K], 0 where nothing was seen; returns a number. Units: bit.
    Source: Nemenman, Shafee & Bialek 2002, equations 3 to 11.
    """
    counts = np.asarray(counts).reshape(-1)
    cells, total = counts.size, float(counts.sum())
    if cells < 2:
        return 0.0
    sizes, many = np.unique(counts, return_counts=True)
    return float(_mixture(sizes.astype(float), many.astype(float), cells, total)) / float(np.log(2))


def _mixture(sizes: Array, many: Array, cells: int, total: float) -> Array:
    """The mean over log β, in nat, on a grid that is made finer around the weight's peak until it spans it."""
    low, high = -_WIDE - np.log(cells), _WIDE
    for _ in range(3):
        log_beta = np.linspace(low, high, _STEPS)
        weight = _log_weight(np.exp(log_beta), sizes, many, cells, total) + log_beta
        inside = np.flatnonzero(weight > weight.max() - _LEVEL)
        low, high = log_beta[max(inside[0] - 1, 0)], log_beta[min(inside[-1] + 1, _STEPS - 1)]
    log_beta = np.linspace(low, high, 2 * _STEPS)
    beta = np.exp(log_beta)
    weight = _log_weight(beta, sizes, many, cells, total) + log_beta
    share = np.exp(weight - weight.max())
    return (share * _posterior_mean(beta, sizes, many, cells, total)).sum() / share.sum()


def _log_weight(beta: Array, sizes: Array, many: Array, cells: int, total: float) -> Array:
    """log of dξ/dβ times the evidence; β [b]."""
    seen = _log_rising(beta[:, None], sizes) @ many
    return np.log(_slope(beta, cells)) - _log_rising(cells * beta, total) + seen


def _slope(beta: Array, cells: int) -> Array:
    """dξ/dβ = K ψ'(Kβ + 1) - ψ'(β + 1). For large β its two terms are equal to rounding, and its series is not."""
    series = (1 - 1 / cells) / (2 * beta**2) - (1 - 1 / cells**2) / (6 * beta**3)
    return np.where(beta > _LARGE, series, cells * polygamma(1, cells * beta + 1) - polygamma(1, beta + 1))


def _log_rising(start: Array, more: Array | float) -> Array:
    """log Γ(x + n) - log Γ(x), by Stirling's series where x is large: the difference of two logarithms would be lost."""
    large = np.maximum(start, _LARGE)
    stirling = (large + more - 0.5) * np.log1p(more / large) + more * (np.log(large) - 1)
    stirling += (1 / (large + more) - 1 / large) / 12
    return np.where(start > _LARGE, stirling, gammaln(start + more) - gammaln(start))


def _posterior_mean(beta: Array, sizes: Array, many: Array, cells: int, total: float) -> Array:
    """The mean entropy, in nat, of the Dirichlet posterior of concentration β [b]."""
    weight = (sizes + beta[:, None]) / (total + cells * beta)[:, None]
    return digamma(total + cells * beta + 1) - (weight * digamma(sizes + beta[:, None] + 1)) @ many


def _of_rows(rows: Array) -> tuple[Array, Array, Array]:
    """The total, the number of occupied cells and the plug-in entropy of each row [..., cell]."""
    total = rows.sum(axis=-1)
    shares = rows / np.where(total > 0, total, 1)[..., None]
    return total, (rows > 0).sum(axis=-1), -_xlog2x(shares).sum(axis=-1)


def _of_large_rows(rows: Array) -> tuple[Array, Array, Array]:
    """The same, row by row, with one logarithm for all cells of the same count: in a large table most are 0."""
    each = [_of_counts(row) for row in rows.reshape(-1, rows.shape[-1])]
    total, occupied, plain = (np.array(one).reshape(rows.shape[:-1]) for one in zip(*each, strict=True))
    return total, occupied, plain


def _of_counts(row: Array) -> tuple[Any, Any, Any]:
    if row.dtype.kind != "i" or row.max() > row.size:
        return _of_rows(row)
    many = np.bincount(row)
    sizes = np.flatnonzero(many)
    total, occupied = row.sum(), row.size - many[0]
    shares = sizes / max(total, 1)
    return total, occupied, -(many[sizes] * _xlog2x(shares)).sum()


def _rows(counts: Array, axes: int) -> Array:
    counts = np.asarray(counts)
    return counts.reshape(*counts.shape[: counts.ndim - axes], -1) if axes else counts[..., None]


def _xlog2x(p: Array) -> Array:
    return p * np.log2(np.where(p > 0, p, 1.0))
