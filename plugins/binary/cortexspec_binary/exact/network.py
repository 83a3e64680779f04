"""A small binary network with everything about it known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_binary.exact.stationary import state_reduction
from cortexspec_binary.exact.transition import (
    NoiseUnits,
    States,
    on_and_off,
    products,
    state_values,
    transition_matrix,
)
from cortexspec_binary.measures import information
from cortexspec_binary.measures.entropy import binary_entropy, entropy

Array = np.ndarray[Any, Any]
LARGEST = 10  # neurons: a transition matrix of 2^20 numbers, and a state reduction of about a second


def exact(
    weights: Array,
    biases: Array,
    *,
    t0: Array | float = 1.0,
    sigma: Array | float = 0.0,
    states: States = "zero_one",
    noise_units: NoiseUnits = "scaled",
) -> ExactNetwork:
    """The network z_i(t+1) = 1 with probability E_η[1/(1 + exp(-v_i))], v = (W z(t) + b)/t0 + sigma η.

    Shapes: weights [target, source]; biases, t0 and sigma [n] or a number. Self-connections are allowed.
    Source: Metzner et al. 2026, arXiv 2605.14680.
    Raises: SpecError CS932 for more than 10 neurons, CS501 where the shapes do not fit, CS806 where a number is not finite.
    """
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise SpecError([Diagnostic("CS501", f"weights are [target, source], not of shape {weights.shape}")])
    neurons = len(weights)
    require_few(neurons)
    each: dict[str, Array] = {}
    for name, value in {"biases": biases, "t0": t0, "sigma": sigma}.items():
        if np.shape(value) not in ((), (neurons,)):
            raise SpecError([Diagnostic("CS501", f"{neurons} neurons are given `{name}` of shape {np.shape(value)}")])
        each[name] = np.broadcast_to(np.asarray(value, float), (neurons,)).copy()
    if not all(np.isfinite(one).all() for one in (weights, *each.values())) or not (each["t0"] > 0).all():
        raise SpecError([Diagnostic("CS806", "weights, biases, t0 and sigma are finite numbers, and t0 exceeds 0")])
    return ExactNetwork(weights.copy(), each["biases"], each["t0"], each["sigma"], states, noise_units)


def require_few(neurons: int) -> None:
    """Raises: SpecError CS932 where the transition matrix would be too large, before any of it is made."""
    if neurons > LARGEST:
        size = 8 * 4.0**neurons
        message = (
            f"an exact analysis of {neurons} neurons has 2^{neurons} states and a transition matrix of {size:.2g} bytes"
        )
        help = f"at most {LARGEST} neurons; estimate larger networks from a run, or analyse a part of it by itself"
        raise SpecError([Diagnostic("CS932", message, help=help)])


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """Laws and information of a network of at most 10 binary neurons. States are in the order of their words.

    Entropies and information are in bit. Groups of neurons are sequences of their indices; what lies outside of a group
    is hidden, not removed: a core inside a network is measured embedded.
    """

    weights: Array  # [target, source]
    biases: Array
    t0: Array
    sigma: Array
    states: States
    noise_units: NoiseUnits

    @property
    def neurons(self) -> int:
        return len(self.biases)

    @cached_property
    def factors(self) -> tuple[Array, Array]:
        """The probabilities of being on and of being off next, [2^n, n] each."""
        return on_and_off(self.weights, self.biases, self.t0, self.sigma, self.states, self.noise_units)

    @cached_property
    def matrix(self) -> Array:
        """P[s, s'], the probability of s' after s."""
        return transition_matrix(*self.factors)

    @cached_property
    def law(self) -> Array:
        """The stationary law π [2^n], by state reduction. Raises: SpecError CS933 where there is none."""
        return state_reduction(self.matrix)

    def law_after(self, steps: int, start: Array | None = None) -> Array:
        """The law after a finite number of steps, from `start` [2^n], the uniform law by default."""
        law = np.full(len(self.matrix), 1.0 / len(self.matrix)) if start is None else np.asarray(start, float)
        for _ in range(steps):
            law = law @ self.matrix
        return law

    @cached_property
    def mean(self) -> Array:
        """How often each neuron is on, [n]."""
        return self.law @ state_values(self.neurons)

    def words_of(self, group: Sequence[int]) -> Array:
        """The word of the group's neurons in each state, [2^n].

        Raises: ValueError where a neuron is named twice, IndexError for one that is not there.
        """
        if len({*group}) < len(group):
            raise ValueError("a group names each of its neurons once")
        bits = state_values(self.neurons)[:, list(group)].astype(int)
        return bits @ (1 << np.arange(len(group)))

    def marginal(self, group: Sequence[int] | None = None, law: Array | None = None) -> Array:
        """The law of the words of a group, of all neurons by default, [2^m]."""
        group = range(self.neurons) if group is None else group
        law = self.law if law is None else law
        return np.bincount(self.words_of(group), weights=law, minlength=1 << len(group))

    def next_words(self, group: Sequence[int], lag: int = 1) -> Array:
        """The probability of each word of the group `lag` steps after each state, [2^n, 2^m].

        Raises: ValueError where a neuron is named twice.
        """
        if len({*group}) < len(group):
            raise ValueError("a group names each of its neurons once")
        on, off = (factor[:, list(group)] for factor in self.factors)
        made = products(on, off)
        for _ in range(lag - 1):
            made = self.matrix @ made
        return made

    def joint(
        self,
        sources: Sequence[int] | None = None,
        targets: Sequence[int] | None = None,
        lag: int = 1,
        law: Array | None = None,
    ) -> Array:
        """The joint law of the sources' word and the targets' word `lag` steps later, [2^sources, 2^targets].

        `law` is that of the earlier state, the stationary one by default. Raises: ValueError for a lag below 1.
        """
        if lag < 1:
            raise ValueError("the lag is one step or more")
        sources = range(self.neurons) if sources is None else sources
        targets = range(self.neurons) if targets is None else targets
        law = self.law if law is None else law
        table = np.zeros((1 << len(sources), 1 << len(targets)))
        np.add.at(table, self.words_of(sources), law[:, None] * self.next_words(targets, lag))
        return table

    def entropy(self, group: Sequence[int] | None = None, law: Array | None = None) -> float:
        """H of the present word of a group. Source: Metzner et al. 2026, arXiv 2605.14680."""
        return float(entropy(self.marginal(group, law)))

    def divergence(
        self,
        sources: Sequence[int] | None = None,
        targets: Sequence[int] | None = None,
        lag: int = 1,
        law: Array | None = None,
    ) -> float:
        """D = H(Y|X). Of the whole network over one step it is the mean over states of the neurons' own entropies."""
        if sources is None and targets is None and lag == 1:
            on, _ = self.factors
            return float((self.law if law is None else law) @ binary_entropy(on).sum(axis=1))
        return float(information.divergence(self.joint(sources, targets, lag, law)))

    def flux(
        self,
        sources: Sequence[int] | None = None,
        targets: Sequence[int] | None = None,
        lag: int = 1,
        law: Array | None = None,
    ) -> float:
        """I(X; Y) = sum of π P log2(P/π'), X the sources' word and Y the targets' `lag` steps later.

        Source: Metzner et al. 2026, arXiv 2605.14680 (as reported).
        """
        joint = self.joint(sources, targets, lag, law)
        before, after = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
        there = joint > 0
        ratio = joint / np.where(there, before, 1.0) / np.where(there, after, 1.0)
        return float((joint * np.log2(np.where(there, ratio, 1.0))).sum())

    def transfer_entropy(self, sources: Sequence[int], targets: Sequence[int]) -> float:
        """I(Y'; X | Y) over one step. Source: Schreiber 2000, equation 4; Metzner et al. 2026, arXiv 2605.14680."""
        both = self.words_of([*sources, *targets])
        table = np.zeros((1 << (len(sources) + len(targets)), 1 << len(targets)))
        np.add.at(table, both, self.law[:, None] * self.next_words(targets))
        shaped = table.reshape(1 << len(targets), 1 << len(sources), 1 << len(targets)).swapaxes(0, 1)
        return float(information.transfer_entropy(shaped))

    def correlation(self, lag: int = 1) -> Array:
        """Pearson's correlation of z_j(t) and z_i(t + lag), [target, source]; 0 where one of them never changes."""
        bits = state_values(self.neurons)
        later = bits
        for _ in range(lag):
            later = self.matrix @ later
        both = later.T @ (self.law[:, None] * bits)
        spread = np.sqrt(self.mean * (1 - self.mean))
        scale = np.outer(spread, spread)
        return np.where(scale > 0, (both - np.outer(self.mean, self.mean)) / np.where(scale > 0, scale, 1), 0.0)

    @cached_property
    def second_eigenvalue(self) -> complex:
        """The eigenvalue of P that is largest after 1: how slowly the network forgets."""
        values = np.linalg.eigvals(self.matrix)
        values = np.delete(values, int(np.argmin(np.abs(values - 1))))
        return complex(values[int(np.argmax(np.abs(values)))]) if len(values) else 0j

    @property
    def memory_time(self) -> float:
        """-1/log|λ2|, in steps."""
        size = abs(self.second_eigenvalue)
        return float("inf") if size >= 1 else 0.0 if size == 0 else float(-1 / np.log(size))
