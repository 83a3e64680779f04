"""What spike trains add to the variance of a potential beyond that of Poisson trains, section 3, and what all neurons share.

Where connections have a finite probability p, the potential has two parts. In what neurons differ, 1 - p f of their inputs, trains
have the autocovariance of the upward crossings of a Gaussian process (Rice). The rest, p f, is one input to all of them, to which
populations answer so that balance suppresses it (linear response).
Source: Rice 1945, doi:10.1002/j.1538-7305.1945.tb00453.x; Soltanipour, Treue & Wolf 2025, arXiv 2511.03502; of the shared part
Lindner, Doiron & Longtin 2005, doi:10.1103/PhysRevE.72.061919.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.special import ndtr

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_mean_field.equations import Array, Equations, Moments, circulants, gauss_rate
from cortexspec_mean_field.kernels import Kernel
from cortexspec_mean_field.network import BalancedNetwork

_LAGS, _FREQUENCIES, _NODES = 100, 240, 40
_FAINT = 1e-7  # a harmonic of the connections below this share of the strongest answers nothing
_NODE, _WEIGHT = np.polynomial.legendre.leggauss(_NODES)


@dataclass(frozen=True, eq=False)
class Trains:
    """`covariance` [population, angle, lag]: autocovariance of spike trains without its peak at 0, averaged over neurons of one angle.

    `variance`, `rise` [population, angle]: of the potential and of its derivative, over those that Poisson trains give.
    """

    covariance: Array
    variance: Array
    rise: Array


class Closure:
    """Trains of one network that are those which they make others fire. Complex numbers are for derivatives."""

    def __init__(self, network: BalancedNetwork):
        """Raises: SpecError CS952 for kernels of which the moments alone are known."""
        self.network = network
        connected = zip(
            (network.weights != 0).ravel(), (kernel for row in network.kernels for kernel in row), strict=True
        )
        if not all(kernel.parts for used, kernel in connected if used):
            message = (
                "the mean-field theory with the trains' own correlations needs whole kernels, not moments of them alone"
            )
            raise SpecError([Diagnostic("CS952", message, help="make them with `linear_kernel` or `exponential`")])
        rates = np.concatenate(
            [
                -np.linalg.eigvals(part.dynamics.real).real
                for row in network.kernels
                for one in row
                for part in one.parts
            ]
        )
        # rounded, so that what is differentiated stands on one grid
        slow, fast = 2.0 ** np.ceil(-np.log2(rates.min())), 2.0 ** np.floor(-np.log2(rates.max()))
        self.lags = np.sinh(np.linspace(0, np.arcsinh(150 * slow / fast), _LAGS + 1))[1:] * fast / 10
        self.frequencies = np.sinh(np.linspace(0, np.arcsinh(300 * slow / fast), _FREQUENCIES)) / slow
        self.widths = np.gradient(self.frequencies) / np.pi
        self.widths[[0, -1]] /= 2
        self.cosines = _cosines(self.frequencies, self.lags)

    def poisson(self) -> Trains:
        """What to begin with: no covariance."""
        shape = self.network.drive.shape
        return Trains(np.zeros((*shape, _LAGS)), np.ones(shape), np.ones(shape))

    def after(self, equations: Equations, unknowns: Array, before: Trains) -> Trains:
        """The trains of neurons that are driven by trains `before`, which `equations` have. Shapes: unknowns [3, population, angle]."""
        moments = equations.moments(np.exp(unknowns[1]), np.exp(unknowns[2]))
        poisson = Moments(moments.variance / before.variance, moments.rise / before.rise, moments.quenched)
        distance = self.network.threshold[:, None] - unknowns[0]
        lagged = self.potential(equations, unknowns, before)
        some, mirrored = self._places
        found = _crossings(lagged[:, :, some], distance[:, some], moments.quenched[:, some])[:, mirrored]
        level, _, bend = lagged[..., 0]
        return Trains(found * np.exp(unknowns[2])[..., None], level / poisson.variance, bend / poisson.rise)

    def potential(self, equations: Equations, unknowns: Array, trains: Trains | None) -> Array:
        """Autocovariance of a neuron's potential in time, its derivative by lag and less its second, from lag 0 on.

        [derivative, population, angle, lag]. It is driven by `trains`, which `equations` have, or by Poisson ones.
        """
        rates = np.exp(unknowns[1])
        if trains is None:
            return np.einsum("oabl,abij,bj->oail", self._private, circulants(self.network.profiles), rates)
        w, moments = self.frequencies, equations.moments(rates, np.exp(unknowns[2]))
        distance = self.network.threshold[:, None] - unknowns[0]
        spectra = np.einsum("wl,bjl->wbj", self.cosines, trains.covariance)
        extra = np.einsum("abw,abij,wbj->wai", self._gain, self._apart, spectra)
        extra = (extra + self._shared(rates, spectra, moments, distance)) * self.widths[:, None, None]
        phase = np.outer(w, np.concatenate([[0.0], self.lags]))
        waves = np.stack([np.cos(phase), -w[:, None] * np.sin(phase), w[:, None] ** 2 * np.cos(phase)])
        private = np.einsum("oabl,abij,bj->oail", self._private, self._apart, rates)
        return private + np.einsum("wai,owl->oail", extra, waves)

    def fano(self, lagged: Array, deviations: Array, duration: float) -> Array:
        """Fano factor of spike counts of neurons whose mean is so many s below the threshold, [population, angle, deviation].

        1 + 2 int (1 - u / duration) C(u) du / nu over lags u > 0 of the trains' autocovariance C. `lagged` as of `potential`.
        """
        some, mirrored = self._places
        lagged, found = lagged[:, :, some], []
        level, _, bend = lagged[..., 0]
        same = Moments(level, bend, 0 * level)
        edges = np.concatenate([[0.0], self.lags])
        widths, overlap = np.diff(edges) / 2, np.maximum(1 - edges / duration, 0)
        for deviation in deviations:
            distance = np.sqrt(level) * deviation
            apart = _crossings(lagged, distance, same.quenched)
            height = np.concatenate([apart[..., :1], apart], axis=-1) * overlap
            area = (height[..., 1:] + height[..., :-1]) @ widths
            found.append(1 + 2 * area * gauss_rate(distance, same, 1))
        return np.stack(found, axis=-1)[:, mirrored]

    @property
    def _places(self) -> tuple[Any, Any]:
        """Angles that stand for all others, by evenness, and where each angle is among them."""
        size, half = self.network.drive.shape[-1], self.network.half
        if half is None:
            return slice(None), slice(None)
        return half, np.minimum(np.arange(size), size - np.arange(size))

    @cached_property
    def _apart(self) -> Array:
        """Convolution with f (1 - p f), [target, source, angle, angle]."""
        net = self.network
        return circulants(net.profiles * (1 - net.probability[..., None] * net.profiles))

    @cached_property
    def _gain(self) -> Array:
        """The power of what a train does to a potential, [target, source, frequency]."""
        found = []
        for row in self.network.kernels:
            for kernel in row:
                transfers = [(part.share, *part.transfer(self.frequencies)) for part in kernel.parts]
                found.append(
                    sum((share * (re**2 + im**2) for share, re, im in transfers), np.zeros_like(self.frequencies))
                )
        return self._by_pair(found) * self._strength[..., None]

    @cached_property
    def _private(self) -> Array:
        """Covariance of the potential by one Poisson train, its first derivative and less its second, from lag 0 on.

        [derivative, target, source, lag].
        """
        every = np.concatenate([[0.0], self.lags])
        found = self._by_pair([_correlation(kernel, every) for row in self.network.kernels for kernel in row])
        return np.moveaxis(found * self._strength[..., None, None], 2, 0)

    @cached_property
    def _strength(self) -> Array:
        return self.network.weights**2 * self.network.in_degree

    def _by_pair(self, values: list[Array]) -> Array:
        count = len(self.network.names)
        return np.stack(values).reshape(count, count, *values[0].shape)

    @cached_property
    def _harmonics(self) -> Array:
        """An orthonormal basis of what connections let through, [angle, harmonic]."""
        size = self.network.drive.shape[-1]
        strength = np.abs(np.fft.rfft(self.network.profiles.real, axis=-1)).max(axis=(0, 1))
        kept = np.flatnonzero(strength > _FAINT * strength.max())
        waves = np.outer(2 * np.pi * np.arange(size) / size, kept)
        basis = np.concatenate([np.cos(waves), np.sin(waves)[:, (kept > 0) & (2 * kept < size)]], axis=1)
        return basis / np.linalg.norm(basis, axis=0)

    @cached_property
    def _feedback(self) -> Array:
        """What rates do to the mean potential in harmonics: real and imaginary part as a real matrix, [frequency, n, n]."""
        net, basis = self.network, self._harmonics
        mean = basis.T @ circulants(net.profiles) @ basis
        strength = np.sqrt(net.K) * net.weights * net.in_degree
        parts: list[Array] = []
        for side in (0, 1):
            each = [
                sum(
                    (part.share * part.transfer(self.frequencies)[side] for part in one.parts),
                    np.zeros_like(self.frequencies),
                )
                for row in net.kernels
                for one in row
            ]
            found = np.einsum("abw,abij->waibj", self._by_pair(each) * strength[..., None], mean)
            parts.append(found.reshape(len(self.frequencies), *2 * [found.shape[1] * found.shape[2]]))
        return _real_form(*parts)

    def _shared(self, rates: Array, spectra: Array, moments: Moments, distance: Array) -> Any:
        """The spectrum of what all neurons of an angle have in common, [frequency, population, angle].

        Populations have the noise of their finite number, and answer a moving mean m with the rate of upward crossings
        nu (1 + d dm / (s^2 + alpha^2) + sqrt(pi / (2 D^2)) dm').
        """
        net, (count, size) = self.network, rates.shape
        if not (net.probability > 0).all():
            return 0.0
        neurons = (net.in_degree * net.K / net.probability)[0]
        noise = (rates + spectra) * (size / neurons[:, None])
        basis = np.kron(np.eye(count), self._harmonics)
        steady = (rates * distance / (moments.variance + moments.quenched)).ravel()
        quick = (rates * np.sqrt(np.pi / (2 * moments.rise))).ravel()
        steady, quick = (basis.T @ (one[:, None] * basis) for one in (steady, quick))
        answer = _real_form(
            np.broadcast_to(steady, (len(self.frequencies), *steady.shape)), self.frequencies[:, None, None] * quick
        )
        closed = self._feedback @ np.linalg.inv(np.eye(answer.shape[-1]) - answer @ self._feedback)
        half = closed.shape[-1] // 2
        power = sum((basis @ closed[:, rows, :half] @ basis.T) ** 2 for rows in (slice(half), slice(half, None)))
        return (power @ noise.reshape(len(noise), -1, 1)).reshape(-1, count, size)


def _crossings(lagged: Array, distance: Array, quenched: Array) -> Array:
    """Pair density of upward crossings over the square of the rate, less 1, averaged over neurons whose means are spread, [..., lag].

    A mean that is spread as a Gaussian adds its variance to the covariance at every lag, so no average over it is needed.
    Shapes: `lagged` [3, ..., lag] as of `Closure.potential`; distance from the threshold and variance of the means, [...].
    """
    level, slope, bend = lagged[..., 1:]
    d, alpha = distance[..., None], quenched[..., None]
    s2, rise = lagged[0, ..., :1], lagged[2, ..., :1]
    variance, correlated = s2 + alpha, level + alpha
    det, total = variance**2 - correlated**2, variance + correlated
    drift = -slope * d / total  # of the derivative at the first crossing, and less this at the second
    spread = rise - slope**2 * variance / det
    spread = np.where(spread.real > 1e-9 * rise.real, spread, 1e-9 * rise)
    common = (bend - slope**2 * correlated / det) / spread
    common = np.where(np.abs(common.real) < 1 - 1e-6, common, np.sign(common.real) * (1 - 1e-6))
    root = np.sqrt(spread)
    reach = np.maximum(drift.real, 0) + 8 * root.real
    first = reach[..., None] * (_NODE + 1) / 2
    apart = (first - drift[..., None]) / root[..., None]
    second = common[..., None] * root[..., None] * apart - drift[..., None]
    rest = (root * np.sqrt(1 - common**2))[..., None]
    score = second / rest
    upward = second * ndtr(score) + rest * np.exp(-score * score / 2) / np.sqrt(2 * np.pi)
    both = (first * np.exp(-apart * apart / 2) * upward) @ _WEIGHT / 2 * reach / (np.sqrt(2 * np.pi) * root)
    pairs = both * np.exp(-d * d / total) / (2 * np.pi * np.sqrt(det))
    return pairs / gauss_rate(d, Moments(s2, rise, alpha), 2) - 1


def _real_form(real: Array, imaginary: Array) -> Array:
    """A complex matrix as a real one, so that complex numbers can be derivatives."""
    return np.concatenate([np.concatenate([real, -imaginary], -1), np.concatenate([imaginary, real], -1)], -2)


def _cosines(frequencies: Array, lags: Array) -> Array:
    """2 int cos(w u) f(u) du of an f that is a straight line between lags and constant before the first, [frequency, lag]."""
    edges = np.concatenate([[0.0], lags])
    w = np.maximum(frequencies, 1e-6 / lags[-1])[:, None]
    slopes = np.diff(np.cos(w * edges), axis=1) / np.diff(edges) / w**2  # of one line, by the height at its end
    found = np.zeros((len(frequencies), len(edges)))
    found[:, 1:] += slopes
    found[:, :-1] -= slopes
    found[:, -1] += np.sin(w[:, 0] * edges[-1]) / w[:, 0]
    found[:, 1] += found[:, 0]
    return 2 * found[:, 1:]


def _correlation(kernel: Kernel, lags: Array) -> Array:
    """int k(t) k(t + u) dt, its derivative by u and less its second, [3, lag]."""
    found: Any = np.zeros((3, len(lags)))
    for part in kernel.parts:
        a, b, c = part.dynamics, part.impulse, part.readout
        eye = np.eye(len(b))
        both = np.linalg.solve(np.kron(a, eye) + np.kron(eye, a), -np.kron(b, b)).reshape(a.shape)
        ahead = expm(a * lags[:, None, None]) @ (both @ c)
        found = found + part.share * np.stack([ahead @ c, ahead @ (c @ a), -(ahead @ (c @ a @ a))])
    return found
