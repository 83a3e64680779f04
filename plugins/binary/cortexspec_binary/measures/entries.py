"""The measures as a spec names them: `measure f = flux(core.x, core.x, lag = 2, correction = "nsb")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.contracts.measure import MeasureEntry
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_binary.measures import information, pairs
from cortexspec_binary.measures.counts import JointCounts
from cortexspec_binary.measures.entropy import Correction, binary_entropy, entropy
from cortexspec_binary.measures.pairs import PairCounts
from cortexspec_binary.measures.words import Words

Array = np.ndarray[Any, Any]
Settings = Mapping[str, Any]
Estimate = Callable[[Array, Correction], Array]
Shuffles = Callable[[Array, int], Array]
CORRECTIONS = ("none", "miller_madow", "nsb", "shuffle")
REDUCTIONS = ("mean", "rms", "sum")
_LAGGED: Settings = {"lag": 1, "correction": "miller_madow", "pooled": False}


_WORDS = Words()


class _Joint:
    """A measure of one table of joint counts."""

    def __init__(self, counts: JointCounts, which: Sequence[int], estimate: Callable[[Array], Array]):
        self.counts, self.which, self.estimate = counts, which, estimate

    def update(self, pieces: Sequence[Array]) -> None:
        read = [pieces[place] for place in self.which]
        self.counts.update_words(*(one if one.ndim == 2 else _WORDS.of(one) for one in read))

    def result(self) -> Array:
        return self.estimate(self.counts.table)


class _Pairs:
    """A measure of all pairs of neurons, reduced to one number."""

    def __init__(self, counts: PairCounts, estimate: Callable[[PairCounts], Array], reduce: str, autapses: bool):
        self.counts, self.estimate, self.reduce, self.autapses = counts, estimate, reduce, autapses

    def update(self, pieces: Sequence[Array]) -> None:
        self.counts.update(pieces[-1], pieces[0])

    def result(self) -> Array:
        return pairs.reduced(self.estimate(self.counts), self.reduce, self.autapses)


class _Scatter:
    """The mean over steps of the neurons' own entropies, from their probabilities."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        self.sum: Array = np.zeros(trials)
        self.steps = 0

    def update(self, pieces: Sequence[Array]) -> None:
        (p,) = pieces
        self.sum = self.sum + binary_entropy(p).sum(axis=(1, 2))
        self.steps += p.shape[1]

    def result(self) -> Array:
        return self.sum / self.steps


def _estimator(name: str, estimate: Estimate, settings: Settings, shuffles: Shuffles | None = None) -> Any:
    """The estimate with the correction that is asked for. Raises: SpecError CS306."""
    known = CORRECTIONS if shuffles is not None else CORRECTIONS[:-1]
    correction = _chosen(name, "correction", settings["correction"], known)
    if correction == "shuffle" and shuffles is not None:
        return lambda table: estimate(table, "none") - shuffles(table, 20).mean(axis=0)
    return lambda table: estimate(table, correction)


def _chosen(name: str, setting: str, value: Any, known: Sequence[str]) -> Any:
    if value not in known:
        help = f"there are {', '.join(known)}"
        raise SpecError([Diagnostic("CS306", f"`{name}` has no {setting} `{value}`", help=help)])
    return value


def _lag(name: str, settings: Settings) -> int:
    lag = settings["lag"]
    if not isinstance(lag, int) or isinstance(lag, bool) or lag < 1:
        message = f"the lag of `{name}` is a whole number of steps, at least 1, not {lag}"
        raise SpecError([Diagnostic("CS505", message)])
    return lag


def _start_entropy(trials: int, elements: Sequence[int], settings: Settings) -> _Joint:
    estimate = _estimator("entropy", lambda table, how: entropy(table, 1, how), settings)
    return _Joint(JointCounts([elements[0]], [0], trials, pooled=settings["pooled"]), [0], estimate)


