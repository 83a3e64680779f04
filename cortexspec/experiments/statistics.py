"""When a claim holds: paired statistics over seeds. Nothing here knows a paper."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cortexspec.experiments.shown_units import after_number
from cortexspec.ir.op import Array

Word = Literal["holds", "fails", "undecided", "printed", "not run"]
CONFIDENCE = 0.95
DECISIVE = 2.0  # standard errors, docs/language.md "Claims"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation over seeds, standard error, and the Student interval's half width at 95 %."""

    mean: float
    deviation: float
    error: float
    half_width: float
    count: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Values one a seed [n]; with one seed the spread is unknown (NaN)."""
        data = np.asarray(values, float)
        count = len(data)
        mean = float(data.mean())
        if count < 2:
            return Spread(mean, math.nan, math.nan, math.nan, count)
        t: Any = importlib.import_module("scipy.stats").t  # untyped, and slow to import
        deviation = float(data.std(ddof=1))
        error = deviation / math.sqrt(count)
        return Spread(mean, deviation, error, error * float(t.ppf((1 + CONFIDENCE) / 2, count - 1)), count)


@dataclass(frozen=True, slots=True)
class Verdict:
    word: Word
    reason: str


def judge_order(differences: Sequence[float], seeded: bool, reading: float = 1.0, unit: str = "") -> Verdict:
    """`larger - smaller`, paired by seed [n]: holds where the mean exceeds 2 standard errors, fails below -2, else undecided.

    A value that depends on no seed (`seeded` False) is judged exactly. One that is not a number decides nothing. The reason has
    figures in `unit`, `reading` times the values.
    """
    if (without := _without_value(differences)) is not None:
        return without
    spread = Spread.of(differences)
    said = f"difference {reading * spread.mean:+.4g}{after_number(unit)}"
    if not seeded:
        return Verdict("holds" if spread.mean > 0 else "fails", f"{said}, exact")
    if spread.count < 2:
        return Verdict("undecided", f"{said} with one seed")
    if spread.error == 0:
        word: Word = "holds" if spread.mean > 0 else "fails" if spread.mean < 0 else "undecided"
        return Verdict(word, f"{said} in each of {spread.count} seeds")
    ratio = spread.mean / spread.error
    word = "holds" if ratio > DECISIVE else "fails" if ratio < -DECISIVE else "undecided"
    return Verdict(word, f"{said} = {ratio:+.1f} standard errors, {spread.count} seeds")


def judge_figure(
    values: Sequence[float], wanted: float, tolerance: float, seeded: bool, reading: float = 1.0, unit: str = ""
) -> Verdict:
    """Whether the mean over seeds lies within `tolerance` of `wanted`, paired like an inequality on the room that is left.

    Holds where the distance is below the tolerance by more than 2 standard errors, fails where it is above by as much. The reason
    has figures in `unit`, `reading` times the values.
    """
    if (without := _without_value(values)) is not None:
        return without
    spread = Spread.of(values)
    distance = abs(spread.mean - wanted)
    room = tolerance - distance
    where = (
        f"{reading * distance:.3g} from {reading * wanted:.6g}{after_number(unit)}, {reading * tolerance:.3g} allowed"
    )
    if not seeded:
        return Verdict("holds" if room >= 0 else "fails", f"{where}, exact")
    if spread.count < 2:
        return Verdict("undecided", f"{where}, one seed")
    decisive = DECISIVE * spread.error
    word: Word = "holds" if room > decisive else "fails" if room < -decisive else "undecided"
    return Verdict(word, f"{where}, standard error {reading * spread.error:.2g}")


def quantile(values: Array, share: float, axis: Sequence[int]) -> Array:
    """As in a measure: of the n elements that are numbers, in rising order, the one at place share*(n - 1), or on the line between two.

    Where there is none, no number.
    """
    rest = [one for one in range(values.ndim) if one not in axis]
    ordered = np.sort(values.transpose([*axis, *rest]).reshape(-1, *(values.shape[one] for one in rest)), axis=0)
    place = share * np.maximum((~np.isnan(ordered)).sum(axis=0) - 1, 0)
    below, above = (np.take_along_axis(ordered, f(place).astype(int)[np.newaxis], 0)[0] for f in (np.floor, np.ceil))
    # At a place itself nothing is added, whose difference may be that of infinite values.
    between = above > below
    return below + np.subtract(above, below, out=np.zeros_like(below), where=between) * (place - np.floor(place))


def _without_value(values: Sequence[float]) -> Verdict | None:
    """Where a seed has no value: it diverged, or the measure is undefined for it, as its result says."""
    missing = int(np.isnan(np.asarray(values, float)).sum())
    if not missing:
        return None
    which = f"{missing} of {len(values)} seeds" if len(values) > 1 else "the one seed"
    return Verdict("undecided", f"no value in {which}: diverged, or undefined there")
