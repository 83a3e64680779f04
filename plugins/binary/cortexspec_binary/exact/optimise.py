"""Biases at which exact flux is largest, by gradient ascent from several starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from cortexspec_binary.exact.gradient import Flux, value_and_gradient
from cortexspec_binary.exact.network import ExactNetwork

Array = np.ndarray[Any, Any]


def best_biases(
    network: ExactNetwork, terms: Sequence[Flux] = (Flux(),), *, starts: int = 8, seed: int = 0
) -> ExactNetwork:
    """The network with the biases of largest flux that L-BFGS finds: a local maximum, the best of several starts.

    It starts from the present biases, from those that centre each neuron's input, and from the latter with normal noise of
    the size of the neuron's softness and weights.
    Source: Byrd, Lu, Nocedal & Zhu 1995 (L-BFGS-B).
    """

    def downhill(biases: Array) -> tuple[float, Array]:
        found = value_and_gradient(replace(network, biases=biases), terms)
        return -found.value, -found.biases

    draw = np.random.default_rng(seed)
    centre = midpoint_biases(network)
    spread = network.t0 + np.abs(network.weights).sum(axis=1) / 2
    tried = [network.biases, centre, *(centre + spread * draw.standard_normal(centre.shape) for _ in range(starts - 2))]
    found = [minimize(downhill, start, jac=True, method="L-BFGS-B") for start in tried[: max(starts, 1)]]
    best = min(found, key=lambda one: float(one.fun))
    return replace(network, biases=np.asarray(best.x))


def midpoint_biases(network: ExactNetwork) -> Array:
    """b = -1/2 W 1 for states 0 and 1, and 0 for -1 and 1: where turning every neuron over changes nothing.

    Source: the symmetry z -> 1 - z; a fixed point of the flux's gradient, not always a maximum.
    """
    if network.states == "plus_minus":
        return np.zeros(network.neurons)
    return -network.weights.sum(axis=1) / 2
