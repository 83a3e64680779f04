"""The theory as a spec names it: `let rice = rice_theory(order = 2)`, then `rice.mean_E`, `rice.harmonic_2_I`, `rice.bound`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from cortexspec.contracts.measure import AnalysisEntry, Call, Circuit
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.types import RuleError
from cortexspec.units import DIMENSIONLESS, Unit, parse_unit
from cortexspec_mean_field.circuit import network_of
from cortexspec_mean_field.network import BalancedNetwork
from cortexspec_mean_field.theory import Closing, RiceTheory, require_word, rice_theory

Array = np.ndarray[Any, Any]
_MEMBER = re.compile(
    r"(mean|harmonic_\d+|cv2|peak_ratio|osi(?:_quantile_\d+)?|rate_quantile_\d+|pair_\d+|peak_cv|average_cv|variance|quenched)_(.+)"
    r"|bound|exists"
)
_KNOWN = (
    "`mean_E`, `harmonic_2_E`, `cv2_E`, `peak_ratio_E`, `osi_E`, `osi_quantile_95_E`, `rate_quantile_50_E`, `pair_90_E`, "
    "`peak_cv_E`, `average_cv_E`, `variance_E`, `quenched_E` (of a population `E`), `bound` and `exists`"
)
_UNITS = {"mean": "Hz", "harmonic": "Hz", "rate": "Hz", "pair": "Hz^2", "variance": "mV^2", "quenched": "mV^2"}
_FEWEST = 3  # stimuli that tell a direction
_SAMPLES = 20_000  # tuning curves that are drawn


class RiceTheories:
    """Numbers of one circuit's theory, each a call; each order and closure is solved once."""

    def __init__(self, circuit: Circuit, calls: Sequence[Call]):
        network = network_of(circuit.simulation)
        solved: dict[tuple[float, Closing], RiceTheory | SpecError] = {}
        found: list[float] = []
        for call in calls:
            order, member = order_of(call.settings), str(call.settings["member"])
            closure = closure_of(call.settings)
            if (order, closure) not in solved:
                solved[order, closure] = _solved(network, order, closure)
            theory = solved[order, closure]
            if member == "exists":
                found.append(float(isinstance(theory, RiceTheory)))
            elif isinstance(theory, RiceTheory):
                found.append(number_of(theory, member, stimuli_of(call.settings)))
            else:
                raise theory
        self.values: Array = np.array(found)

    def pull_back(self, cotangents: Array, wrt: Sequence[str]) -> Mapping[str, Array]:
        raise AssertionError("the entry has no gradient")


def _solved(network: BalancedNetwork, order: float, closure: Closing) -> RiceTheory | SpecError:
    """The theory, or why there is none: a network that cannot balance, or whose state ends."""
    try:
        return rice_theory(network, order, closure=closure)
    except SpecError as error:
        if not {one.code for one in error.diagnostics} <= {"CS953", "CS954"}:
            raise
        return error


def order_of(settings: Mapping[str, Any]) -> float:
    order = settings["order"]
    if order in (1, 2, np.inf) and not isinstance(order, bool):
        return float(order)
    raise SpecError([Diagnostic("CS505", f"the order of `rice_theory` is 1, 2 or infinity, not {order}")])


def closure_of(settings: Mapping[str, Any]) -> Closing:
    closure = settings["closure"]
    require_word("closure of `rice_theory`", closure, get_args(Closing))
    return closure


def stimuli_of(settings: Mapping[str, Any]) -> int:
    stimuli = settings["stimuli"]
    if isinstance(stimuli, int) and stimuli >= _FEWEST:
        return stimuli
    message = f"`stimuli` of `rice_theory` is a whole number, {_FEWEST} at least, not {stimuli}"
    raise SpecError([Diagnostic("CS505", message)])


def unit_of(settings: Mapping[str, Any]) -> Unit:
    """Raises: RuleError CS301 for a name that the theory does not have."""
    member = str(settings.get("member", ""))
    if member and _MEMBER.fullmatch(member) is None:
        raise RuleError("CS301", f"`rice_theory` has no `{member}`", help=f"it has {_KNOWN}")
    unit = _UNITS.get(member.partition("_")[0])
    return DIMENSIONLESS if unit is None else parse_unit(unit)[0]


def number_of(theory: RiceTheory, member: str, stimuli: int) -> float:
    """One number, in the network's units; tuning curves have so many even stimuli.

    Raises: SpecError CS301 for a population that there is not.
    """
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
            return float(theory.ensemble.selectivity(a, 0.5, stimuli=stimuli))
        case "peak_cv" | "average_cv":
            return _spread_of_curves(theory, a, stimuli, quantity == "peak_cv")
        case "variance":
            return float(theory.moments.variance[a].mean())
        case "quenched":
            return float(theory.moments.quenched[a].mean())
        case _:
            kind, _, number = quantity.rpartition("_")
            return _numbered(theory, a, kind, int(number), stimuli)


def _numbered(theory: RiceTheory, a: int, kind: str, number: int, stimuli: int) -> float:
    """A quantity whose name has a number: of a harmonic, of per cents, of degrees."""
    match kind:
        case "harmonic":
            return float(theory.harmonic(number)[a])
        case "osi_quantile":
            return float(theory.ensemble.selectivity(a, number / 100, stimuli=stimuli))
        case "rate_quantile":
            return theory.quantile(number / 100, a)
        case _:
            return theory.pair(np.radians(number), a)


def _spread_of_curves(theory: RiceTheory, a: int, stimuli: int, peak: bool) -> float:
    """The coefficient of variation over neurons of the largest, or the average, rate of their tuning curves."""
    angles = 2 * np.pi * np.arange(stimuli) / stimuli
    curves = theory.ensemble.sample(a, _SAMPLES, np.random.default_rng(0), angles)
    rates = curves.max(axis=1) if peak else curves.mean(axis=1)
    return float(rates.std() / rates.mean())


ANALYSES = (
    AnalysisEntry(
        "rice_theory",
        RiceTheories,
        (0, 0),
        {"order": 2, "closure": "poisson", "stimuli": 12, "member": ""},
        f"mean-field theory of a balanced network of threshold-crossing neurons, without a run; a `let` of it has {_KNOWN}",
        unit=unit_of,
        wired=False,
    ),
)
