"""Figures of spiking networks, from what they fire and from their tuning curves. Each draws one file and gives its path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.experiments import figures
from cortexspec.experiments.figures import COLOURS
from cortexspec.ir.op import Array
from cortexspec.library.measures import power_spectrum
from cortexspec.runtime.spike_trains import SpikeTrains

_WINDOW = 256.0  # of a spectrum, in ms
_PER_UNIT = 1000  # Hz in a rate of one a millisecond
_BESIDE, _A_LETTER = 0.5, 0.075  # inches that a name above the panels takes
_A_DECADE = 16  # points of a spectrum in each decade, where there are as many
_BINS = 30
_FASTEST = 1000.0  # Hz
_LINEAR = 8.0  # times the smallest power that the largest may be on a linear axis


def activity(path: Path, runs: Mapping[str, Mapping[str, SpikeTrains]]) -> Path:
    """Rasters of spikes, the distribution of rates over neurons, and the power spectrum of the activity of each population: a column
    a run, a colour a population. runs[title][population]; times in ms."""
    figure, axes = figures.blank(len(runs), 3, width=4.4, height=2.6)
    for (raster, rates, power), (title, populations) in zip(axes.T, runs.items(), strict=True):
        draw_raster(raster, populations)
        raster.set_title(title, fontsize=9)
        draw_rates(rates, populations)
        draw_spectrum(power, populations)
    handles, labels = max((raster.get_legend_handles_labels() for raster in axes[0]), key=lambda found: len(found[1]))
    columns = max(int(figure.get_figwidth() / (_BESIDE + _A_LETTER * max(map(len, labels)))), 1)
    columns = min(len(labels), columns)
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="upper center", ncols=columns)
    return figures.written(figure, path, above=0.25 * -(-len(labels) // columns))


def raster(path: Path, populations: Mapping[str, SpikeTrains]) -> Path:
    """Spikes of a sample of neurons, and below how many fire in each two milliseconds, a colour a population."""
    figure, axes = figures.blank(1, 2, width=6.4, height=2.2, sharex=True, height_ratios=(2, 1))
    upper, lower = axes[:, 0]
    draw_raster(upper, populations)
    for (name, trains), colour in zip(populations.items(), figures.cycle(), strict=False):
        steps = max(round(2 / trains.dt), 1)
        whole = trains.activity[: len(trains.activity) // steps * steps].reshape(-1, steps).mean(axis=1)
        lower.plot(
            (np.arange(len(whole)) + 0.5) * steps * trains.dt, whole * _PER_UNIT, color=colour, lw=0.8, label=name
        )
    upper.set_xlabel("")
    upper.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), markerscale=1.5)
    lower.set(xlabel="time (ms)", ylabel="rate (Hz)", ylim=(0, None))
    return figures.written(figure, path)


def draw_raster(panel: Any, populations: Mapping[str, SpikeTrains], longest: float = 500.0) -> None:
    """Spikes of the neurons that are shown, populations above each other, over the last `longest` milliseconds."""
    below = 0
    for (name, trains), colour in zip(populations.items(), figures.cycle(), strict=False):
        first = max(trains.duration - longest, 0.0)
        late = trains.times >= first
        rows = np.searchsorted(trains.shown, trains.neurons[late]) + below
        size = 2.2 if sum(len(one.shown) for one in populations.values()) <= 2 * len(trains.shown) else 1.4
        panel.plot(trains.times[late], rows, ".", color=colour, ms=size, mew=0)
        panel.plot([], [], "s", color=colour, ms=4, label=name)
        below += len(trains.shown)
        panel.set_xlim(first, trains.duration)
    panel.set(ylim=(-1, below), xlabel="time (ms)", ylabel="neurons, a sample", yticks=[])


def draw_rates(panel: Any, populations: Mapping[str, SpikeTrains]) -> None:
    """Histograms of the rates of all neurons, as densities; a dashed line is the mean."""
    top = max(float(np.quantile(one.rates, 0.995)) for one in populations.values()) * _PER_UNIT
    longest = max(one.duration for one in populations.values())
    step = max(top / _BINS, _PER_UNIT / longest) or 1.0  # a rate is a whole number of spikes over the duration
    step = math.ceil(step * longest / _PER_UNIT) * _PER_UNIT / longest
    edges = _edges(top, step)
    for (name, trains), colour in zip(populations.items(), figures.cycle(), strict=False):
        rates = trains.rates * _PER_UNIT
        panel.stairs(np.histogram(rates, edges)[0] / (len(rates) * step), edges, color=colour, label=name)
        panel.axvline(rates.mean(), color=colour, ls="--", lw=0.8)
    panel.set(xlim=(0, edges[-1]), ylim=(0, None), xlabel="rate of a neuron (Hz)", ylabel="density (1/Hz)")


def _edges(top: float, width: float) -> Array:
    """Of bins of this width around its multiples, from 0 to the first above `top`."""
    return (np.arange(math.ceil(top / width) + 2) - 0.5) * width


def draw_spectrum(panel: Any, populations: Mapping[str, SpikeTrains], window: float = _WINDOW) -> None:
    """Power of the activity of each population over that of as many independent Poisson neurons of these rates, which is 1."""
    shown: list[Array] = []
    for (name, trains), colour in zip(populations.items(), figures.cycle(), strict=False):
        if trains.counts.any():
            frequency, power = smoothed(*relative_power(trains, window))
            panel.plot(frequency, power, color=colour, lw=1, label=name)
            shown.append(power)
    panel.axhline(1, color="0.6", ls=":", lw=0.8)
    values = np.concatenate([np.ones(1), *shown])
    flat = values.max() < _LINEAR * max(values.min(), 0.1)
    panel.set(xscale="log", yscale="linear" if flat else "log", xlabel="frequency (Hz)", ylabel="power over Poisson's")
    if flat:
        panel.set_ylim(0, None)


def relative_power(trains: SpikeTrains, window: float = _WINDOW) -> tuple[Array, Array]:
    """Frequencies in Hz and the power of the activity over that of independent Poisson trains of the same rates, both [frequency].

    A window is a quarter of the run at most; the two lowest frequencies, which the taper mixes with 0, are left out.
    """
    steps = max(int(min(window, trains.duration / 4) / trains.dt) // 2 * 2, 8)
    frequency, power = power_spectrum(trains.together[None, :, None] / trains.dt, steps, trains.dt)
    flat = 2 * trains.together.mean() / trains.dt  # the one-sided density of a Poisson train is twice its rate
    return frequency[2:] * _PER_UNIT, power[0, 2:, 0] / flat


def smoothed(frequency: Array, power: Array) -> tuple[Array, Array]:
    """Means over bins of even width in the logarithm of the frequency, up to a kilohertz; both [bin]."""
    inside = frequency <= _FASTEST
    place = np.floor(_A_DECADE * np.log10(frequency[inside])).astype(int)
    bins, place = np.unique(place, return_inverse=True)
    count = np.bincount(place, minlength=len(bins))
    return np.bincount(place, frequency[inside]) / count, np.bincount(place, power[inside]) / count


@dataclass(frozen=True, slots=True)
class Curves:
    """Tuning curves of a population: rates [neuron, stimulus] in Hz and preferences [neuron], both angles in radians.

    `theory`: what the mean over neurons is expected to be, (angles from the preference, rates in Hz).
    """

    rates: Array
    preferences: Array
    stimuli: Array
    theory: tuple[Array, Array] | None = None

    @property
    def apart(self) -> Array:
        """Of each stimulus from each neuron's preference, between -π and π, [neuron, stimulus]."""
        return (self.stimuli - self.preferences[:, None] + np.pi) % (2 * np.pi) - np.pi

    def profile(self, bins: int = 24) -> tuple[Array, Array, Array]:
        """Centres of bins of `apart` with the mean rate of each and its standard error, over neurons and stimuli."""
        edges = np.linspace(-np.pi, np.pi, bins + 1)
        place = np.clip(np.digitize(self.apart, edges) - 1, 0, bins - 1).ravel()
        values = self.rates.ravel()
        count = np.bincount(place, minlength=bins)
        mean = np.bincount(place, values, bins) / count
        variance = np.maximum(np.bincount(place, values**2, bins) / count - mean**2, 0)
        return (edges[:-1] + edges[1:]) / 2, mean, np.sqrt(variance / count)


