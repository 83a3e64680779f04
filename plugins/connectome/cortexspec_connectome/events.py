"""Functional measures from event trains: binned correlation, spike time tiling coefficient, graphical lasso.

Times are in seconds, one sorted array a cell. Matrices are symmetric, [cell, cell].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BIN = 0.2  # s
HALF_WINDOW = 0.1  # s


def record_of(trains: Sequence[Array], half_window: float = HALF_WINDOW) -> float:
    """How long the record is held to be: to the last event of all, and a half window more. Raises: ValueError without an event."""
    last = [float(train[-1]) for train in trains if len(train)]
    if not last:
        raise ValueError("no cell has an event")
    return max(last) + half_window


def counts(trains: Sequence[Array], bin_width: float = BIN, duration: float | None = None) -> Array:
    """Events in bins [cell, bin]: floor(duration/bin_width) whole bins from 0 on; what comes after the last one is left out."""
    duration = record_of(trains) if duration is None else duration
    number = int(np.floor(duration / bin_width))
    if number < 2:
        raise ValueError(f"a record of {duration:g} s has fewer than two bins of {bin_width:g} s")
    edges = np.arange(number + 1) * bin_width
    return np.stack([np.histogram(train, edges)[0] for train in trains]).astype(float)


def correlation(trains: Sequence[Array], bin_width: float = BIN, duration: float | None = None) -> Array:
    """Pearson's correlation of counts. Raises: ValueError where a cell has the same count in all bins."""
    found = counts(trains, bin_width, duration)
    still = np.flatnonzero(found.std(axis=1) == 0)
    if len(still):
        raise ValueError(f"cell {still[0]} has the same count in every bin, so it correlates with nothing")
    return np.corrcoef(found)


def tiling_coefficient(
    trains: Sequence[Array], half_window: float = HALF_WINDOW, duration: float | None = None
) -> Array:
    """STTC = [(P_A - T_B)/(1 - P_A T_B) + (P_B - T_A)/(1 - P_B T_A)]/2 of every pair.

    P_A: the share of A's events within a half window of one of B's, inclusive. T_A: the share of the record within a half window of one of
    A's events. A quotient whose denominator is 0 is 1. Source: Cutts and Eglen 2014, doi:10.1523/JNEUROSCI.2767-14.2014.
    Raises: ValueError for a cell without an event.
    """
    silent = [place for place, train in enumerate(trains) if not len(train)]
    if silent:
        raise ValueError(f"cell {silent[0]} has no event, so its tiling coefficient is undefined")
    duration = record_of(trains, half_window) if duration is None else duration
    covered = np.array([_covered(train, half_window, duration) for train in trains])
    every = np.concatenate(trains)
    starts = np.cumsum([0, *(len(train) for train in trains[:-1])])
    lengths = np.array([len(train) for train in trains])
    share = np.empty((len(trains), len(trains)))  # of the row's events that are near one of the column's
    for place, train in enumerate(trains):
        share[:, place] = np.add.reduceat(_near(every, train, half_window), starts) / lengths
    one = _quotient(share - covered[np.newaxis, :], 1 - share * covered[np.newaxis, :])
    found = (one + one.T) / 2
    np.fill_diagonal(found, 1.0)
    return found


def _near(times: Array, train: Array, half_window: float) -> Array:
    """1 where the nearest event of a train is at most a half window away."""
    after = np.searchsorted(train, times)
    left = np.abs(times - train[np.maximum(after - 1, 0)])
    right = np.abs(train[np.minimum(after, len(train) - 1)] - times)
    return (np.minimum(left, right) <= half_window).astype(float)


def _covered(train: Array, half_window: float, duration: float) -> float:
    """The share of [0, duration] within a half window of an event."""
    starts = np.maximum(train - half_window, 0.0)
    ends = np.minimum(train + half_window, duration)
    return float(np.sum(ends - np.maximum(starts, np.concatenate([[0.0], ends[:-1]])))) / duration


def _quotient(over: Array, under: Array) -> Array:
    return np.where(under == 0, 1.0, over / np.where(under == 0, 1.0, under))


def precision(trains: Sequence[Array], alpha: float, bin_width: float = BIN, duration: float | None = None) -> Array:
    """Sparse inverse covariance of counts: the graphical lasso with penalty `alpha` off the diagonal (Friedman, Hastie and
    Tibshirani 2008, doi:10.1093/biostatistics/kxm045); covariance by division with the number of bins.

    Raises: ValueError where it does not converge.
    """
    from sklearn.covariance import graphical_lasso

    covariance = np.cov(counts(trains, bin_width, duration), ddof=0)
    try:
        _, found = graphical_lasso(covariance, alpha, tol=1e-8, max_iter=500, enet_tol=1e-8)
    except FloatingPointError as error:
        raise ValueError(f"the graphical lasso does not converge at alpha = {alpha:g}: {error}") from None
    return (found + found.T) / 2


def lasso_gap(covariance: Array, found: Array, alpha: float) -> float:
    """How far a precision matrix P is from what the graphical lasso looks for: 0 at the optimum, in the unit of the covariance S.

    With W = inverse of P: W_ii = S_ii; W_ij - S_ij = alpha sign(P_ij) where P_ij is not 0; |W_ij - S_ij| <= alpha where it is.
    """
    difference = np.linalg.inv(found) - covariance
    off = ~np.eye(len(found), dtype=bool)
    zero = off & (found == 0)
    gaps = [np.abs(np.diag(difference)).max(), 0.0]
    gaps += list(np.abs(difference - alpha * np.sign(found))[off & ~zero])
    gaps += list(np.maximum(np.abs(difference[zero]) - alpha, 0))
    return float(max(gaps))


__all__ = ["BIN", "HALF_WINDOW", "correlation", "counts", "lasso_gap", "precision", "record_of", "tiling_coefficient"]
