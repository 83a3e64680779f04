"""Postsynaptic kernels and the moments of them that the theory reads, from linear equations as they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError

Array = np.ndarray[Any, Any]
_NEAR = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A share of the synapses: k(t) = c exp(A t) b, with dynamics A, impulse b and readout c."""

    share: Any
    dynamics: Array
    impulse: Array
    readout: Array

    def transfer(self, frequencies: Array) -> tuple[Array, Array]:
        """Real and imaginary part of the Fourier transform of k, [frequency], each complex for derivatives."""
        a, b, c = self.dynamics, self.impulse, self.readout
        at = np.linalg.solve(a @ a + frequencies[:, None, None] ** 2 * np.eye(len(b)), b[:, None])[..., 0]
        return -(at @ (c @ a)), -frequencies * (at @ c)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Moments of k(t), what one spike of unit weight adds to the potential after a time t.

    area = int k, k2 = int k^2, d2 = int k'^2, k3 = int k^3, kd2 = int k k'^2. They may be complex, for derivatives. `parts`: the
    whole of it, where it is known.
    """

    area: Any
    k2: Any
    d2: Any
    k3: Any
    kd2: Any
    parts: tuple[Part, ...] = ()

    def over(self, area: Any) -> Kernel:
        """The same of a spike that is so many times smaller."""
        parts = tuple(replace(part, impulse=part.impulse / area) for part in self.parts)
        powers = {"area": 1, "k2": 2, "d2": 2, "k3": 3, "kd2": 3}
        return Kernel(**{name: getattr(self, name) / area**power for name, power in powers.items()}, parts=parts)


def linear_kernel(dynamics: Any, impulse: Any, readout: Any) -> Kernel:
    """Moments of k(t) = c exp(A t) b, by Lyapunov equations of second and third order.

    Shapes: dynamics A [n, n]; impulse b [n], what a spike adds to the state; readout c [n], the potential.
    Raises: SpecError CS951 where the potential itself jumps at a spike, CS952 where the filter does not decay.
    """
    a, b, c = (np.asarray(one) for one in (dynamics, impulse, readout))
    if np.linalg.eigvals(a.real).real.max() >= 0:
        raise SpecError([Diagnostic("CS952", "the membrane and synapse together do not forget a spike")])
    slope = c @ a
    if abs(c @ b) > _NEAR * np.abs(c).max() * max(np.abs(b).max(), _NEAR):
        message = "a spike makes the potential jump, so it crosses its threshold infinitely often"
        raise SpecError([Diagnostic("CS951", message, help="give the connection a synapse, as `exponential(5 ms)`")])
    second, third = _moment(a, b, 2), _moment(a, b, 3)
    return Kernel(
        area=_moment(a, b, 1) @ c,
        k2=second @ np.kron(c, c),
        d2=second @ np.kron(slope, slope),
        k3=third @ reduce(np.kron, (c, c, c)),
        kd2=third @ reduce(np.kron, (c, slope, slope)),
        parts=(Part(1.0, a, b, c),),
    )


def exponential(membrane: Any, synapse: Any) -> Kernel:
    """A unit-area exponential current through a unit-area exponential membrane, by their time constants."""
    return linear_kernel(
        np.array([[-1 / membrane, 1 / membrane], [0, -1 / synapse]]), np.array([0, 1 / synapse]), np.array([1, 0])
    )


def mean_kernel(*weighted: tuple[float, Kernel]) -> Kernel:
    """Moments averaged over synapses that differ: (share, kernel) each."""
    names = ("area", "k2", "d2", "k3", "kd2")
    parts = tuple(replace(part, share=share * part.share) for share, one in weighted for part in one.parts)
    whole = parts if all(one.parts for _, one in weighted) else ()
    return Kernel(*(sum(share * getattr(one, name) for share, one in weighted) for name in names), parts=whole)


def _moment(a: Array, b: Array, power: int) -> Array:
    """int of the Kronecker power of exp(A t) b: x with (A + ... + A) x = -b x ... x b, the sum over places."""
    eye = np.eye(len(a))
    places = [reduce(np.kron, [a if k == place else eye for k in range(power)]) for place in range(power)]
    return np.linalg.solve(sum(places[1:], places[0]), -reduce(np.kron, [b] * power))
