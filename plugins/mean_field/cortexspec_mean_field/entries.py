"""The theory as a spec names it: `let rice = rice_theory(order = 2)`, then `rice.mean_E`, `rice.harmonic_2_I`, `rice.bound`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.contracts.measure import AnalysisEntry, Call, Circuit
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.types import RuleError
from cortexspec.units import DIMENSIONLESS, Unit, parse_unit
from cortexspec_mean_field.circuit import network_of
from cortexspec_mean_field.theory import RiceTheory, rice_theory

Array = np.ndarray[Any, Any]
_MEMBER = re.compile(r"(mean|harmonic_\d+|cv2|peak_ratio|osi)_(.+)|bound")
_KNOWN = "`mean_E`, `harmonic_2_E`, `cv2_E`, `peak_ratio_E`, `osi_E` (of a population `E`) and `bound`"


class RiceTheories:
    """Numbers of one circuit's theory, each a call; each order is solved once."""

    def __init__(self, circuit: Circuit, calls: Sequence[Call]):
        network = network_of(circuit.simulation)
        solved: dict[float, RiceTheory] = {}
        found: list[float] = []
        for call in calls:
            order = order_of(call.settings)
            if order not in solved:
                solved[order] = rice_theory(network, order)
            found.append(number_of(solved[order], str(call.settings["member"])))
        self.values: Array = np.array(found)

    def pull_back(self, cotangents: Array, wrt: Sequence[str]) -> Mapping[str, Array]:
        raise AssertionError("the entry has no gradient")


def order_of(settings: Mapping[str, Any]) -> float:
    order = settings["order"]
    if order in (1, 2, np.inf) and not isinstance(order, bool):
        return float(order)
    raise SpecError([Diagnostic("CS505", f"the order of `rice_theory` is 1, 2 or infinity, not {order}")])


def unit_of(settings: Mapping[str, Any]) -> Unit:
    """Raises: RuleError CS301 for a name that the theory does not have."""
    member = str(settings.get("member", ""))
    if member and _MEMBER.fullmatch(member) is None:
        raise RuleError("CS301", f"`rice_theory` has no `{member}`", help=f"it has {_KNOWN}")
    return parse_unit("Hz")[0] if member.startswith(("mean", "harmonic")) else DIMENSIONLESS


def number_of(theory: RiceTheory, member: str) -> float:
    """One number, a rate in the unit of the network's. Raises: SpecError CS301 for a population that there is not."""
    if member == "bound":
        return theory.bound
    found = _MEMBER.fullmatch(member)
    if found is None or found[2] not in theory.network.names:
        names = ", ".join(theory.network.names)
        message = f"`rice_theory` has no `{member}`"
        raise SpecError([Diagnostic("CS301", message, help=f"it has {_KNOWN}; populations are {names}")])
    quantity, a = found[1], theory.index(found[2])
    match quantity:
        case "mean":
            return float(theory.mean[a])
        case "cv2":
            return float(theory.squares[a].mean() / theory.mean[a] ** 2 - 1)
        case "peak_ratio":
            peak = int(np.argmax(theory.rates[a]))
            return float(theory.squares[a, peak] / theory.rates[a, peak] ** 2)
        case "osi":
            return float(theory.ensemble.selectivity(a, 0.5))
        case _:
            return float(theory.harmonic(int(quantity.removeprefix("harmonic_")))[a])


ANALYSES = (
    AnalysisEntry(
        "rice_theory",
        RiceTheories,
        (0, 0),
        {"order": 2, "member": ""},
        f"mean-field theory of a balanced network of threshold-crossing neurons, without a run; a `let` of it has {_KNOWN}",
        unit=unit_of,
    ),
)
