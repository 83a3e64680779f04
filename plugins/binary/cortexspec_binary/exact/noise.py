"""The firing probability with the membrane noise averaged out."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

Array = np.ndarray[Any, Any]
_STEP = 0.3  # of the rule, in units of 1/sigma: accurate to rounding (measured)
_STEP_OF_NORMAL = 0.5  # below which the rule integrates the normal density itself to rounding
_TAIL = 10.0
_AT_ONCE = 1 << 20


def firing_probability(drive: Array, sigma: float = 0.0) -> Array:
    """p = E[1/(1 + exp(-(v + sigma η)))], η ~ N(0, 1), by the trapezoid rule.

    The probability of silence is p(-v), evaluated by itself: 1 - p would lose it where p is near 1.
    Shapes: drive v [...], scaled by t0 already; returns [...].
    Source: the rule's error falls exponentially with 1/step for such an integrand; a step of 0.3/sigma is enough (measured).
    """
    return _averaged(np.asarray(drive, float), sigma, expit)


def firing_slope(drive: Array, sigma: float = 0.0) -> Array:
    """dp/dv = E[s(1 - s)], s the logistic function of v + sigma η. Shapes: as `firing_probability`."""
    return _averaged(np.asarray(drive, float), sigma, lambda v: expit(v) * expit(-v))


def _averaged(drive: Array, sigma: float, function: Any) -> Array:
    if sigma == 0:
        return function(drive)
    values, places = np.unique(drive, return_inverse=True)
    # Mass that matters lies within the normal density, moved towards where the logistic function still grows.
    reach = _TAIL + min(abs(sigma), float(np.abs(values).max(initial=0.0)) / abs(sigma))
    step = min(_STEP_OF_NORMAL, _STEP / abs(sigma))
    half = int(np.ceil(reach / step))
    eta = np.arange(-half, half + 1) * step
    weight = np.exp(-(eta**2) / 2) * step / np.sqrt(2 * np.pi)
    rows = max(_AT_ONCE // eta.size, 1)
    found = [function(values[i : i + rows, None] + sigma * eta) @ weight for i in range(0, values.size, rows)]
    return np.concatenate([*found, np.zeros(0)])[places].reshape(drive.shape)
