"""Built-in measures of spike trains, gathered along a run: of a train nothing is kept but what the measure adds up.

A train is anything that is 0 where there is no spike: `E.spike`, or the 0 and 1 of a binary population.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.contracts.measure import Array, MeasureEntry
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.units import DIMENSIONLESS, Unit, unit_of

Settings = Mapping[str, Any]
_FEW = 2  # values that a variance needs
_SHORTEST = 8


class _Intervals:
    """Moments of the intervals between the spikes of each neuron, in steps. A step with several spikes counts as one."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        shape = (trials, elements[0])
        self.last: Array = np.full(shape, -1, np.int64)
        self.count: Array = np.zeros(shape)
        self.sum: Array = np.zeros(shape)
        self.squares: Array = np.zeros(shape)
        self.done = 0

    def update(self, pieces: Sequence[Array]) -> None:
        fired = np.moveaxis(pieces[0] > 0, 1, 2)  # [trial, element, step]
        trial, element, step = np.nonzero(fired)
        if len(step):
            self._take(trial, element, step + self.done)
        self.done += fired.shape[2]

    def _take(self, trial: Array, element: Array, at: Array) -> None:
        """Spikes in the order of trial, element, time."""
        flat = trial * self.last.shape[1] + element
        first = np.concatenate([[True], flat[1:] != flat[:-1]])
        before = np.where(first, self.last.ravel()[flat], np.concatenate([[0], at[:-1]]))
        interval = np.where(before >= 0, at - before, 0).astype(float)
        size = self.last.size
        shape = self.last.shape
        self.count += np.bincount(flat, before >= 0, size).reshape(shape)
        self.sum += np.bincount(flat, interval, size).reshape(shape)
        self.squares += np.bincount(flat, interval**2, size).reshape(shape)
        last = np.concatenate([flat[1:] != flat[:-1], [True]])
        self.last.ravel()[flat[last]] = at[last]

    def result(self) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.sum / self.count
            variance = np.maximum(self.squares / self.count - mean**2, 0)
            return _as_the_others(np.where(self.count >= _FEW, np.sqrt(variance) / mean, np.nan))


class _Binned:
    """Sums over bins of time that go across pieces; `take` gets each whole bin [trial, element]."""

    def __init__(self, trials: int, elements: int, steps: int):
        self.steps, self.filled = steps, 0
        self.open: Array = np.zeros((trials, elements))

    def fill(self, values: Array) -> None:
        """values [trial, step, element]."""
        place = 0
        while place < values.shape[1]:
            count = min(self.steps - self.filled, values.shape[1] - place)
            self.open += values[:, place : place + count].sum(axis=1)
            self.filled, place = self.filled + count, place + count
            if self.filled == self.steps:
                self.take(self.open)
                self.open, self.filled = np.zeros_like(self.open), 0

    def take(self, counts: Array) -> None:
        raise NotImplementedError


class _Fano(_Binned):
    """Variance over mean of the counts in bins."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        super().__init__(trials, elements[0], steps_of("fano", "bin", settings))
        self.dt = 1.0 if settings["units"][0] == DIMENSIONLESS else float(settings["dt"])
        self.bins = 0
        self.sum: Array = np.zeros((trials, elements[0]))
        self.squares: Array = np.zeros((trials, elements[0]))

    def update(self, pieces: Sequence[Array]) -> None:
        self.fill(pieces[0] * self.dt)

    def take(self, counts: Array) -> None:
        self.bins += 1
        self.sum += counts
        self.squares += counts**2

    def result(self) -> Array:
        if self.bins < _FEW:
            raise SpecError([Diagnostic("CS505", "`fano` needs a run of two bins at least", help="make it longer")])
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.sum / self.bins
            return _as_the_others((self.squares - self.bins * mean**2) / (self.bins - 1) / mean)


class _Rate:
    """The mean over time."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        self.steps = 0
        self.sum: Array = np.zeros((trials, elements[0]))

    def update(self, pieces: Sequence[Array]) -> None:
        self.steps += pieces[0].shape[1]
        self.sum += pieces[0].sum(axis=1)

    def result(self) -> Array:
        return self.sum / self.steps


class _Heterogeneity:
    """q/nu^2: E[r^2]/E[r]^2 over neurons, E[r^2] from the rates of two halves of the run, whose noise is independent.

    The halves are the odd and the even ones of alternate stretches, since the length of a run is not known before its end.
    """

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        self.stretch = steps_of("heterogeneity", "stretch", settings)
        self.done = 0
        self.steps = [0, 0]
        self.sums: Array = np.zeros((2, trials, elements[0]))

    def update(self, pieces: Sequence[Array]) -> None:
        train, place = pieces[0], 0
        while place < train.shape[1]:
            half = self.done // self.stretch % 2
            count = min(self.stretch - self.done % self.stretch, train.shape[1] - place)
            self.sums[half] += train[:, place : place + count].sum(axis=1)
            self.steps[half] += count
            self.done, place = self.done + count, place + count

    def result(self) -> Array:
        if not all(self.steps):
            message = "`heterogeneity` needs a run of two stretches at least"
            raise SpecError([Diagnostic("CS505", message, help="make it longer, or `stretch` shorter")])
        one, other = (total / steps for total, steps in zip(self.sums, self.steps, strict=True))
        mean = self.sums.sum(axis=0) / sum(self.steps)
        return (one * other).mean(axis=1) / mean.mean(axis=1) ** 2