def tuning_curves(path: Path, populations: Mapping[str, Curves], chosen: Mapping[str, Sequence[int]]) -> Path:
    """Examples of single neurons above, the mean over a population below, a column a population; angles from the preference.
    chosen[population]: the neurons that are shown."""
    figure, axes = figures.blank(len(populations), 2, width=4.2, height=2.8, sharex=True)
    for (single, mean), (name, curves), colour in zip(axes.T, populations.items(), COLOURS, strict=False):
        for neuron, shade in zip(chosen[name], COLOURS, strict=False):
            order = np.argsort(curves.apart[neuron])
            degrees = np.degrees(curves.apart[neuron][order])
            single.plot(degrees, curves.rates[neuron][order], "o-", color=shade, ms=3, lw=1)
        centres, rates, errors = curves.profile()
        mean.errorbar(np.degrees(centres), rates, errors, fmt="o", color=colour, ms=3, lw=1, label="network")
        if curves.theory is not None:
            angles, expected = curves.theory
            order = np.argsort(angles)
            mean.plot(np.degrees(angles[order]), expected[order], color="black", lw=1, label="theory")
        single.set_title(f"{name}: {len(chosen[name])} of {len(curves.rates)} neurons", fontsize=9)
        mean.set_title(f"{name}: mean over neurons", fontsize=9)
        mean.set(xlabel="stimulus from preference (degrees)", xticks=[-180, -90, 0, 90, 180], ylim=(0, None))
        single.set_ylim(0, None)
        mean.legend(frameon=False, fontsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel("rate (Hz)")
    return figures.written(figure, path)


def rate_distribution(
    path: Path,
    panels: Mapping[str, Mapping[str, Array]],
    expected: Mapping[str, Mapping[str, tuple[Array, Array]]],
    step: float,
) -> Path:
    """Rates of neurons as histograms, and what a theory expects as dashed lines, a panel a title, a colour a population.

    panels[title][population] [neuron] in Hz, whole numbers of `step`; expected[title][population] = (rates, density in 1/Hz).
    """
    figure, axes = figures.panelled(len(panels), width=4.2, height=3.0)
    for panel, (title, populations) in zip(axes.flat, panels.items(), strict=False):
        top = max(float(np.quantile(rates, 0.995)) for rates in populations.values())
        width = max(math.ceil(top / _BINS / step), 1) * step
        edges = _edges(top, width)
        for (name, rates), colour in zip(populations.items(), COLOURS, strict=False):
            density = np.histogram(rates, edges)[0] / (len(rates) * width)
            panel.stairs(density, edges, color=colour, label=f"{name}, network")
            if name in expected.get(title, {}):
                places, values = expected[title][name]
                shown = places < edges[-1]
                panel.plot(places[shown], values[shown], color=colour, lw=1.4, ls="--", label=f"{name}, theory")
        panel.set(xlabel="rate of a neuron (Hz)", ylabel="density (1/Hz)", yscale="log", xlim=(0, edges[-1]))
        panel.set_title(title, fontsize=9)
        panel.legend(frameon=False, fontsize=8)
    return figures.written(figure, path)


def against(
    path: Path,
    names: tuple[str, str],
    lines: Mapping[str, tuple[Array, Array]],
    points: Mapping[str, tuple[Array, Array, Array]],
) -> Path:
    """What a theory expects as lines (x, y) and what was found as points (x, y, standard error of y), over decades of x."""
    figure, axes = figures.blank(width=4.8, height=3.2)
    panel = axes[0, 0]
    for (label, (x, y)), style in zip(lines.items(), ("--", "-", ":", "-.") * len(lines), strict=False):
        panel.plot(x, y, style, color="black", lw=1.2, label=label)
    for (label, (x, y, error)), colour in zip(points.items(), figures.cycle(), strict=False):
        panel.errorbar(x, y, error, fmt="o", color=colour, ms=4, lw=1, capsize=2, label=label)
    every = np.unique(np.concatenate([one[0] for one in (*lines.values(), *points.values())]))
    panel.set(xscale="log", xlabel=names[0], ylabel=names[1])
    panel.set_xticks(every, [f"{x:g}" for x in every])
    panel.minorticks_off()
    panel.legend(frameon=False, fontsize=8)
    return figures.written(figure, path)


def spectra(path: Path, panels: Mapping[str, Mapping[str, SpikeTrains]], window: float = _WINDOW) -> Path:
    """Power of the activity, a panel a population, a colour a run. panels[population][run]."""
    figure, axes = figures.panelled(len(panels), width=4.2, height=3.0, sharey=True)
    for panel, (title, runs) in zip(axes.flat, panels.items(), strict=False):
        draw_spectrum(panel, runs, window)
        panel.set_title(title, fontsize=9)
        panel.legend(frameon=False, fontsize=8)
    return figures.written(figure, path)
