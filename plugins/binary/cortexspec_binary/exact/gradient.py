"""The gradient of exact fluxes with respect to weights and biases, by implicit differentiation of the stationary law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortexspec_binary.exact.network import ExactNetwork
from cortexspec_binary.exact.transition import contrasts, slopes, state_values

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Flux:
    """One term of an objective: `factor` times the flux from sources to targets. None stands for the whole network."""

    sources: tuple[int, ...] | None = None
    targets: tuple[int, ...] | None = None
    lag: int = 1
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Gradient:
    """The value of an objective, in bit, and its derivatives: by weights [target, source] and by biases [n]."""

    value: float
    weights: Array
    biases: Array


def value_and_gradient(network: ExactNetwork, terms: Sequence[Flux] = (Flux(),)) -> Gradient:
    """A sum of fluxes of the stationary network with its gradient by weights and biases."""
    value, by_input = by_inputs(network, terms)
    return Gradient(value, by_input.T @ state_values(network.neurons, network.states), by_input.sum(axis=0))


def by_inputs(network: ExactNetwork, terms: Sequence[Flux] = (Flux(),)) -> tuple[float, Array]:
    """A sum of fluxes, and how it changes with the input sum_j W_ij z_j + b_i of each neuron in each state, [2^n, n].

    π solves π = π P, so dπ = π dP Z with Z = (1 - P + 1 π)^-1: one linear system gives the part through π, whatever the
    number of parameters. The rest follows the products of Bernoulli factors back to p_i(s) and to W_ij z_j(s) + b_i.
    Source: inferred; Kemeny & Snell 1960, the fundamental matrix.
    """
    on, off = network.factors
    law, matrix = network.law, network.matrix
    value, by_law, by_matrix, by_on = 0.0, np.zeros(len(law)), np.zeros_like(matrix), np.zeros_like(on)
    for term in terms:
        part = _direct(network, term)
        value += term.factor * part.value
        by_law += term.factor * part.by_law
        by_on += term.factor * part.by_on
        if part.by_matrix is not None:
            by_matrix += term.factor * part.by_matrix
    through = np.linalg.solve(np.eye(len(law)) - matrix + law, by_law)
    by_matrix += np.outer(law, through)
    by_on += contrasts(on, off, by_matrix)
    return value, by_on * slopes(
        network.weights, network.biases, network.t0, network.sigma, network.states, network.noise_units
    )


@dataclass(frozen=True, eq=False)
class _Direct:
    """Derivatives of one flux that do not pass through the stationary law, and that by the law itself."""

    value: float
    by_law: Array  # [s]
    by_matrix: Array | None  # [s, s'], of the steps before the last one
    by_on: Array  # [s, n]


def _direct(network: ExactNetwork, term: Flux) -> _Direct:
    everything = tuple(range(network.neurons))
    sources = everything if term.sources is None else term.sources
    targets = everything if term.targets is None else term.targets
    on, off = network.factors
    later = [network.next_words(targets)]
    for _ in range(term.lag - 1):
        later.append(network.matrix @ later[-1])
    score = _score(network.joint(sources, targets, term.lag))[network.words_of(sources)]  # [s, targets' word]
    by_later = network.law[:, None] * score
    by_matrix = np.zeros_like(network.matrix) if term.lag > 1 else None
    for earlier in reversed(later[:-1]):
        assert by_matrix is not None
        by_matrix += by_later @ earlier.T
        by_later = network.matrix.T @ by_later
    by_on = np.zeros_like(on)
    chosen = list(targets)
    np.add.at(by_on.T, chosen, contrasts(on[:, chosen], off[:, chosen], by_later).T)
    value = network.flux(sources, targets, term.lag)
    return _Direct(value, (score * later[-1]).sum(axis=1), by_matrix, by_on)


def _score(joint: Array) -> Array:
    """dI/dJ = log2(J/(J_x J_y)) - 1/ln 2, and 0 where J is 0 (a word that cannot be reached)."""
    before, after = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    there = joint > 0
    ratio = joint / np.where(there, before, 1.0) / np.where(there, after, 1.0)
    return np.where(there, np.log2(np.where(there, ratio, 1.0)) - 1 / np.log(2), 0.0)
