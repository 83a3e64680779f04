"""The likelihood of tuning curves given a circuit, section 4. Everything computes with complex numbers, for derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.polynomial.chebyshev import chebder, chebpts1, chebval, chebvander
from scipy.special import gammaln

from cortexspec_mean_field.ensemble import Process, interpolation
from cortexspec_mean_field.theory import RiceTheory, require_word

Array = np.ndarray[Any, Any]
Branches = Literal["physical", "all"]
Law = Literal["rice", "poisson"]
_MODE_STEPS, _MODE = 100, 1e-10
_SOFT = 0.1  # of a curvature's rounded end at 0
_LEAST = 1e-3
# Fano factors as series in t = 1 / (1 + (z / 2)^2), smooth from the threshold, t = 1, to 7 s from it and on; error below 1e-4
_FAR, _DEGREE = 2.0, 12
_NEAREST = 1 / (1 + (7 / _FAR) ** 2)
_NODES = (1 + _NEAREST + (1 - _NEAREST) * chebpts1(_DEGREE + 1)) / 2
_VANDER = chebvander(chebpts1(_DEGREE + 1), _DEGREE)


def log_likelihood(
    theory: RiceTheory,
    rates: Any,
    angles: Any,
    population: int | str = 0,
    branches: Branches = "physical",
    precision: float = 1e-3,
) -> Any:
    """log p of noiseless tuning curves, summed over neurons. Arguments as of `log_densities`."""
    return np.sum(log_densities(theory, rates, angles, population, branches, precision))


def log_densities(
    theory: RiceTheory,
    rates: Any,
    angles: Any,
    population: int | str = 0,
    branches: Branches = "physical",
    precision: float = 0.0,
) -> Array:
    """log p of each neuron's noiseless tuning curve, [neuron].

    Shapes: rates [neuron, stimulus]; angles of the stimuli from each neuron's preference, [neuron, stimulus] or [stimulus].
    A rate above what the theory lets a neuron reach has no density: -inf. `branches`: neurons below threshold at every
    stimulus alone, or all 2^stimulus combinations. `precision`: the relative one of the rates, which bounds the density of one
    near nu_max: without it the likelihood of a parameter that moves nu_max is infinite where nu_max meets the largest rate, and
    with it still no regular one. Such parameters, as time constants, are better told from counts.
    """
    process = theory.ensemble.at(theory.index(population), angles)
    r = np.asarray(rates)
    if (r >= process.top.real).any() or (r <= 0).any():
        return np.full(r.shape[:-1], -np.inf)
    height = np.sqrt(-2 * np.log(r / process.top))
    sigma = np.sqrt(process.variance)
    jacobian = (np.log(sigma) - np.log(height**2 + 2 * precision) / 2 - np.log(r)).sum(axis=-1)
    signs = [(-1,) * r.shape[-1]] if branches == "physical" else product((-1, 1), repeat=r.shape[-1])
    terms = np.array([_normal(process, process.threshold + np.array(sign) * sigma * height) for sign in signs])
    return jacobian + _log_sum(terms)


def log_likelihood_of_counts(
    theory: RiceTheory,
    counts: Any,
    duration: float,
    angles: Any,
    population: int | str = 0,
    law: Law = "rice",
) -> Any:
    """log p of spike counts [neuron, stimulus] over `duration`, summed over neurons, by Laplace's method in the mean potential.

    `law` of a count given its mean: with the variance that upward crossings have (`RiceTheory.fano`), by the generalised Poisson
    distribution (Consul & Jain 1973, doi:10.1080/00401706.1973.10489112), or that of a Poisson process, whose variance is its mean.
    Near threshold, where neurons may be on either side of it, the curvature of the posterior goes through 0 and the method's width
    to infinity: counts are taken to widen no prior. `angles` as in `log_likelihood`.
    Raises: SpecError CS952 for kernels of which the moments alone are known, under the law "rice"; CS505 for another law.
    """
    seen = _counts(theory, np.asarray(counts, float), duration, angles, theory.index(population), law)
    z = _mode(seen.real)
    if np.iscomplexobj(seen.precision):  # the mode moves with what the imaginary part is a derivative by
        slope, told = seen.slopes(z)
        z = z + np.linalg.solve(seen.down(told), slope[..., None])[..., 0]
    process, s = seen.process, np.sqrt(seen.process.variance)
    _, told = seen.slopes(z)
    width = _log_det(seen.down((told + np.sqrt(told * told + _SOFT * _SOFT)) / 2))
    width = width - 2 * np.log(s).sum(axis=-1) - z.shape[-1] * np.log(2 * np.pi)
    return (_normal(process, process.threshold - s * z) + seen.at(z)[0].sum(axis=-1) - width / 2).sum()


def _counts(theory: RiceTheory, counts: Array, duration: float, angles: Any, population: int, law: Law) -> _Counts:
    require_word("law of counts", law, get_args(Law))
    process = theory.ensemble.at(population, angles)
    if law == "poisson":
        return _Counts(process, counts, duration, np.ones((1, *process.mean.shape)))
    narrow = theory.fano(np.sqrt(1 / _NODES - 1) * _FAR, duration)[population] ** -0.5
    series = np.linalg.solve(_VANDER, narrow.T)
    values = series @ interpolation(np.asarray(angles), narrow.shape[0])[..., None]
    return _Counts(process, counts, duration, np.moveaxis(values[..., 0], -1, 0))


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts of neurons, and the law of them given the mean potential.

    `values` [degree, ..., stimulus]: F^(-1/2) of the Fano factor F as a Chebyshev series in 1 / (1 + z^2 / `_FAR`^2), z the distance
    from the threshold in s.
    """

    process: Process
    counts: Array
    duration: float
    values: Array

    @cached_property
    def precision(self) -> Array:
        """Of z in the prior, [..., stimulus, stimulus]."""
        s = np.sqrt(self.process.variance)
        return np.linalg.inv(self.process.covariance) * s[..., None] * s[..., None, :]

    def at(self, z: Array) -> tuple[Array, Array, Array]:
        """log p of each count and its first and second derivative by z, [neuron, stimulus]."""
        n = self.counts
        w, w1, w2 = self._narrow(z)
        expected = self._expected(z)
        own = expected * w  # of the generalised Poisson distribution, whose other parameter is 1 - w
        own1 = expected * (w1 - z * w)
        own2 = expected * (w2 - 2 * z * w1 + (z * z - 1) * w)
        rest, rest1, rest2 = own + (1 - w) * n, own1 - w1 * n, own2 - w2 * n
        rest = np.where(rest.real > _LEAST * own.real, rest, _LEAST * own)  # a count above all that are possible
        density = np.log(own) + (n - 1) * np.log(rest) - own - (1 - w) * n - gammaln(n + 1)
        slope = own1 / own + (n - 1) * rest1 / rest - own1 + w1 * n
        bend = own2 / own - (own1 / own) ** 2 + (n - 1) * (rest2 / rest - (rest1 / rest) ** 2) - own2 + w2 * n
        return density, slope, bend

    def slopes(self, z: Array) -> tuple[Array, Array]:
        """First derivative of log p(n, z) by z, and what counts add to the precision of z, [neuron, stimulus]."""
        _, slope, bend = self.at(z)
        return slope + np.einsum("...ij,...j->...i", self.precision, self.mean - z), -bend

    @cached_property
    def mean(self) -> Array:
        """Of z in the prior."""
        return (self.process.threshold - self.process.mean) / np.sqrt(self.process.variance)

    def down(self, told: Array) -> Array:
        """The precision with that which counts add."""
        return self.precision + told[..., None] * np.eye(told.shape[-1])

    def expected_curvature(self, z: Array) -> Array:
        """Of log p by z, over counts as they would be: that of their mean alone, never below 0."""
        return self._expected(z) * (z * self._narrow(z)[0]) ** 2

    def _expected(self, z: Array) -> Array:
        return self.process.top * np.exp(-z * z / 2) * self.duration

    def _narrow(self, z: Array) -> tuple[Array, Array, Array]:
        """F^(-1/2) and its first and second derivative by z."""
        t = 1 / (1 + (z / _FAR) ** 2)
        place = (2 * t - 1 - _NEAREST) / (1 - _NEAREST)
        value, first, second = (chebval(place, one, tensor=False) for one in self._series)
        t1 = -2 * z * t * t / _FAR**2
        t2 = -2 * t * t / _FAR**2 + 8 * z * z * t**3 / _FAR**4
        return value, first * t1, second * t1 * t1 + first * t2

    @cached_property
    def _series(self) -> list[Array]:
        """Of F^(-1/2) and its first and second derivative by t."""
        scale = 2 / (1 - _NEAREST)
        return [self.values, *(chebder(self.values, order, scl=scale) for order in (1, 2))]

    @property
    def real(self) -> _Counts:
        one = self.process
        process = Process(np.real(one.threshold), one.mean.real, one.covariance.real, one.variance.real, one.rise.real)
        return _Counts(process, self.counts, self.duration, self.values.real)


def _mode(seen: _Counts) -> Array:
    """z by Newton's method, [neuron, stimulus], in steps of 0.5 at most; by scoring where the curvature is upward."""
    z = np.broadcast_to(seen.mean, seen.counts.shape)
    for _ in range(_MODE_STEPS):
        slope, told = seen.slopes(z)
        down = seen.down(np.maximum(told, seen.expected_curvature(z) / 2))
        step = np.clip(np.linalg.solve(down, slope[..., None])[..., 0], -0.5, 0.5)
        z = z + step
        if np.abs(step).max() < _MODE:
            break
    return z


def _normal(process: Process, x: Array) -> Array:
    apart = x - process.mean
    form = (apart * np.linalg.solve(process.covariance, apart[..., None])[..., 0]).sum(axis=-1)
    return -(form + _log_det(process.covariance) + x.shape[-1] * np.log(2 * np.pi)) / 2


def _log_det(matrix: Array) -> Array:
    sign, size = np.linalg.slogdet(matrix)
    return size + np.log(sign)


def _log_sum(terms: Array) -> Array:
    top = terms.real.max(axis=0)
    return top + np.log(np.exp(terms - top).sum(axis=0))
