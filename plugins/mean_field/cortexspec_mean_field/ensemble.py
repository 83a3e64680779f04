"""Tuning curves of single neurons, section 4: a Gaussian process of the mean potential over stimuli, self-consistent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from cortexspec_mean_field.equations import Equations
from cortexspec_mean_field.existence import TOO_ALIKE, no_solution

Array = np.ndarray[Any, Any]
_SWEEPS, _CONVERGED, _JITTER, _MATCHED = 500, 1e-13, 1e-10, 1e-6


class Ensemble:
    """Neurons of one preference seen at all stimuli, or, which is the same, at all angles from their preference."""

    def __init__(self, equations: Equations, unknowns: Array, near: Array | None = None):
        """`near`: a covariance to start from."""
        self.equations, network = equations, equations.network
        self.rates = np.exp(unknowns[1])
        self.distance = network.threshold[:, None] - unknowns[0]
        moments = equations.moments(self.rates, np.exp(unknowns[2]))
        self.variance, self.rise = moments.variance, moments.rise
        self.top = np.sqrt(moments.rise / moments.variance) / (2 * np.pi)
        self.mean, self.squares, self.near = unknowns[0], np.exp(unknowns[2]), near
        self.sweeps = 0

    @cached_property
    def covariance(self) -> Array:
        """C of the mean potential between angles, [population, angle, angle], threshold spread included."""
        found = np.zeros((*self.mean.shape, self.mean.shape[-1])) if self.near is None else self.near
        found = found.astype(self.mean.dtype)
        for sweep in range(_SWEEPS):
            before, found = found, self._through(self.products(found))
            self.sweeps = sweep + 1
            # a derivative is in the imaginary part, far smaller than the value, and converges at the same rate
            if _settled(found.real, before.real) and _settled(found.imag, before.imag):
                break
        return found

    @cached_property
    def pairs(self) -> Array:
        """Q = E[nu(phi) nu(phi')], [population, angle, angle]."""
        return self.products(self.covariance)

    def products(self, covariance: Array) -> Array:
        """Q of a given C: Gaussian integrals of two Gaussian bumps, scaled to the q of the theory on its diagonal.

        At order 1 and in the limit the scale is 1 in the end. At order 2 q has corrections, and Q between angles is taken to
        have their geometric mean.
        """
        v, d = self.variance, self.distance
        a = v[:, :, None] + np.einsum("aii->ai", covariance)[:, :, None]
        b = v[:, None, :] + np.einsum("aii->ai", covariance)[:, None, :]
        det = a * b - covariance**2
        first, second = d[:, :, None], d[:, None, :]
        form = (b * first**2 - 2 * covariance * first * second + a * second**2) / det
        top = self.top * np.sqrt(v)
        found = top[:, :, None] * top[:, None, :] / np.sqrt(det) * np.exp(-form / 2)
        every = np.arange(v.shape[-1])
        # on the diagonal both are one neuron at one angle: nu^2 of the same mean
        same = self.top**2 * np.sqrt(v / (a[:, every, 0] * 2 - v)) * np.exp(-(d**2) / (2 * a[:, every, 0] - v))
        scale = np.sqrt(self.squares / same)
        found = found * scale[:, :, None] * scale[:, None, :]
        found[:, every, every] = self.squares
        return found

    def _through(self, products: Array) -> Array:
        """C of a given Q: what random connections make of it, for each difference of angles as of the variance."""
        network, (count, size) = self.equations.network, self.mean.shape
        first = np.arange(size)[:, None]
        along = (first + np.arange(size)) % size  # the other angle, by the first one and the difference
        mixed = (self.equations.quenched @ products[:, first, along].reshape(count * size, size)).reshape(
            products.shape
        )
        found = np.empty_like(mixed)
        found[:, first, along] = mixed
        if network.degree == "fixed":
            averages = self.equations.average(self.rates)
            gain = (network.weights * network.moments("area")) ** 2 * network.in_degree
            found = found - np.einsum("ab,abi,abj->aij", gain, averages, averages)
        return found + network.spread[:, None, None] ** 2

    @cached_property
    def spread(self) -> tuple[Array, Array]:
        """Distance of the mean from the threshold and its variance between neurons of which nu and q are those of the theory.

        [population, angle] each. At order 1 and in the limit they are d and alpha^2. At order 2 nu and q have corrections, so that
        neurons with d and alpha^2 and without these would fire more: a tenth at K = 200.
        Raises: SpecError CS954 where no variance has both, as with connections so even that neurons would differ by less than nothing.
        """
        near = np.einsum("aii->ai", self.covariance)
        self._stop(~(near.real > 0), "neurons of one preference differ by a variance below 0")
        distance, quenched = matched(self.rates, self.squares, self.variance, self.top, near)
        real, v, d = quenched.real, self.variance.real, distance.real
        squares = self.top.real**2 * np.sqrt(v / (v + 2 * real)) * np.exp(-(d**2) / (v + 2 * real))
        self._stop(
            ~(np.abs(squares / self.squares.real - 1) < _MATCHED), "no spread of mean potentials has these rates"
        )
        return distance, quenched

    def _stop(self, where: Array, what: str) -> None:
        if where.any():
            names = [f"`{name}`" for name, one in zip(self.equations.network.names, where, strict=True) if one.any()]
            raise no_solution(f"{what} in {' and '.join(names)}", help=TOO_ALIKE)

    def at(self, population: int, angles: Any) -> Process:
        """The process at any angles [..., angle], between those of the grid as the trigonometric polynomial through them."""
        weights = interpolation(np.asarray(angles), self.mean.shape[-1])
        distance, quenched = (one[population] for one in self.spread)
        whole = self.covariance[population]
        wider = np.sqrt(quenched / np.einsum("ii->i", whole))
        covariance = weights @ (whole * wider * wider[:, None]) @ weights.swapaxes(-1, -2)
        jitter = _JITTER * np.abs(np.einsum("...ii->...i", covariance).real).max()
        return Process(
            threshold=self.equations.network.threshold[population],
            mean=self.equations.network.threshold[population] - weights @ distance,
            covariance=covariance + jitter * np.eye(weights.shape[-2]),
            variance=weights @ self.variance[population],
            rise=weights @ self.rise[population],
        )

    def sample(self, population: int, count: int, rng: np.random.Generator, angles: Any = None) -> Array:
        """Tuning curves drawn from the theory, [neuron, angle], at these angles from a neuron's preference (None: the grid).

        Raises: SpecError CS954 where the theory has a covariance that no neurons have.
        """
        process = self.at(population, self.equations.network.angles if angles is None else angles)
        try:
            root = np.linalg.cholesky(process.covariance.real)
        except np.linalg.LinAlgError:
            name = self.equations.network.names[population]
            raise no_solution(f"no tuning curves of `{name}` have this covariance", help=TOO_ALIKE) from None
        drawn = rng.standard_normal((count, process.mean.shape[-1]))
        return process.rate(process.mean.real + np.einsum("...ij,...j->...i", root, drawn))

    def selectivity(
        self, population: int, quantiles: Any, *, count: int = 20_000, stimuli: int = 12, seed: int = 0
    ) -> Array:
        """Quantiles of |sum r exp(i phi)| / sum r over neurons, from samples at so many even stimuli."""
        angles = 2 * np.pi * np.arange(stimuli) / stimuli
        rates = self.sample(population, count, np.random.default_rng(seed), angles)
        return np.quantile(selectivity(rates, angles), quantiles)


@dataclass(frozen=True, eq=False)
class Process:
    """The mean potential of a neuron over stimuli, a Gaussian vector, and the rate that it gives, [..., stimulus]."""

    threshold: Any
    mean: Array
    covariance: Array  # [..., stimulus, stimulus]
    variance: Array  # of the potential in time, s^2
    rise: Array  # of its derivative

    @property
    def top(self) -> Array:
        return np.sqrt(self.rise / self.variance) / (2 * np.pi)

    def rate(self, potential: Array) -> Array:
        """nu of neurons with this mean potential."""
        gap = self.threshold - potential
        return self.top * np.exp(-gap * gap / (2 * self.variance))


def matched(rates: Array, squares: Array, variance: Array, top: Array, near: Array) -> tuple[Array, Array]:
    """Distance from the threshold and variance of a Gaussian mean potential of which these are E[nu] and E[nu^2].

    `near`: a variance to start from. d^2 = -2 (s^2 + alpha^2) ln(nu sqrt(s^2 + alpha^2) / (nu_max s)), as for given nu, makes E[nu^2]
    an equation for alpha^2 alone: Newton's method in its logarithm, with two steps more for a derivative in the imaginary part.
    """
    log_quenched, more = np.log(near), 2
    for _ in range(_SWEEPS):
        a = np.exp(log_quenched)
        wide, twice = variance + a, variance + 2 * a
        height = -2 * np.log(rates / top * np.sqrt(wide / variance))
        apart = np.log(squares / top**2) + np.log(twice / variance) / 2 + wide * height / twice
        slope = a * (1 / twice + (height - 1) / twice - 2 * wide * height / twice**2)
        step = apart / slope
        log_quenched = log_quenched - step / np.maximum(1, np.abs(step.real))
        more -= bool(np.abs(step.real).max() < 1e-12)
        if more <= 0:
            break
    a = np.exp(log_quenched)
    wide = variance + a
    return np.sqrt(-2 * wide * np.log(rates / top * np.sqrt(wide / variance))), a


def interpolation(angles: Array, size: int) -> Array:
    """[..., angle] to weights [..., angle, size] of the values on an even grid, of an even number of angles."""
    angles = np.ascontiguousarray(angles, float)
    return _interpolation(angles.tobytes(), angles.shape, size)


@lru_cache(maxsize=8)
def _interpolation(angles: bytes, shape: tuple[int, ...], size: int) -> Array:
    """Kept, since a fit asks for the same angles each time."""
    places = np.frombuffer(angles).reshape(shape)
    half = (places[..., None] - 2 * np.pi * np.arange(size) / size) / 2
    sine = np.sin(half)
    near = np.abs(sine) < 1e-12
    found = np.where(near, 1.0, np.sin(size * half) * np.cos(half) / (size * np.where(near, 1.0, sine)))
    found.flags.writeable = False
    return found


def selectivity(rates: Array, angles: Array) -> Array:
    """|sum r exp(i phi)| / sum r of tuning curves [..., angle]: 1 minus the circular variance."""
    return np.abs(rates @ np.exp(1j * angles)) / rates.sum(axis=-1)


def _settled(new: Array, old: Array) -> bool:
    return bool(np.abs(new - old).max() <= _CONVERGED * np.abs(new).max())
