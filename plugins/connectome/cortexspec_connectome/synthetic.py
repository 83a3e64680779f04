"""Synthetic event trains and fluorescence for given places of cells. What is made here was never measured, and every file says so.

    log r_i(t) = m_i + a g_i(t) + b u(t)
g    Gaussian, Ornstein-Uhlenbeck in time (1 s), covariance exp(-distance/length) - c in space
u    one Ornstein-Uhlenbeck process for all (10 s)
m_i  so that mean rates are lognormal, 0.45 +- 0.16 a second within 0.1 to 1.5
Events are Poisson, at most one a frame; fluorescence is events * (exp(-t/0.6 s) - exp(-t/0.07 s)) and white noise. a, the
length, and either b or c are fitted to correlations by distance, those of the MICrONS field 6_6_2 unless others are given.

Two facts shape it. Bins of 0.2 s have one or two frames of 0.159 s, in step for all cells, which alone correlates the counts of
independent cells by about 0.012. Distant cells of the real fields are below that: they compete, so there c is needed, and b is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from cortexspec_connectome import events

Array = np.ndarray[Any, Any]

FRAME_RATE_HZ = 6.3009
LENGTH_UM, LENGTH_RANGE_UM = 150.0, (75.0, 600.0)  # where the fit starts, and its ends
LOCAL_S, SHARED_S = 1.0, 10.0
RATE_HZ, RATE_SD_HZ, RATE_RANGE_HZ = 0.45, 0.16, (0.1, 1.5)
RISE_S, DECAY_S = 0.07, 0.6
EDGES_UM = (0.0, 50.0, 100.0, 200.0, 400.0, 800.0)
TARGETS = (0.0594, 0.0451, 0.0335, 0.0181, 0.0034)  # of field 6_6_2
_AT_ONCE = 4000  # frames


@dataclass(frozen=True, slots=True)
class Drive:
    """How strong what cells have in common is."""

    local: float  # a
    shared: float = 0.0  # b
    opposed: float = 0.0  # c
    length_um: float = 150.0


@dataclass(frozen=True)
class Synthetic:
    """`frames` [event] of all cells one after the other, by `offsets` [cell + 1]; `fluorescence` [frame, cell] where asked for."""

    frames: Array = field(repr=False)
    offsets: Array = field(repr=False)
    drive: Drive
    seed: int
    fluorescence: Array | None = field(default=None, repr=False)

    @property
    def trains(self) -> list[Array]:
        """Event times in seconds, an array a cell."""
        return [part / FRAME_RATE_HZ for part in np.split(self.frames, self.offsets[1:-1])]

    @property
    def source(self) -> str:
        return f"synthetic: events and fluorescence were made by cortexspec_connectome.synthetic (seed {self.seed}), not measured"

    def columns(self) -> dict[str, Array]:
        """Of the common format, the label among them."""
        traces = {} if self.fluorescence is None else {"fluorescence": self.fluorescence}
        return {
            "event_frame": self.frames,
            "event_offset": self.offsets,
            "frame_rate_hz": np.array(FRAME_RATE_HZ),
            "source": np.array(self.source),
            **traces,
        }


def synthetic(
    positions: Array,
    seed: int,
    frames: int = 40_000,
    targets: tuple[float, ...] = TARGETS,
    *,
    traces: bool = False,
    noise: float = 0.05,
) -> Synthetic:
    """Events of cells at `positions` [cell, 3] in µm. `targets` are the mean correlations between EDGES_UM that a and b are fitted to.

    `noise`: the standard deviation of what is added to fluorescence, in units of the response to one event (without the rise).
    Raises: ValueError for fewer than two cells or frames.
    """
    if len(positions) < 2 or frames < 2:
        raise ValueError(f"two cells and two frames at least are wanted, not {len(positions)} and {frames}")
    draw = np.random.Generator(np.random.Philox(key=seed))
    rates = _rates(len(positions), draw)
    drive = fitted(positions, targets)
    a, b = drive.local, drive.shared
    covariance = _covariance(positions, drive.length_um) - drive.opposed
    mean = np.log(rates) - (a**2 * np.diag(covariance) + b**2) / 2
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    local, shared = _Process(LOCAL_S, len(positions), draw), _Process(SHARED_S, 1, draw)
    fired = np.zeros((frames, len(positions)), bool)
    for first in range(0, frames, _AT_ONCE):
        steps = min(_AT_ONCE, frames - first)
        log_rate = mean + a * (local.next(steps) @ root.T) + b * shared.next(steps)
        fired[first : first + steps] = draw.random(log_rate.shape) < -np.expm1(-np.exp(log_rate) / FRAME_RATE_HZ)
    cells, places = np.nonzero(fired.T)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=len(positions)))])
    made = _fluorescence(fired, noise, draw) if traces else None
    return Synthetic(places.astype(np.int32), offsets.astype(np.int32), drive, seed, made)


def fitted(positions: Array, targets: tuple[float, ...] = TARGETS) -> Drive:
    """The drive with which expected correlations of counts are nearest to `targets`, in the bins of distance that have pairs."""
    from scipy.optimize import least_squares

    distance = _distances(positions)
    inside = [np.triu((distance >= low) & (distance < high), 1) for low, high in pairwise(EDGES_UM)]
    used = [(np.nonzero(one), target) for one, target in zip(inside, targets, strict=True) if one.any()]

    def drive(numbers: Array) -> Drive:
        """From the logarithms of a and of the length, and what all cells have in common, in units of a^2.

        Below 0 they are opposed, at most until some direction has no variance left.
        """
        a, length, common = float(np.exp(numbers[0])), float(np.exp(numbers[1])), float(numbers[2])
        most = 1 / float(np.linalg.solve(_covariance(positions, length), np.ones(len(positions))).sum())
        return Drive(a, a * float(np.sqrt(max(common, 0.0))), min(max(-common, 0.0), most), length)

    def misses(numbers: Array) -> list[float]:
        made = drive(numbers)
        local = _covariance(positions, made.length_um) - made.opposed
        return [float(np.mean(_expected(local[pairs], made)) - target) for pairs, target in used]

    low, high = np.log(LENGTH_RANGE_UM)
    start = [np.log(0.8), np.log(LENGTH_UM), -0.05]
    return drive(least_squares(misses, start, bounds=([-3.0, low, -1.0], [1.0, high, 2.0]), diff_step=1e-4).x)


def _expected(local: Array, drive: Drive) -> Array:
    """The correlation of counts of two cells with the mean rate, given the covariance of their g at one time.

    A frame has an event with probability f(x) = 1 - exp(-e^x/rate of frames), x a Gaussian log rate; two of them with correlation r
    have the covariance of f, a series in r (Hermite polynomials). A bin has one frame or two, in step for all cells.
    """
    sd = float(np.hypot(drive.local * np.sqrt(1 - drive.opposed), drive.shared))
    mean = float(np.log(_hazard(RATE_HZ)) - sd**2 / 2)
    series = _series(mean, sd)
    p, lag = series[0], 1 / FRAME_RATE_HZ
    frames = events.BIN * FRAME_RATE_HZ
    two = frames - 1  # the share of bins with two frames

    def covariance(one: Any, k: int) -> Any:
        common = drive.local**2 * one * np.exp(-k * lag / LOCAL_S) + drive.shared**2 * np.exp(-k * lag / SHARED_S)
        return np.polynomial.polynomial.polyval(common / sd**2, [0.0, *series[1:] ** 2])

    spread = p**2 * two * (1 - two)
    variance = frames * p * (1 - p) + spread + 2 * two * covariance(1 - drive.opposed, 1)
    return (spread + frames * covariance(local, 0) + 2 * two * covariance(local, 1)) / variance


def _series(mean: float, sd: float, terms: int = 10) -> Array:
    """The coefficients of 1 - exp(-e^(mean + sd x)/rate of frames) in orthonormal Hermite polynomials of a standard normal x."""
    from numpy.polynomial.hermite_e import hermegauss, hermeval

    x, weight = hermegauss(60)
    values = weight / np.sqrt(2 * np.pi) * -np.expm1(-np.exp(mean + sd * x) / FRAME_RATE_HZ)
    norms = np.sqrt(np.cumprod([1.0, *range(1, terms)]))
    return np.array([np.sum(values * hermeval(x, np.eye(terms)[k])) / norms[k] for k in range(terms)])


def by_distance(positions: Array, correlation: Array) -> Array:
    """Mean correlation of pairs in each bin of EDGES_UM; not a number where there is none."""
    pairs = np.triu_indices(len(positions), 1)
    distance, found = _distances(positions)[pairs], correlation[pairs]
    inside = [(distance >= low) & (distance < high) for low, high in pairwise(EDGES_UM)]
    return np.array([found[one].mean() if one.any() else np.nan for one in inside])


def columns_like(stored: Mapping[str, Array], made: Synthetic) -> dict[str, Array]:
    """A field's places, synapses and ids with synthetic activity in place of all that was measured of it."""
    anatomy = (
        "position_voxel",
        "position_um",
        "edge_source",
        "edge_target",
        "edge_synapses",
        "unit_id",
        "root_id",
        "target_id",
    )
    return {**{name: stored[name] for name in anatomy if name in stored}, **made.columns()}


