"""The self-consistency equations of section 3: a residual that vanishes at the theory's solution.

Unknowns [3, population, angle]: the quenched mean m of the potential, log nu and log q. Every function here takes leading
axes and complex numbers, so that a derivative is an imaginary part (complex step).
Source: Soltanipour, Treue & Wolf 2025, arXiv 2511.03502, after van Vreeswijk & Sompolinsky 1998 and Tchumatchenko et al. 2010.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cortexspec_mean_field.network import BalancedNetwork

Array = np.ndarray[Any, Any]
_SILENT = 1e-11  # a harmonic below this share of the mean is rounding
_FADED = 1e-7


@dataclass(frozen=True, eq=False)
class Moments:
    """What a potential has at each angle, [..., population, angle]; of order 2 with `slope` and third cumulants."""

    variance: Array  # temporal, s^2
    rise: Array  # of the derivative, D^2
    quenched: Array  # alpha^2


@dataclass(frozen=True, eq=False)
class Corrections:
    """Third cumulants, all of order 1/sqrt(K), [..., population, angle]."""

    mean_variance: Array  # covariance of a neuron's mean and temporal variance
    mean_rise: Array  # of its mean and the variance of its derivative
    quenched: Array  # third cumulant of its mean
    temporal: Array  # third cumulant of its potential in time
    steep: Array  # joint cumulant of potential, derivative, derivative


class Equations:
    """One network at one order. `epsilon` is 1/sqrt(K), and 0 in the limit of many inputs."""

    def __init__(
        self,
        network: BalancedNetwork,
        order: int,
        epsilon: Any,
        places: Array | None = None,
        beyond: tuple[Array, Array] | None = None,
    ):
        """`places`: angles that stand for all others, by evenness; None for every angle. `beyond` [population, angle]: variances of
        the potential and of its derivative over those of Poisson trains, 1 if not given."""
        self.network, self.order, self.epsilon, self.places = network, order, epsilon, places
        ones = (np.ones(network.drive.shape),) * 2 if beyond is None else beyond
        self.beyond = ones if places is None else tuple(one[:, places] for one in ones)
        self.threshold = network.threshold[:, None]
        self.drive = network.drive if places is None else network.drive[:, places]
        self._cubics: dict[tuple[str, int], Array] = {}

    @cached_property
    def mean(self) -> Array:
        return self._convolutions(self.network.effective()[..., None] * self.network.profiles)

    @cached_property
    def temporal(self) -> Array:
        return self._spread("k2", 2)

    @cached_property
    def rising(self) -> Array:
        return self._spread("d2", 2)

    def _spread(self, moment: str, power: int) -> Array:
        net = self.network
        return self._convolutions((net.weights**power * net.in_degree * net.moments(moment))[..., None] * net.profiles)

    @cached_property
    def quenched(self) -> Array:
        """From q, of what a random wiring adds: a connection's own variance is p f (1 - p f)."""
        net = self.network
        chance = net.probability[..., None] * net.profiles
        gain = net.weights * net.moments("area")
        return self._convolutions((gain**2 * net.in_degree)[..., None] * net.profiles * (1 - chance))

    @cached_property
    def constrained(self) -> Array:
        """Which harmonics of the input balance fixes, [population, angle, angle] as a projection."""
        size = self.network.drive.shape[-1]
        kept = self._tuned
        waves = np.exp(2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
        return self._folded(np.einsum("kn,an,jn->akj", waves, kept, waves.conj()).real / size)

    @cached_property
    def _tuned(self) -> Array:
        """Which harmonics of its input each population's connections have, [population, harmonic]."""
        net = self.network
        strength = np.abs(np.fft.fft(net.profiles.real, axis=-1)) * np.abs(net.effective())[..., None]
        share = strength.max(axis=1) / strength.max()
        kept = share > _SILENT
        # a profile whose harmonics fade into rounding has them all, and in the limit the faintest is enough
        return np.ones_like(kept) if self.limit and share[kept].min() < _FADED else kept

    @property
    def fixed(self) -> bool:
        """Whether balance fixes rates at every angle."""
        return bool(self._tuned.all())

    def balance(self, rates: Array, m: Array) -> Array:
        """e + J f * nu - m / sqrt(K) in what balance fixes; elsewhere m has what the drive gives it."""
        drive = self.drive
        beyond = m / self.threshold - self._free()
        if self.limit:
            within = (rates - self.balanced) / self.balanced.mean(axis=-1, keepdims=True)
        else:
            scale = np.abs(drive.real).max(axis=-1, keepdims=True)
            within = (drive + _apply(self.mean, rates) - self.epsilon * m) / scale
        return beyond + _each(self.constrained, within - beyond)

    @property
    def limit(self) -> bool:
        return bool(np.real(self.epsilon) == 0)

    @cached_property
    def balanced(self) -> Array:
        """The rates that balance fixes in the limit, [population, angle], without what it does not fix."""
        drive = self.network.drive
        count, size = drive.shape
        spectrum = np.abs(np.fft.rfft(drive.real, axis=-1)).max(axis=0)
        driven = np.flatnonzero(spectrum > _SILENT * spectrum.max())
        waves = np.outer(2 * np.pi * np.arange(size) / size, driven)
        sines = np.sin(waves)[:, (driven > 0) & (2 * driven < size)]
        basis = np.concatenate([np.cos(waves), sines], axis=1)
        basis = np.kron(np.eye(count), basis / np.linalg.norm(basis, axis=0))
        mean = _matrix(circulants(self.network.effective()[..., None] * self.network.profiles))
        within = basis.T @ mean @ basis
        found = (basis @ -np.linalg.solve(within, basis.T @ drive.ravel())).reshape(drive.shape)
        return found if self.places is None else found[:, self.places]

    def _free(self) -> Array:
        """What an unbalanced part of the drive makes of the mean, in thresholds."""
        return 0 if self.limit else self.drive / self.epsilon / self.threshold

    def moments(self, rates: Array, squares: Array) -> Moments:
        spread = self.network.spread[:, None] ** 2
        return Moments(
            _apply(self.temporal, rates) * self.beyond[0],
            _apply(self.rising, rates) * self.beyond[1],
            self.quenching(rates, squares) + spread,
        )

    def quenching(self, rates: Array, squares: Array) -> Array:
        """The variance of the mean input that the wiring leaves, without that of the thresholds."""
        found = _apply(self.quenched, squares)
        if self.network.degree == "fixed":
            net = self.network
            strength = (net.weights * net.moments("area")) ** 2 * net.in_degree
            found = found - _over_sources(strength, self.average(rates) ** 2)
        return found

    def average(self, values: Array) -> Array:
        """Over the presynaptic neurons of a connection, [..., target, source, angle]."""
        return _each(self._circulants, values[..., None, :, :])

    @cached_property
    def _circulants(self) -> Array:
        return self._folded(circulants(self.network.profiles))

    def _folded(self, matrices: Array) -> Array:
        """On the places alone: what they stand for has their values."""
        if self.places is None:
            return matrices
        size, last = matrices.shape[-1], len(self.places) - 1
        found = matrices[..., : last + 1, : last + 1].copy()
        found[..., 1 : size - last] += matrices[..., : last + 1, :last:-1]
        return found

    def _convolutions(self, profiles: Array) -> Array:
        """[target, source, angle] to one matrix over (population, place)."""
        return _matrix(self._folded(circulants(profiles)))

    def corrections(self, m: Array, moments: Moments, rates: Array, squares: Array) -> Corrections:
        """Section 3, finite K. Third moments of rates are those of leading order, which is enough here."""
        cubes = gauss_rate(self.threshold - m, moments, 3)
        first = self.average(rates) if self.network.degree == "fixed" else None
        return Corrections(
            mean_variance=self._third("k2", 1, squares, first),
            mean_rise=self._third("d2", 1, squares, first),
            quenched=self._third("area", 2, cubes, first, squares),
            temporal=_apply(self._cubic("k3", 0), rates),
            steep=_apply(self._cubic("kd2", 0), rates),
        )

    def _third(self, name: str, power: int, values: Array, first: Array | None, squares: Array | None = None) -> Array:
        """A third cumulant of sums over connections: with a fixed number of these, of each about its mean `first`."""
        found = _apply(self._cubic(name, power), values)
        if first is None:
            return found
        net = self.network
        strength = net.weights**3 * net.in_degree * self.epsilon * net.moments(name) * net.moments("area") ** power
        apart = -(first**2) if squares is None else 2 * first**3 - 3 * first * self.average(squares)
        return found + _over_sources(strength, apart)

    def _cubic(self, name: str, power: int) -> Array:
        """J^3 / sqrt(K) times a moment of the kernel and a power of its area, thinned as many times: a convolution."""
        if (name, power) not in self._cubics:
            net = self.network
            chance = net.probability[..., None] * net.profiles
            thinned = net.profiles * np.prod([1 - k * chance for k in range(1, power + 1)], axis=0)
            strength = net.weights**3 * net.in_degree * self.epsilon * net.moments(name) * net.moments("area") ** power
            self._cubics[name, power] = self._convolutions(strength[..., None] * thinned)
        return self._cubics[name, power]

    def residual(self, unknowns: Array) -> Array:
        """[..., 3, population, angle], nothing of it far from 1 in scale."""
        m, log_rates, log_squares = unknowns[..., 0, :, :], unknowns[..., 1, :, :], unknowns[..., 2, :, :]
        rates, squares = np.exp(log_rates), np.exp(log_squares)
        predicted = self.predicted(m, rates, squares)
        return np.stack(
            [self.balance(rates, m), log_rates - np.log(predicted[0]), log_squares - np.log(predicted[1])], axis=-3
        )

    def predicted(self, m: Array, rates: Array, squares: Array) -> tuple[Array, Array]:
        """nu and q of neurons whose presynaptic ones have these rates and squares."""
        moments, distance = self.moments(rates, squares), self.threshold - m
        first, second = gauss_rate(distance, moments, 1), gauss_rate(distance, moments, 2)
        if self.order == 1:
            return first, second
        return corrected(first, second, distance, moments, self.corrections(m, moments, rates, squares))

    def jacobian(self, unknowns: Array) -> Array:
        """By complex steps, [unknown, unknown]."""
        flat = unknowns.size
        steps = unknowns + 1e-30j * np.eye(flat).reshape(flat, *unknowns.shape)
        return self.residual(steps).reshape(flat, flat).imag.T / 1e-30


def gauss_rate(distance: Array, moments: Moments, power: int) -> Array:
    """E[nu^power] of Gauss-Rice neurons whose mean is spread by alpha: nu(x) = nu_max exp(-(psi - x)^2 / (2 s^2))."""
    s2, total = moments.variance, moments.variance + power * moments.quenched
    top = np.sqrt(moments.rise / s2) / (2 * np.pi)
    return math.prod([top] * power) * np.sqrt(s2 / total) * np.exp(-power / 2 * distance * distance / total)


def corrected(
    first: Array, second: Array, distance: Array, moments: Moments, third: Corrections
) -> tuple[Array, Array]:
    """nu and q with their terms of order 1/sqrt(K).

    A rate of one neuron is sqrt(D2 / 2 pi) times the normal density of its mean at the threshold, to which the variance s^2 is
    what time is to heat: so covariances and skewness are all third derivatives by m, of the total density for nu and of the
    density of variance s^2/2 + alpha^2 for q.
    """
    s2, rise = moments.variance, moments.rise
    wide = s2 + moments.quenched
    slope, bend = _by_mean(distance, wide)
    skew = (third.quenched + third.temporal + 3 * third.mean_variance) / 6
    nu = first * (1 + (third.mean_rise + third.steep) / (2 * rise) * slope + skew * bend)
    slope, bend = _by_mean(distance, s2 / 2 + moments.quenched)
    linear = (third.mean_rise + third.steep / 2) / rise - third.mean_variance / (2 * s2) - third.temporal / (4 * s2)
    cubic = third.quenched / 6 + third.temporal / 24 + third.mean_variance / 4
    return nu, second * (1 + linear * slope + cubic * bend)


def _by_mean(distance: Array, variance: Array) -> tuple[Array, Array]:
    """First and third derivative of a normal density by its mean, over the density."""
    slope = distance / variance
    return slope, slope * (slope * slope - 3 / variance)


def circulants(profiles: Array) -> Array:
    """[..., angle] to [..., angle, angle], so that a product is the convolution (1/2 pi) int f(phi - psi) g(psi) dpsi."""
    size = profiles.shape[-1]
    places = (np.arange(size)[:, None] - np.arange(size)) % size
    return profiles[..., places] / size


def _matrix(blocks: Array) -> Array:
    count, _, size, _ = blocks.shape
    return blocks.transpose(0, 2, 1, 3).reshape(count * size, count * size)


def _over_sources(strength: Array, values: Array) -> Array:
    return (strength[..., None] * values).sum(axis=-2)


def _each(matrices: Array, values: Array) -> Array:
    """A matrix [angle, angle] of its own for each population."""
    return (values[..., None, :] @ matrices.swapaxes(-1, -2))[..., 0, :]


def _apply(matrix: Array, values: Array) -> Array:
    shape = values.shape
    return (values.reshape(*shape[:-2], -1) @ matrix.T).reshape(shape)
