"""The transition matrix of a binary network: rows are products of Bernoulli factors, one a neuron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from cortexspec_binary.exact.noise import firing_probability, firing_slope

Array = np.ndarray[Any, Any]
States = Literal["zero_one", "plus_minus"]
NoiseUnits = Literal["scaled", "input"]


def state_values(neurons: int, states: States = "zero_one") -> Array:
    """The states in the order of their words (neuron i is bit i), as the numbers that the weights multiply.

    Shapes: returns [2^n, n].
    """
    bits = (np.arange(1 << neurons)[:, None] >> np.arange(neurons)) & 1
    return (2.0 * bits - 1.0) if states == "plus_minus" else bits.astype(float)


def as_zero_one(weights: Array, biases: Array) -> tuple[Array, Array]:
    """The network with states in {0, 1} that is the same as this one with states in {-1, 1}: (2W, b - W 1).

    Shapes: weights [target, source], biases [n].
    Source: the substitution s = 2z - 1.
    """
    weights = np.asarray(weights, float)
    return 2 * weights, np.asarray(biases, float) - weights.sum(axis=1)


def _scaled(
    weights: Array, biases: Array, t0: Array | float, sigma: Array | float, states: States, noise_units: NoiseUnits
) -> tuple[Array, Array]:
    """The drive of each neuron in each state, over t0, [2^n, n]; the noise of each in the same units, [n]."""
    drive = state_values(len(biases), states) @ np.asarray(weights, float).T + np.asarray(biases, float)
    noise = np.asarray(sigma, float) if noise_units == "scaled" else np.asarray(sigma, float) / t0
    return drive / t0, np.broadcast_to(noise, (len(biases),))


def _each(function: Callable[[Array, float], Array], drive: Array, noise: Array) -> Array:
    """A function of drive and noise for all neurons that share their noise at once."""
    found = np.zeros_like(drive)
    for sigma in np.unique(noise):
        here = noise == sigma
        found[:, here] = function(drive[:, here], float(sigma))
    return found


def on_and_off(
    weights: Array,
    biases: Array,
    t0: Array | float = 1.0,
    sigma: Array | float = 0.0,
    states: States = "zero_one",
    noise_units: NoiseUnits = "scaled",
) -> tuple[Array, Array]:
    """The probabilities that a neuron is on next, and that it is off, in each state: p(v) and p(-v).

    v_i = (sum_j W_ij z_j + b_i)/t0 + sigma η, or with `noise_units = "input"` (... + b_i + sigma η)/t0.
    Shapes: weights [target, source], biases [n], t0 and sigma numbers or [n]; returns [2^n, n] each.
    Source: Metzner et al. 2026, arXiv 2605.14680 (the update as reported; the place of the noise inferred).
    """
    drive, noise = _scaled(weights, biases, t0, sigma, states, noise_units)
    return _each(firing_probability, drive, noise), _each(firing_probability, -drive, noise)


def slopes(
    weights: Array,
    biases: Array,
    t0: Array | float = 1.0,
    sigma: Array | float = 0.0,
    states: States = "zero_one",
    noise_units: NoiseUnits = "scaled",
) -> Array:
    """dp_i/db_i in each state. Shapes: returns [2^n, n]."""
    drive, noise = _scaled(weights, biases, t0, sigma, states, noise_units)
    return _each(firing_slope, drive, noise) / t0


def products(on: Array, off: Array) -> Array:
    """The probability of each word of the given neurons: the product of their Bernoulli factors.

    Shapes: on, off [s, m]; returns [s, 2^m].
    """
    made = np.ones((len(on), 1))
    for neuron in range(on.shape[1]):
        made = np.concatenate([made * off[:, neuron, None], made * on[:, neuron, None]], axis=1)
    return made


def contrasts(on: Array, off: Array, values: Array) -> Array:
    """How the mean of `values` over the next word grows with each neuron's p: its mean given 1 less that given 0.

    No division by a probability, so that small ones do no harm.
    Shapes: on, off [s, m], values [s or 1, 2^m]; returns [s, m].
    """
    neurons = on.shape[1]
    found = np.zeros_like(on)
    for chosen in range(neurons):
        left = values
        for neuron in reversed(range(neurons)):  # the highest bit halves the words
            silent, active = left[:, : 1 << neuron], left[:, 1 << neuron :]
            left = active - silent if neuron == chosen else off[:, neuron, None] * silent + on[:, neuron, None] * active
        found[:, chosen] = left[:, 0]
    return found


def transition_matrix(on: Array, off: Array) -> Array:
    """P[s, s'], the probability of state s' after state s. Shapes: on, off [2^n, n]; returns [2^n, 2^n]."""
    return products(on, off)
