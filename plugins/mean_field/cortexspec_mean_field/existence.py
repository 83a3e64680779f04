"""Whether a balanced state can be: the conditions that need no solution, and the bound on rates at one."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_mean_field.network import BalancedNetwork

Array = np.ndarray[Any, Any]
SMALL = 1e-11


def balanced_rates(network: BalancedNetwork) -> Array:
    """Mean rates that balance asks for, [population]: nu with e^0 + J nu = 0.

    Raises: SpecError CS953 that names the condition which fails.
    """
    coupling, drive = network.effective(), network.drive.mean(axis=-1)
    require_stable(coupling, 0)
    rates = -np.linalg.solve(coupling, drive)
    if rates.real.min() <= 0:
        listed = ", ".join(f"{name}: {rate:.4g}" for name, rate in zip(network.names, rates.real, strict=True))
        raise unbalanced(
            f"-J^-1 e is to be positive, and the rates that balance asks for are {listed}", _in_words(network)
        )
    return rates


def require_balance(network: BalancedNetwork) -> None:
    """What the limit of many inputs asks of tuning: each harmonic of the drive must be one that connections can cancel.

    Raises: SpecError CS953 that names the harmonic.
    """
    size = network.drive.shape[-1]
    profiles = np.fft.rfft(network.profiles.real, axis=-1) / size
    drive = np.abs(np.fft.rfft(network.drive.real, axis=-1)).max(axis=0) / size
    coupling = network.effective().real[..., None] * profiles.real
    strength = np.abs(network.effective()[..., None] * profiles).max(axis=(0, 1))
    for number in np.flatnonzero(drive > SMALL * drive.max()):
        if strength[number] <= SMALL * strength.max():
            raise unbalanced(
                f"harmonic {number} of the drive is of order sqrt(K), and no connection is tuned to cancel it",
                "tune the connections, or make that harmonic of the drive of order 1",
            )
        require_stable(coupling[..., number], number)


def require_positive(network: BalancedNetwork, rates: Array) -> None:
    """Of rates [population, angle] that balance fixes at every angle. Raises: SpecError CS953."""
    population, angle = np.unravel_index(np.argmin(rates.real), rates.shape)
    if rates.real[population, angle] <= 0:
        degrees = np.degrees(network.angles[angle])
        raise unbalanced(
            f"it asks for a negative rate of {network.names[population]} at {degrees:.0f} degrees",
            "tune the drive less, or the connections more",
        )


def require_stable(coupling: Array, number: int) -> None:
    """A matrix whose determinant has the sign that a network without recurrence would have.

    Else one of its modes grows, whatever the time constants are: these only scale rows. Raises: SpecError CS953.
    """
    matrix = (
        f"the matrix J f^{number}, of couplings of harmonic {number}," if number else "the matrix J of mean couplings"
    )
    if np.linalg.cond(coupling.real) > 1 / SMALL:
        raise unbalanced(f"{matrix} is singular, so nothing fixes what rates it feeds back", "")
    if np.linalg.det(-coupling.real) <= 0:
        raise unbalanced(
            f"det(-J) of {matrix} is negative, so the state runs away",
            "strengthen the inhibition that excitation calls up, or weaken that of inhibitory neurons",
        )


def _in_words(network: BalancedNetwork) -> str:
    if len(network.names) != 2:
        return "strengthen the drive of the populations that fall silent"
    j, e = network.effective().real, network.drive.mean(axis=-1).real
    first, second, third = e[0] / e[1], abs(j[0, 1] / j[1, 1]), abs(j[0, 0] / j[1, 0])
    a, b = network.names
    return (
        f"van Vreeswijk & Sompolinsky: e_{a}/e_{b} > J_{a}{b}/J_{b}{b} > J_{a}{a}/J_{b}{a}, "
        f"here {first:.4g}, {second:.4g}, {third:.4g}"
    )


def unbalanced(what: str, help: str) -> SpecError:
    return SpecError([Diagnostic("CS953", f"this network has no balanced state: {what}", help=help)])


_TOO_FAST = "rates cannot exceed nu_max s/sqrt(s^2 + alpha^2): weaken the drive, or make the synapses faster"
TOO_ALIKE = "fixed in-degrees leave neurons too alike for it: take random ones, or a spread of thresholds"


def no_solution(what: str, bound: float | None = None, help: str = _TOO_FAST) -> SpecError:
    message = f"the theory has no solution: {what}"
    if bound is not None:
        message += f"; the largest rate over that bound was {bound:.4g} at the last solution"
    return SpecError([Diagnostic("CS954", message, help=help)])
