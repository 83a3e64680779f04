"""What the theory says of one network: rates, tuning, distribution, existence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtr

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_mean_field.ensemble import Ensemble, interpolation
from cortexspec_mean_field.equations import Equations, Moments
from cortexspec_mean_field.existence import no_solution
from cortexspec_mean_field.network import BalancedNetwork
from cortexspec_mean_field.solver import Factors, again, bound, derivative, factors, solve
from cortexspec_mean_field.trains import Closure, Trains

Array = np.ndarray[Any, Any]
STEP = 1e-30
Closing = Literal["poisson", "rice"]
_HALVINGS = 60
_ROUNDS, _CONVERGED = 60, 1e-9  # of the trains, by a factor of about 0.4 each
_TRAINS = ("covariance", "variance", "rise")


@dataclass(frozen=True, eq=False)
class RiceTheory:
    """A solution. Profiles are [population, angle from the stimulus]; units are those of the network.

    `order`: 1 is the closure at this K, 2 has the terms of order 1/sqrt(K) besides, inf is the limit of many inputs.
    """

    network: BalancedNetwork
    order: float
    unknowns: Array
    near: RiceTheory | None = None  # one whose tuning curves are almost these
    trains: Trains | None = None  # where the closure is not that of Poisson trains

    @cached_property
    def equations(self) -> Equations:
        return equations(self.network, self.order, self.trains)

    @cached_property
    def factors(self) -> Factors:
        """Of the derivative of the equations by the unknowns."""
        return factors(self.equations, self.unknowns)

    @cached_property
    def m(self) -> Array:
        return self.unknowns[0]

    @cached_property
    def rates(self) -> Array:
        """Population mean nu."""
        return np.exp(self.unknowns[1])

    @cached_property
    def squares(self) -> Array:
        """Population mean of the squared rate, q."""
        return np.exp(self.unknowns[2])

    @cached_property
    def moments(self) -> Moments:
        return self.equations.moments(self.rates, self.squares)

    @property
    def distance(self) -> Array:
        """From the threshold, d = psi - m."""
        return self.network.threshold[:, None] - self.m

    @property
    def top(self) -> Array:
        """nu_max, the rate of a neuron whose mean is at the threshold."""
        return np.sqrt(self.moments.rise / self.moments.variance) / (2 * np.pi)

    @property
    def mean(self) -> Array:
        """Rate averaged over a population, [population]."""
        return self.rates.mean(axis=-1)

    def harmonic(self, number: int) -> Array:
        """The mean of nu cos(number phi), phi from the stimulus, [population]: harmonic 0 is the mean rate."""
        apart = self.network.angles - self.network.stimulus
        return (self.rates * np.cos(number * apart)).mean(axis=-1)

    @property
    def bound(self) -> float:
        """The largest rate over what neurons of this spread can reach; below 1 the state exists."""
        return bound(self.equations, self.unknowns.real)

    @cached_property
    def ensemble(self) -> Ensemble:
        """Tuning curves of single neurons."""
        near = None if self.near is None else self.near.ensemble.covariance.real
        return Ensemble(self.equations, self.unknowns, near)

    def density(self, rate: Any, population: int | str = 0, angle: int = 0) -> Array:
        """Probability density of the rates of neurons at one angle, both branches included, in 1/rate."""
        a = self.index(population)
        distance, quenched = (one[a, angle] for one in self.ensemble.spread)
        s, alpha = np.sqrt(self.moments.variance[a, angle]), np.sqrt(quenched)
        y, gamma, delta = rate / self.top[a, angle], s / alpha, distance / alpha
        height = np.sqrt(-2 * np.log(y))
        # cosh in two halves, each with the Gaussian: neither overflows far from the mean
        both = sum(np.exp(-((delta - sign * gamma * height) ** 2) / 2) for sign in (-1, 1)) / 2
        return gamma / (self.top[a, angle] * np.sqrt(np.pi) * height / np.sqrt(2)) / y * both

    def quantile(self, share: float, population: int | str = 0) -> float:
        """The rate below which this share of a population's neurons is, all angles together and both branches included."""
        a, low, high = self.index(population), 0.0, float(self.top[self.index(population)].max())
        distance, quenched = (one[a] for one in self.ensemble.spread)
        s, alpha = np.sqrt(self.moments.variance[a]), np.sqrt(quenched)
        for _ in range(_HALVINGS):
            rate = (low + high) / 2
            reach = s * np.sqrt(2 * np.maximum(np.log(self.top[a] / rate), 0))  # from the threshold, for this rate
            below = ndtr((distance - reach) / alpha) + ndtr((-distance - reach) / alpha)
            low, high = (rate, high) if float(np.where(rate < self.top[a], below, 1.0).mean()) < share else (low, rate)
        return (low + high) / 2

    def pair(self, apart: float, population: int | str = 0) -> float:
        """E[nu(phi) nu(phi + apart)] of single neurons, averaged over phi."""
        products, size = self.ensemble.pairs[self.index(population)], self.network.angles.size
        every = np.arange(size)
        along = products[every[:, None], (every[:, None] + every) % size].mean(axis=0)
        return float(interpolation(np.array([apart]), size)[0] @ along)

    def fano(self, deviations: Any, duration: float) -> Array:
        """Fano factor of spike counts over `duration`, [population, angle, deviation].

        Of neurons whose mean potential is so many standard deviations of its own movement below the threshold (or above, which is
        the same): less than 1 near the threshold, where crossings follow each other evenly, and more further away, where they come
        together. Raises: SpecError CS952 for kernels of which the moments alone are known.
        """
        own = Closure(self.network)
        lagged = own.potential(self.equations, self.unknowns, self.trains)
        return own.fano(lagged, np.atleast_1d(np.asarray(deviations, float)), duration)

    def index(self, population: int | str) -> int:
        return population if isinstance(population, int) else self.network.names.index(population)


