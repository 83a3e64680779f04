"""Solutions of the equations: Newton's method along a path from the untuned network in the limit of many inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from cortexspec_mean_field.equations import Equations, Moments, gauss_rate
from cortexspec_mean_field.existence import balanced_rates, no_solution, require_balance, require_positive
from cortexspec_mean_field.network import BalancedNetwork

Array = np.ndarray[Any, Any]
_TOLERANCE = 1e-9  # of the last step but one of a quadratic method; rounding in m grows with sqrt(K)
_SMALLEST_STEP = 4e-3
Factors = tuple[Array, Array]
Path = Callable[[float], Equations]


def solve(network: BalancedNetwork, order: int, epsilon: float) -> Array:
    """The unknowns [3, population, angle] of the branch that comes from the untuned state. `epsilon` is 1/sqrt(K).

    Raises: SpecError CS953 where balance cannot be, CS954 where the branch ends before the network is reached.
    """
    rates = balanced_rates(network)
    if epsilon == 0:
        require_balance(network)
        whole = Equations(network, order, epsilon)
        if whole.fixed:
            require_positive(network, whole.balanced)
    untuned = coarse(network)
    begin = _spread_out(untuned_limit(untuned, rates), 1)
    start = follow(
        lambda s: Equations(untuned, order if s > 0 else 1, s * epsilon), begin, "many inputs", "K is lowered"
    )
    places, size = network.half, network.drive.shape[-1]
    mean = network.drive.mean(axis=-1, keepdims=True)

    def modulated(s: float) -> Equations:
        return Equations(replace(network, drive=mean + s * (network.drive - mean)), order, epsilon, places)

    begin = _spread_out(start[..., 0], size if places is None else len(places))
    return unfolded(follow(modulated, begin, "an untuned drive", "its modulation is raised"), size)


def again(
    network: BalancedNetwork, order: int, epsilon: float, start: Array, beyond: tuple[Array, Array] | None = None
) -> Array | None:
    """The solution near `start` [3, population, angle], or None. `beyond` as of `Equations`."""
    places = network.half
    found = newton(Equations(network, order, epsilon, places, beyond), start if places is None else start[..., places])
    return None if found is None else unfolded(found[0], network.drive.shape[-1])


def unfolded(values: Array, size: int) -> Array:
    """[..., place] to [..., angle]."""
    if values.shape[-1] == size:
        return values
    return values[..., np.minimum(np.arange(size), size - np.arange(size))]


def coarse(network: BalancedNetwork) -> BalancedNetwork:
    """The untuned network, of one angle.

    A tuned connection has the mean of f (1 - p f), so its probability stands for that of the square.
    """
    profiles = network.profiles
    chance = network.probability * (profiles**2).mean(axis=-1)
    return replace(
        network,
        profiles=np.ones_like(profiles[..., :1]),
        probability=chance,
        drive=network.drive.mean(axis=-1, keepdims=True),
    )


def untuned_limit(network: BalancedNetwork, rates: Array) -> Array:
    """m, log nu and log q of an untuned network in the limit of many inputs, [3, population].

    d^2 = -2 (s^2 + alpha^2) ln(nu sqrt(s^2 + alpha^2) / (nu_max s)) for given nu; q by its fixed point.
    """
    equations = Equations(network, 1, 0.0)
    nu, q = rates[:, None], rates[:, None] ** 2
    for _ in range(500):
        moments = equations.moments(nu, q)
        distance = _distance(nu, moments)
        before, q = q, np.sqrt(q * gauss_rate(distance, moments, 2))
        if np.abs(np.log(q / before)).max() < _TOLERANCE:
            break
    return np.stack([(network.threshold[:, None] - distance)[:, 0], np.log(nu)[:, 0], np.log(q)[:, 0]])


def _distance(nu: Array, moments: Moments) -> Array:
    """From the threshold, on the branch below it. Raises: SpecError CS954 where a rate is above what can be."""
    top = gauss_rate(np.zeros_like(nu), moments, 1)
    share = float((nu / top).real.max())
    if share >= 1:
        raise no_solution("balance asks for rates that the neurons do not reach even at their threshold", share)
    return np.sqrt(-2 * (moments.variance + moments.quenched) * np.log(nu / top))


def _spread_out(values: Array, size: int) -> Array:
    return np.repeat(values[..., None], size, axis=-1)


def follow(path: Path, start: Array, origin: str, change: str) -> Array:
    """The solution at s = 1 of the branch that starts near `start` at s = 0: each step from a tangent, halved where it fails.

    Raises: SpecError CS954 where the branch ends.
    """
    place, step = 0.0, 1.0
    found = newton(path(0.0), start)
    if found is None:
        raise no_solution(f"none was found for {origin}")
    while place < 1:
        here, jacobian = found
        step = min(step, 1 - place)
        tried = newton(path(place + step), here + step * tangent(path, place, here, step, jacobian))
        if tried is None:
            step /= 2
            if step < _SMALLEST_STEP:
                message = f"when {change} from {origin}, the branch ends at {100 * place:.0f} % of the way"
                raise no_solution(message, bound(path(place), here))
        else:
            found, place, step = tried, place + step, 2 * step
    return found[0]


def tangent(path: Path, place: float, here: Array, step: float, jacobian: Factors) -> Array:
    """d(unknowns)/ds: how the residual moves along the path by a difference, which is enough for a guess."""
    ahead = 1e-4 * step
    change = (path(place + ahead).residual(here) - path(place).residual(here)).real / ahead
    return -lu_solve(jacobian, change.ravel(), check_finite=False).reshape(here.shape)


def newton(equations: Equations, start: Array, tries: int = 20) -> tuple[Array, Factors] | None:
    """A root on the branch below threshold with the factors of the derivative near it, or None.

    A derivative is kept as long as it makes the residual ten times smaller a step.
    """
    here, before, jacobian = start, np.inf, None
    with np.errstate(all="ignore"):
        value = equations.residual(here)
        for _ in range(tries):
            size = np.abs(value).max()
            if not np.isfinite(size):
                return None
            if jacobian is None or size > before / 10:
                jacobian = factors(equations, here)
            change = lu_solve(jacobian, value.ravel(), check_finite=False).reshape(here.shape)
            here = here - change / max(1.0, np.abs(change[1:]).max())
            value, before = equations.residual(here), size
            if np.abs(change).max() < _TOLERANCE and np.abs(value).max() < 1e-8:
                return (here, jacobian) if (here[0] < equations.threshold.real).all() else None
    return None


def bound(equations: Equations, unknowns: Array) -> float:
    """max nu / (nu_max s / sqrt(s^2 + alpha^2)): rates exist below 1."""
    rates = np.exp(unknowns[1])
    moments = equations.moments(rates, np.exp(unknowns[2]))
    return float((rates / gauss_rate(np.zeros_like(rates), moments, 1)).real.max())


def derivative(jacobian: Factors, unknowns: Array, moved: Equations, step: float) -> Array:
    """How the solution moves with what `moved` has an imaginary part in, `step` of it: implicit differentiation."""
    change = moved.residual(unknowns).imag / step
    return -lu_solve(jacobian, change.ravel(), check_finite=False).reshape(unknowns.shape)


def factors(equations: Equations, unknowns: Array) -> Factors:
    return lu_factor(equations.jacobian(unknowns), check_finite=False)
