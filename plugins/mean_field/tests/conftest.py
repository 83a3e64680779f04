"""The network of the page's reference parameters, with every constant a parameter. Rates in Hz, times in s, potentials in V."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from cortexspec_mean_field import BalancedNetwork, cosine_profile, exponential, grid, network, von_mises_profile

WEIGHTS = 0.05 * np.array([[1, -2.5], [2, -3]])
RATES = np.array([4.0, 6.0])


def a_ring(
    parameters: Mapping[str, Any] | None = None, *, concentration: float | None = None, **settings: Any
) -> BalancedNetwork:
    """Cosine connections, or von Mises ones of this concentration. `modulation` is e^1/e^0 as an amplitude.

    With 0.225 the first harmonic of the limit is 0.45 of the mean rate, as in the orderings of section 6.
    """
    given = {"K": 500, "angles": 32, "probability": 0.0, "degree": "random", **settings}
    p: dict[str, Any] = {
        "tau_e": 0.005, "tau_i": 0.003, "mu": 0.25, "modulation": 0.225, "contrast": 1.0, "spread": 0.0, "inhibition": 1.0,
        **(parameters or {}),
    }  # fmt: skip
    angles = grid(given["angles"])
    profiles = cosine_profile(angles, p["mu"]) if concentration is None else von_mises_profile(angles, concentration)
    drive = -(WEIGHTS @ RATES) * p["contrast"]
    return network(
        WEIGHTS * np.array([[1, p["inhibition"]], [1, p["inhibition"]]]),
        [[exponential(0.01, p["tau_e"]), exponential(0.01, p["tau_i"])]] * 2,
        drive[:, None] * (1 + p["modulation"] * np.cos(angles)),
        K=given["K"],
        profiles=profiles,
        probability=given["probability"],
        spread=p["spread"],
        degree=given["degree"],
    )


@pytest.fixture(scope="session")
def ring() -> Callable[..., BalancedNetwork]:
    """`a_ring`."""
    return a_ring