def equations(network: BalancedNetwork, order: float, trains: Trains | None = None) -> Equations:
    limit = order == np.inf
    beyond = None if trains is None else (trains.variance, trains.rise)
    return Equations(network, 1 if limit else int(order), 0.0 if limit else network.K**-0.5, beyond=beyond)


def rice_theory(
    network: BalancedNetwork,
    order: float = 2,
    *,
    closure: Closing = "poisson",
    start: RiceTheory | None = None,
) -> RiceTheory:
    """The theory of a network at order 1, 2 or infinity. `start`: the theory of a network near this one, tried first.

    `closure`: the variance of a potential in time is that of Poisson trains, or that of the trains which such neurons fire, with what
    neurons share where connections have a finite probability.
    Raises: SpecError CS953 where balance cannot be, naming the condition; CS954 where no state below threshold is found; CS505 for
    another closure.
    """
    require_word("closure of `rice_theory`", closure, get_args(Closing))
    at = equations(network, order)
    found = None if start is None else again(network, at.order, at.epsilon, start.unknowns)
    poisson = RiceTheory(network, order, solve(network, at.order, at.epsilon) if found is None else found)
    if closure == "poisson":
        return poisson
    own = Closure(network)
    trains = own.poisson() if start is None or start.trains is None else start.trains
    unknowns = poisson.unknowns if start is None or start.trains is None else start.unknowns
    for _ in range(_ROUNDS):
        before, trains = trains, own.after(equations(network, order, trains), unknowns, trains)
        unknowns = again(network, at.order, at.epsilon, unknowns, (trains.variance, trains.rise))
        if unknowns is None:
            raise no_solution("none was found with the correlations of the trains")
        if _change(before, trains) < _CONVERGED:
            return RiceTheory(network, order, unknowns, trains=trains)
    raise no_solution("the correlations of the trains do not settle")


def require_word(what: str, given: Any, words: Sequence[str]) -> None:
    """Raises: SpecError CS505 where `given` is none of the words."""
    if given not in words:
        raise SpecError([Diagnostic("CS505", f"the {what} is {' or '.join(words)}, not {given}")])


def _change(before: Trains, after: Trains) -> float:
    return max(float(np.abs(after.variance - before.variance).max()), float(np.abs(after.rise - before.rise).max()))


def moved(theory: RiceTheory, network: BalancedNetwork) -> RiceTheory:
    """The theory of a network with an imaginary part, tiny: what is computed of it has the derivative as its own."""

    def solution(trains: Trains | None) -> Array:
        change = derivative(theory.factors, theory.unknowns, equations(network, theory.order, trains), STEP)
        return theory.unknowns + 1j * STEP * change

    trains = theory.trains
    if trains is None:
        return RiceTheory(network, theory.order, solution(None), theory)
    own = Closure(network)
    for _ in range(_ROUNDS):
        before, trains = trains, own.after(equations(network, theory.order, trains), solution(trains), trains)
        # values stand: only what moves them is sought
        trains = replace(
            trains, **{one: getattr(theory.trains, one) + 1j * getattr(trains, one).imag for one in _TRAINS}
        )
        if _change(before, trains) < _CONVERGED * STEP:
            break
    return RiceTheory(network, theory.order, solution(trains), theory, trains)


def gradient(
    build: Callable[[Mapping[str, Any]], BalancedNetwork],
    parameters: Mapping[str, float],
    quantity: Callable[[RiceTheory], Any],
    *,
    order: float = 2,
    wrt: Sequence[str] = (),
) -> tuple[Any, dict[str, Any]]:
    """A quantity of the theory of `build(parameters)` and its derivatives by parameters, by implicit differentiation.

    `build` and `quantity` compute with complex numbers: no abs, max or comparison of what the parameters enter.
    """
    theory = rice_theory(build(parameters), order)
    found = {}
    for name in wrt or tuple(parameters):
        shifted = moved(theory, build({**parameters, name: parameters[name] + 1j * STEP}))
        found[name] = np.imag(quantity(shifted)) / STEP
    return quantity(theory), found
