"""Measures of every pair of neurons of a large network, from counts that are products of two arrays of states.

Matrices are [target, source].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexspec_binary.measures.counts import ROOM, require_room
from cortexspec_binary.measures.entropy import Correction, entropy
from cortexspec_binary.measures.information import flux, transfer_entropy

Array = np.ndarray[Any, Any]
_EXACT = 1 << 24  # float32 counts without rounding up to here


class PairCounts:
    """For each pair, how often source and target were on together, the target `lag` steps after the source.

    With `conditional`, counts also hold the target at the time of the source, which pairwise transfer entropy needs.
    Runs are pooled unless `per_run`. Neurons are on where their value exceeds 0.
    Raises: SpecError CS931 where the counts would not fit in `room` bytes.
    """

    def __init__(
        self,
        targets: int,
        sources: int,
        lag: int = 1,
        runs: int = 1,
        *,
        per_run: bool = False,
        conditional: bool = False,
        room: int = ROOM,
    ):
        if lag < 1:
            raise ValueError("pairs are counted over a lag of one step or more")
        self.targets, self.sources, self.lag, self.runs = targets, sources, lag, runs
        self.per_run, self.conditional = per_run, conditional
        shape = (runs if per_run else 1, targets, sources)
        products = 3 if conditional else 1
        help = "measure a part of the neurons, or pool the runs"
        require_room(products * int(np.prod(shape)), f"counts of {targets} x {sources} pairs", help, room=room)
        self.transitions = np.zeros(shape[:1], np.int64)
        self._both = np.zeros(shape, np.int64)
        self._source = np.zeros((shape[0], sources), np.int64)
        self._target = np.zeros((shape[0], targets), np.int64)
        self._before = np.zeros((shape[0], targets), np.int64)  # the target, at the time of the source
        self._staying = np.zeros((shape[0], targets), np.int64)  # the target at both times
        self._held = np.zeros(shape if conditional else (0, 0, 0), np.int64)  # source and target at the source's time
        self._all = np.zeros_like(self._held)
        self._kept_source = np.zeros((runs, 0, sources), np.float32)
        self._kept_target = np.zeros((runs, 0, targets), np.float32)

    def update(self, target: Array, source: Array) -> PairCounts:
        """Counts what a chunk adds; gives itself.

        Shapes: target [runs, steps, targets], source [runs, steps, sources].
        """
        source = np.concatenate([self._kept_source, np.asarray(source) > 0], axis=1, dtype=np.float32)
        target = np.concatenate([self._kept_target, np.asarray(target) > 0], axis=1, dtype=np.float32)
        have = source.shape[1]
        at_once = max(_EXACT // max(self.runs, 1), 1)
        for first in range(0, max(have - self.lag, 0), at_once):
            last = min(first + at_once, have - self.lag)
            self._count(target[:, first + self.lag : last + self.lag], target[:, first:last], source[:, first:last])
        kept = max(have - self.lag, 0)
        self._kept_source, self._kept_target = source[:, kept:], target[:, kept:]
        return self

    def _count(self, after: Array, before: Array, source: Array) -> None:
        if not self.per_run:
            after, before, source = (one.reshape(1, -1, one.shape[-1]) for one in (after, before, source))
        self.transitions += source.shape[1]
        self._both += _products(after, source)
        self._source += _whole(source.sum(axis=1))
        self._target += _whole(after.sum(axis=1))
        self._before += _whole(before.sum(axis=1))
        self._staying += _whole((after * before).sum(axis=1))
        if self.conditional:
            self._held += _products(before, source)
            self._all += _products(after * before, source)

    @property
    def tables(self) -> Array:
        """Counts [..., target, source, source off or on, target off or on]; the first axis runs, where they are kept apart."""
        source, target, total = self._source[:, None, :], self._target[:, :, None], self.transitions[:, None, None]
        return self._shaped(_table(self._both, source, target, total))

    @property
    def conditional_tables(self) -> Array:
        """Counts [..., target, source, source, target, target after it]. Raises: ValueError without `conditional`."""
        if not self.conditional:
            raise ValueError("counts for transfer entropy are gathered with `conditional`")
        source, total = self._source[:, None, :], self.transitions[:, None, None]
        before, after = self._before[:, :, None], self._target[:, :, None]
        staying = self._staying[:, :, None]
        held = _table(self._all, self._held, staying, before)
        free = _table(self._both - self._all, source - self._held, after - staying, total - before)
        return self._shaped(np.stack([free, held], axis=-2))

    def _shaped(self, counts: Array) -> Array:
        return counts if self.per_run else counts[0]


def _table(both: Array, source: Array, target: Array, total: Array) -> Array:
    """The four counts [..., source off or on, target off or on] from those of what is on."""
    on, only_source, only_target = both, source - both, target - both
    off = total - on - only_source - only_target
    return np.stack([np.stack([off, only_target], axis=-1), np.stack([only_source, on], axis=-1)], axis=-2)


def pairwise_flux(tables: Array, correction: Correction = "none") -> Array:
    """I(z_j(t); z_i(t + lag)) of each pair.

    Shapes: tables [..., target, source, 2, 2]; returns [..., target, source]. Units: bit, at most 1.
    Source: Metzner et al. 2026, arXiv 2605.14680 (as reported).
    """
    return flux(tables, correction)


def pairwise_transfer_entropy(tables: Array, correction: Correction = "none") -> Array:
    """I(z_i(t + lag); z_j(t) | z_i(t)) of each pair.

    Shapes: tables [..., target, source, 2, 2, 2]; returns [..., target, source]. Units: bit.
    Source: Schreiber 2000, equation 4; Metzner et al. 2026, arXiv 2605.14680 (as reported).
    """
    return transfer_entropy(tables, correction)


def lagged_correlation(tables: Array) -> Array:
    """Pearson's correlation of z_j(t) and z_i(t + lag); 0 where one of them never changes.

    Shapes: tables [..., target, source, 2, 2]; returns [..., target, source].
    Source: its root mean square is nearly a monotone function of flux for moderately strong weights
    (Metzner and Krauss 2024, Neural Computation, as reported).
    """
    total = tables.sum(axis=(-2, -1))
    shares = tables / np.where(total > 0, total, 1)[..., None, None]
    source, target, both = shares[..., 1, :].sum(axis=-1), shares[..., :, 1].sum(axis=-1), shares[..., 1, 1]
    spread = np.sqrt(source * (1 - source) * target * (1 - target))
    return np.where(spread > 0, (both - source * target) / np.where(spread > 0, spread, 1), 0.0)


def flux_of_correlation(correlation: Array) -> Array:
    """The flux of a pair whose correlation C is small: C^2/(2 ln 2). Units: bit.

    Source: the expansion of the mutual information of two bits to second order in C.
    """
    return np.asarray(correlation) ** 2 / (2 * np.log(2))


def root_mean_square(matrix: Array, autapses: bool = False) -> Array:
    """The root mean square over pairs [..., target, source]; those of a neuron with itself only where asked for."""
    return reduced(matrix, "rms", autapses)


def reduced(matrix: Array, how: str, autapses: bool = False) -> Array:
    """The `mean`, `rms` or `sum` over pairs [..., target, source]; those of a neuron with itself only where asked for."""
    kept = np.ones(matrix.shape[-2:], bool) if autapses else ~np.eye(*matrix.shape[-2:], dtype=bool)
    values = matrix[..., kept]
    match how:
        case "rms":
            return np.sqrt((values**2).mean(axis=-1))
        case "sum":
            return values.sum(axis=-1)
        case _:
            return values.mean(axis=-1)


def activity_entropy(tables: Array, correction: Correction = "none") -> Array:
    """The entropy of each target alone, an upper bound of its pairwise flux.

    Shapes: tables [..., target, source, 2, 2]; returns [..., target]. Units: bit.
    """
    return entropy(tables[..., 0, :, :].sum(axis=-2), 1, correction)


def _products(target: Array, source: Array) -> Array:
    return _whole(np.matmul(target.transpose(0, 2, 1), source))


def _whole(counts: Array) -> Array:
    return np.rint(counts).astype(np.int64)
