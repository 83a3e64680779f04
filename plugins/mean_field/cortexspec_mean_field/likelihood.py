"""The likelihood of tuning curves given a circuit, section 4. Everything computes with complex numbers, for derivatives."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal

import numpy as np
from scipy.special import gammaln

from cortexspec_mean_field.ensemble import Process
from cortexspec_mean_field.theory import RiceTheory

Array = np.ndarray[Any, Any]
Branches = Literal["physical", "all"]
_MODE_STEPS, _MODE = 100, 1e-10
_SOFT = 0.1  # of a curvature's rounded end at 0, in units of that of the rate


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
    theory: RiceTheory, counts: Any, duration: float, angles: Any, population: int | str = 0
) -> Any:
    """log p of Poisson spike counts [neuron, stimulus] over `duration`, summed over neurons, by Laplace's method in x.

    Of neurons below threshold, where the posterior has one mode. Near threshold, where a second one begins, the curvature of the
    posterior goes through 0 and the method's width to infinity: counts are taken to widen no prior. `angles` as in `log_likelihood`.
    """
    process = theory.ensemble.at(theory.index(population), angles)
    n = np.asarray(counts, float)
    precision = np.linalg.inv(process.covariance)
    x = _mode(process, precision, n, duration)
    if np.iscomplexobj(process.mean):  # the mode moves with what the imaginary part is a derivative by
        slope, bend = _slopes(process, precision, n, duration, x)
        x = x - np.linalg.solve(bend, slope[..., None])[..., 0]
    expected = process.rate(x) * duration
    poisson = (n * np.log(expected) - expected - gammaln(n + 1)).sum(axis=-1)
    told = expected * ((process.threshold - x) / process.variance) ** 2 + (n - expected) / process.variance
    least = _SOFT / process.variance
    told = (told + np.sqrt(told * told + least * least)) / 2
    width = _log_det(precision + told[..., None] * np.eye(n.shape[-1])) - n.shape[-1] * np.log(2 * np.pi)
    return (_normal(process, x) + poisson - width / 2).sum()


def _slopes(process: Process, precision: Array, n: Array, duration: float, x: Array) -> tuple[Array, Array]:
    """First and second derivative of log p(n, x) by x, [neuron, stimulus] and [neuron, stimulus, stimulus]."""
    gap, expected = process.threshold - x, process.rate(x) * duration
    steep = gap / process.variance
    first = (n - expected) * steep - np.einsum("...ij,...j->...i", precision, x - process.mean)
    curved = -(n - expected) / process.variance - expected * steep**2
    return first, curved[..., None] * np.eye(x.shape[-1]) - precision


def _mode(process: Process, precision: Array, n: Array, duration: float) -> Array:
    """By scoring: Newton's method with the expected curvature, which is always downward, each step at most a fraction of s."""
    real = _real(process)
    down, x = precision.real, np.broadcast_to(real.mean, n.shape)
    for _ in range(_MODE_STEPS):
        first, _ = _slopes(real, down, n, duration, x)
        fisher = real.rate(x) * duration * ((real.threshold - x) / real.variance) ** 2
        step = np.linalg.solve(down + fisher[..., None] * np.eye(n.shape[-1]), first[..., None])[..., 0]
        limit = 0.5 * np.sqrt(real.variance)
        x = x + np.clip(step, -limit, limit)
        if np.abs(step).max() < _MODE * np.sqrt(real.variance).max():
            break
    return x


def _real(process: Process) -> Process:
    return Process(
        np.real(process.threshold), process.mean.real, process.covariance.real, process.variance.real, process.rise.real
    )


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