def _start_two(name: str, estimate: Estimate, shuffles: Shuffles | None = None) -> Any:
    """Of the words of the first argument and, `lag` steps later, of the last."""

    def start(trials: int, elements: Sequence[int], settings: Settings) -> _Joint:
        lag = _lag(name, settings)
        counts = JointCounts([elements[0], elements[-1]], [0, lag], trials, pooled=settings["pooled"])
        return _Joint(counts, [0, -1], _estimator(name, estimate, settings, shuffles))

    return start


def _start_transfer(trials: int, elements: Sequence[int], settings: Settings) -> _Joint:
    lag = _lag("transfer_entropy", settings)
    source, target = elements
    counts = JointCounts([source, target, target], [0, 0, lag], trials, pooled=settings["pooled"])
    shuffles: Shuffles = information.shuffled_transfer_entropy
    estimate = _estimator("transfer_entropy", information.transfer_entropy, settings, shuffles)
    return _Joint(counts, [0, 1, 1], estimate)


def _start_pairs(name: str, estimate: Callable[[PairCounts, Settings], Array], conditional: bool = False) -> Any:
    def start(trials: int, elements: Sequence[int], settings: Settings) -> _Pairs:
        _chosen(name, "correction", settings.get("correction", "none"), CORRECTIONS[:-1])
        reduce = _chosen(name, "reduce", settings["reduce"], REDUCTIONS)
        counts = PairCounts(
            elements[-1], elements[0], _lag(name, settings), trials,
            per_run=not settings["pooled"], conditional=conditional,
        )  # fmt: skip
        # Two groups have no neuron with itself to leave out.
        autapses = bool(settings["autapses"]) or len(elements) > 1
        return _Pairs(counts, lambda one: estimate(one, settings), reduce, autapses)

    return start


_PAIRS: Settings = {"lag": 1, "pooled": False, "reduce": "mean", "autapses": False}
_CORRECTED: Settings = {**_PAIRS, "correction": "miller_madow"}

MEASURES = (
    MeasureEntry(
        "entropy", _start_entropy, (1, 1), {"correction": "miller_madow", "pooled": False},
        "H of the joint state of a group of binary neurons, in bit",
        words=True,
    ),
    MeasureEntry(
        "divergence", _start_two("divergence", information.divergence), (1, 2), _LAGGED,
        "D = H(Y|X) of a group's next state, given the present one of the first group, in bit",
        words=True,
    ),
    MeasureEntry(
        "closed_divergence", _Scatter, (1, 1), {},
        "D of a whole network from its neurons' firing probabilities, without a histogram, in bit",
    ),
    MeasureEntry(
        "flux", _start_two("flux", information.flux, information.shuffled_flux), (1, 2), _LAGGED,
        "I = H(Y) - D, the information that the first group's state has of the second's `lag` steps later, in bit",
        words=True,
    ),
    MeasureEntry(
        "transfer_entropy", _start_transfer, (2, 2), _LAGGED,
        "I(Y'; X | Y), from the first group to the second, in bit",
        words=True,
    ),
    MeasureEntry(
        "pairwise_flux",
        _start_pairs("pairwise_flux", lambda one, s: pairs.pairwise_flux(one.tables, s["correction"])),
        (1, 2), _CORRECTED, "flux of every pair, in bit: their mean, rms or sum",
    ),
    MeasureEntry(
        "pairwise_transfer_entropy",
        _start_pairs(
            "pairwise_transfer_entropy",
            lambda one, s: pairs.pairwise_transfer_entropy(one.conditional_tables, s["correction"]),
            True,
        ),
        (1, 2), _CORRECTED, "transfer entropy of every pair, in bit: their mean, rms or sum",
    ),
    MeasureEntry(
        "lagged_correlation",
        _start_pairs("lagged_correlation", lambda one, s: pairs.lagged_correlation(one.tables)),
        (1, 2), {**_PAIRS, "reduce": "rms"}, "Pearson's correlation of every pair over `lag` steps: their rms, mean or sum",
    ),
)  # fmt: skip