def _distances(positions: Array) -> Array:
    return np.linalg.norm(positions[:, np.newaxis] - positions[np.newaxis], axis=2)


def _covariance(positions: Array, length: float) -> Array:
    """Of g at one time, before c is taken off."""
    return np.exp(-_distances(positions) / length)


def _rates(cells: int, draw: np.random.Generator) -> Array:
    """Lognormal, drawn again outside of the range; a little higher than asked for, as a frame holds one event at most."""
    variance = np.log1p((RATE_SD_HZ / RATE_HZ) ** 2)
    found = np.zeros(cells)
    left = np.arange(cells)
    while len(left):
        found[left] = draw.lognormal(np.log(RATE_HZ) - variance / 2, np.sqrt(variance), len(left))
        left = left[(found[left] < RATE_RANGE_HZ[0]) | (found[left] > RATE_RANGE_HZ[1])]
    return _hazard(found)


def _hazard(rates: Any) -> Any:
    """The rate of a Poisson process that has at least one event in a frame as often as `rates` say."""
    return -np.log1p(-rates / FRAME_RATE_HZ) * FRAME_RATE_HZ


class _Process:
    """Independent Ornstein-Uhlenbeck processes of variance 1, frame by frame, from their stationary law on."""

    def __init__(self, time_constant: float, count: int, draw: np.random.Generator):
        self.keep = np.exp(-1 / (FRAME_RATE_HZ * time_constant))
        self.draw, self.now = draw, draw.standard_normal(count)

    def next(self, steps: int) -> Array:
        """[step, process]"""
        from scipy.signal import lfilter

        pushed = self.draw.standard_normal((steps, len(self.now))) * np.sqrt(1 - self.keep**2)
        found, _ = lfilter([1.0], [1.0, -self.keep], pushed, axis=0, zi=(self.keep * self.now)[np.newaxis])
        self.now = found[-1]
        return found


def _fluorescence(fired: Array, noise: float, draw: np.random.Generator) -> Array:
    """[frame, cell]"""
    from scipy.signal import lfilter

    slow, fast = (
        lfilter([1.0], [1.0, -np.exp(-1 / (FRAME_RATE_HZ * tau))], fired, axis=0) for tau in (DECAY_S, RISE_S)
    )
    return (slow - fast + noise * draw.standard_normal(fired.shape)).astype(np.float32)


__all__ = ["EDGES_UM", "FRAME_RATE_HZ", "TARGETS", "Synthetic", "by_distance", "columns_like", "fitted", "synthetic"]
