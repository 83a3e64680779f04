"""A small simulation of binary networks that shares no line with what it is compared with."""

from collections.abc import Callable

import numpy as np
import pytest


def simulated(
    weights: np.ndarray,
    biases: np.ndarray,
    steps: int,
    runs: int,
    *,
    t0: float | np.ndarray = 1.0,
    sigma: float | np.ndarray = 0.0,
    burn_in: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """States [runs, steps, n], uint8, from random starts: read z(t), draw the noise, then U < 1/(1 + exp(-v))."""
    draw = np.random.default_rng(seed)
    states = draw.integers(0, 2, (runs, len(biases))).astype(float)
    kept = np.zeros((runs, steps, len(biases)), np.uint8)
    for step in range(-burn_in, steps):
        drive = (states @ np.asarray(weights, float).T + biases) / t0
        if np.any(sigma):
            drive = drive + sigma * draw.standard_normal(drive.shape)
        states = (draw.random(drive.shape) < 1 / (1 + np.exp(-drive))).astype(float)
        if step >= 0:
            kept[:, step] = states
    return kept


@pytest.fixture(scope="session")
def simulate() -> Callable[..., np.ndarray]:
    return simulated