class _Spectrum:
    """Power of each element, averaged over windows of a Hann taper that overlap by half (Welch 1967)."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        self.length, self.dt = steps_of("spectrum", "window", settings), float(settings["dt"]) or 1.0
        self.length -= self.length % 2
        if self.length < _SHORTEST:
            raise SpecError([Diagnostic("CS505", f"a window of a spectrum is {_SHORTEST} steps at least")])
        self.taper: Array = np.sin(np.pi * np.arange(self.length) / self.length)[:, None] ** 2
        self.waiting: Array = np.zeros((trials, 0, elements[0]))
        self.power: Array = np.zeros((trials, self.length // 2 + 1, elements[0]))
        self.windows = 0

    def update(self, pieces: Sequence[Array]) -> None:
        self.waiting = np.concatenate([self.waiting, pieces[0]], axis=1)
        hop, first = self.length // 2, 0
        while first + self.length <= self.waiting.shape[1]:
            part = self.waiting[:, first : first + self.length]
            part = (part - part.mean(axis=1, keepdims=True)) * self.taper
            self.power += np.abs(np.fft.rfft(part, axis=1)) ** 2
            self.windows, first = self.windows + 1, first + hop
        self.waiting = self.waiting[:, first:]

    def spectrum(self) -> tuple[Array, Array]:
        """Frequencies [frequency], in 1/ms or 1/step, and one-sided power density [trial, frequency, element]."""
        if not self.windows:
            message = "a spectrum needs a run of one window at least"
            raise SpecError([Diagnostic("CS505", message, help="make the run longer, or `window` shorter")])
        density = 2 * self.dt * self.power / self.windows / (self.taper**2).sum()
        return np.fft.rfftfreq(self.length, self.dt), density


def power_spectrum(signal: Array, steps: int, dt: float) -> tuple[Array, Array]:
    """Frequencies [frequency] and one-sided power density [trial, frequency, element] of a signal [trial, step, element], from
    windows of so many steps."""
    found = _Spectrum(signal.shape[0], signal.shape[2:], {"window": steps * dt, "dt": dt})
    found.update([signal])
    return found.spectrum()


class _Peak(_Spectrum):
    """The frequency of the largest power between two; the lowest two are those of the taper."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        super().__init__(trials, elements, settings)
        self.low, self.high = float(settings["low"]), float(settings["high"])

    def result(self) -> Array:
        frequency, power = self.spectrum()
        inside = (frequency >= max(self.low, frequency[2])) & (frequency <= self.high)
        if not inside.any():
            message = "there is no frequency of the spectrum between `low` and `high` of `peak_frequency`"
            raise SpecError([Diagnostic("CS505", message, help="make `window` longer")])
        return frequency[inside][np.argmax(power[:, inside], axis=1)]


class _Band(_Spectrum):
    """The share of the power between two frequencies."""

    def __init__(self, trials: int, elements: Sequence[int], settings: Settings):
        super().__init__(trials, elements, settings)
        self.low, self.high = float(settings["low"]), float(settings["high"])

    def result(self) -> Array:
        frequency, power = self.spectrum()
        inside = (frequency >= self.low) & (frequency <= self.high)
        return power[:, inside].sum(axis=1) / power[:, 1:].sum(axis=1)


def _as_the_others(values: Array) -> Array:
    """[trial, element]: one that has no value has the mean of those that have, so that it changes no mean."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, values, 0).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    return np.where(known, values, mean)


def steps_of(name: str, setting: str, settings: Settings) -> int:
    """A time in whole steps, at least 1. Raises: SpecError CS505."""
    steps = settings[setting] / (settings["dt"] or 1.0)
    if not steps > 0 or abs(steps - round(steps)) > 1e-6 * max(steps, 1) or round(steps) < 1:
        message = f"`{setting}` of `{name}` is no whole number of steps: it is {steps:g} of them"
        raise SpecError([Diagnostic("CS505", message)])
    return round(steps)


def _same(unit: Unit) -> Unit:
    return unit


def _per_time(unit: Unit) -> Unit:
    return DIMENSIONLESS / unit_of("ms")


def _measure(name: str, start: Any, doc: str, settings: Settings | None = None, **kind: Any) -> MeasureEntry:
    return MeasureEntry(name, start, (1, 1), {"over": "time", **(settings or {})}, doc, any_unit=True, **kind)


MEASURES = (
    _measure("rate", _Rate, "the mean of each element over time", each=True, unit=_same),
    _measure(
        "cv_isi", _Intervals, "the coefficient of variation of the intervals between spikes", each=True, spikes=True
    ),
    _measure("fano", _Fano, "variance over mean of counts in bins", {"bin": 100.0}, each=True, spikes=True),
    _measure(
        "heterogeneity",
        _Heterogeneity,
        "q/nu^2: the mean square of rates over the square of their mean, from two halves of alternate stretches",
        {"stretch": 100.0},
        spikes=True,
    ),
    _measure(
        "peak_frequency",
        _Peak,
        "where the power spectrum of each element is largest, between two frequencies",
        {"low": 0.0, "high": math.inf, "window": 256.0},
        each=True,
        unit=_per_time,
    ),
    _measure(
        "band_power",
        _Band,
        "the share of the power of each element between two frequencies",
        {"low": 0.0, "high": 0.0, "window": 256.0},
        each=True,
    ),
)
