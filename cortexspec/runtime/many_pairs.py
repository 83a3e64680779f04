"""Draws connections among so many pairs that not each of them can be looked at: memory and time go with the connections.

Edges come in the order source, target, draw, as int32. The numbers of a draw are keyed by seed and site as everywhere, then by a block
of pairs (`bernoulli`), a source or target (a fixed degree), or by nothing more (`fixed_total`), and counted within.
Laws are exact: a bound is thinned, a set without repetition is what the first different draws with repetition are.
See docs/decisions/0050.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from cortexspec.diagnostics import SpecError
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import Words, draw_words, unit_interval
from cortexspec.runtime.pairs import PairExpression

Pairs = tuple[Array, Array]  # targets and sources of edges

_AT_ONCE = 2**19  # draws that are made together
_BLOCK = 512  # neurons of a side in a block that shares a bound, unless that makes more blocks than
_MOST_BLOCKS = 64  # of a side
_MOST_UNBOUNDED = 2**30  # pairs that are looked at one by one where nothing bounds their probability
_MOST_ROOM = 2**28  # edges for which room is made ahead by a bound that is not reached
_FEW = 4096  # pairs for which narrower bounds are not worth it
_MOST_TRIES = 64  # draws for one that may be
_SKIP, _THIN, _PICK, _ROW = range(4)  # the second key, by what a number is for


class Stop(Protocol):
    def __call__(self, code: str, message: str, help: str = "") -> SpecError: ...


@dataclass(frozen=True, slots=True)
class ManyPairs:
    """Among which pairs is drawn: not a neuron with itself where `own` numbers those of targets and of sources, and as `where` says."""

    site: str
    seed: int
    targets: int
    sources: int
    own: tuple[Array, Array] | None
    where: PairExpression | None
    stop: Stop

    @property
    def pairs(self) -> int:
        return self.targets * self.sources

    def words(self, keys: tuple[Array, ...], count: int, first: int = 0) -> Words:
        return draw_words(self.site, np.array(self.seed), keys, count, first)

    def numbers(self, keys: tuple[Array, ...], count: int, first: int = 0) -> Array:
        """Uniform in [0, 1), on a last axis behind that of the keys."""
        return unit_interval(self.words(keys, count, first), np.dtype("float64"))

    def allowed(self, post: Array, pre: Array) -> Array:
        """[pair]: which of these may be connected."""
        if self.own is not None:
            kept = self.own[0][post] != self.own[1][pre]
        else:
            kept = np.ones(len(post), bool)
        if self.where is None:
            return kept
        left = np.flatnonzero(kept)
        kept[left] = self.where.at(post[left], pre[left])
        return kept

    @property
    def possible(self) -> int:
        """How many pairs there are without those of a neuron with itself, `where` not considered."""
        if self.own is None:
            return self.pairs
        names, counts = np.unique(self.own[0], return_counts=True)
        others, more = np.unique(self.own[1], return_counts=True)
        _, left, right = np.intersect1d(names, others, return_indices=True)
        return self.pairs - int(np.sum(counts[left] * more[right]))


class _Collected:
    """Edges in two arrays that grow in place, so that they are held once: 8 bytes an edge."""

    def __init__(self, expected: float):
        room = int(expected + 8 * np.sqrt(expected)) + 1024
        self._post, self._pre = np.empty(room, np.int32), np.empty(room, np.int32)
        self._count = 0

    def add(self, post: Array, pre: Array) -> None:
        end = self._count + len(post)
        if end > len(self._post):
            for array in (self._post, self._pre):
                array.resize(max(end, len(self._post) * 9 // 8), refcheck=False)
        self._post[self._count : end], self._pre[self._count : end] = post, pre
        self._count = end

    def all(self) -> Pairs:
        for array in (self._post, self._pre):
            array.resize(self._count, refcheck=False)
        return self._post, self._pre


# Each pair with a probability


def bernoulli(pairs: ManyPairs, p: PairExpression) -> Pairs:
    """Each pair with its probability: between two candidates of a block lies a geometric number of pairs, whose parameter is the
    largest probability in the block; a candidate stays with its own probability over that one.

    Source: Devroye 1986, Non-uniform random variate generation, II.3 (thinning) and X.2 (geometric gaps), doi:10.1007/978-1-4613-8643-8.
    Raises: SpecError CS512, CS700.
    """
    rows, columns = _cuts(pairs.targets), _cuts(pairs.sources)
    bound, sure, same = _bounds(pairs, p, rows, columns)
    widths = np.diff(rows)[:, np.newaxis] * np.diff(columns)
    expected = float(np.sum(bound * widths))
    # Room that is not filled takes no memory, and what grows is copied.
    found = _Collected(expected if same.all() or expected < _MOST_ROOM else 0.5 * expected)
    for column, (left, right) in enumerate(pairwise(columns)):
        parts: list[Pairs] = []
        for row, (top, bottom) in enumerate(pairwise(rows)):
            q = float(bound[row, column])
            key = (np.array(column * (len(rows) - 1) + row),)
            for places, drawn in _skip(pairs, key, q, int(bottom - top) * int(right - left), bool(same[row, column])):
                pre, post = np.divmod(places, bottom - top)
                pre += left
                post += top
                kept = pairs.allowed(post, pre)
                if drawn is not None:
                    chances = p.at(post, pre)
                    _checked(pairs, chances)
                    kept &= drawn * q < chances
                parts.append((post[kept].astype(np.int32), pre[kept].astype(np.int32)))
            if not sure[row, column]:
                _look_at_all(pairs, p, (int(top), int(bottom)), (int(left), int(right)))
        if parts:
            post, pre = (np.concatenate(side) for side in zip(*parts, strict=True))
            found.add(*((post, pre) if len(rows) == 2 else in_order(post, pre)))
    return found.all()


def _cuts(size: int) -> Array:
    blocks = min(_MOST_BLOCKS, max(1, -(-size // _BLOCK)))
    return np.linspace(0, size, blocks + 1).astype(np.int64)


def _bounds(pairs: ManyPairs, p: PairExpression, rows: Array, columns: Array) -> tuple[Array, Array, Array]:
    """By [target block, source block]: the largest probability, whether all of them are in [0, 1], whether they are all the same."""
    shape = (len(rows) - 1, len(columns) - 1)
    ends = p.bounds(rows, columns)
    if ends is None and pairs.pairs > _MOST_UNBOUNDED:
        message = f"drawing among {pairs.pairs} pairs with a probability that cannot be bounded is not supported yet"
        raise pairs.stop("CS700", message, "write it with +, -, *, /, powers, exp, cos, where and comparisons")
    if ends is None:
        return np.ones(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    low, high = ends
    same = low == high
    if bool(np.any(wrong := same & ~((low >= 0) & (low <= 1)))):
        raise _improbable(pairs, float(low[wrong][0]))
    bound = np.where(same, high, high + 1e-9 * np.abs(high))
    return np.clip(bound, 0.0, 1.0), same | _surely_chances(low, high), same


def _skip(
    pairs: ManyPairs, key: tuple[Array, ...], q: float, count: int, same: bool
) -> Iterator[tuple[Array, Array | None]]:
    """Places among `count` that are taken with probability q each, in order, and a number in [0, 1) for each unless `same`."""
    last, first = -1, 0
    if q <= 0:
        return
    while last < count:
        left = (count - last) * q
        draws = int(min(_AT_ONCE, left + 6 * np.sqrt(left) + 16))
        u = pairs.numbers((*key, np.array(_SKIP)), draws, first)
        if q < 1:
            # Longer than all pairs is as good as any length: it must not overflow in the sum.
            gaps = np.minimum(np.floor(np.log1p(-u) / np.log1p(-q)), float(count)).astype(np.int64)
        else:
            gaps = np.zeros(draws, np.int64)
        gaps += 1
        places = np.cumsum(gaps)
        places += last
        last = int(places[-1])
        inside = int(np.searchsorted(places, count))
        yield places[:inside], None if same else pairs.numbers((*key, np.array(_THIN)), draws, first)[:inside]
        first += draws


def _checked(pairs: ManyPairs, chances: Array) -> None:
    wrong = ~((chances >= 0) & (chances <= 1))
    if wrong.any():
        raise _improbable(pairs, float(chances[wrong][0]))


def _improbable(pairs: ManyPairs, worst: float) -> SpecError:
    return pairs.stop("CS512", f"a pair is connected with probability {worst:g}, which is not in [0, 1]")


def _look_at_all(pairs: ManyPairs, p: PairExpression, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Where bounds leave it open whether probabilities are in [0, 1]: narrower bounds, and in the end pair by pair."""
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    top, left = (np.linspace(*ends, min(16, ends[1] - ends[0]) + 1).astype(np.int64) for ends in (rows, columns))
    ends = p.bounds(top, left) if height * width > _FEW else None
    if ends is None:
        post = np.tile(np.arange(*rows), width)
        _checked(pairs, p.at(post, np.repeat(np.arange(*columns), height)))
        return
    low, high = ends
    for i, j in zip(*np.nonzero(~_surely_chances(low, high)), strict=True):
        _look_at_all(pairs, p, (int(top[i]), int(top[i + 1])), (int(left[j]), int(left[j + 1])))


def _surely_chances(low: Array, high: Array) -> Array:
    """One part in 1e9 is left to the rounding of the expression: what is negative by that alone is not looked for."""
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    return (low >= -slack) & (high <= 1 + slack)


# A fixed number


def fixed_degree(
    pairs: ManyPairs, degrees: Array, by_target: bool, multapses: bool, refuse: Callable[[int, int], SpecError]
) -> Pairs:
    """So many places for each target (or source): of draws with repetition the first that may be, without `multapses` the first
    different ones.

    Raises: what `refuse` makes of the degree and the places that there are, where these are fewer.
    """
    rows, columns = (pairs.targets, pairs.sources) if by_target else (pairs.sources, pairs.targets)
    total = int(degrees.sum())
    codes = np.empty(total if by_target else 0, np.int64)
    found = _Collected(0 if by_target else total)
    ends = np.cumsum(degrees)
    start = 0
    while start < rows:
        # As many rows as fit: at least one.
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        part = np.arange(start, min(stop, rows))
        row, column = _chosen(pairs, part, degrees[part], columns, by_target, multapses, refuse)
        if by_target:
            codes[before : before + len(row)] = (column << 32) | row
        else:
            found.add(*_unpacked((row << 32) | column))
        start = int(part[-1]) + 1
    return _unpacked(codes) if by_target else found.all()


def _chosen(
    pairs: ManyPairs,
    rows: Array,
    degrees: Array,
    columns: int,
    by_target: bool,
    multapses: bool,
    refuse: Callable[[int, int], SpecError],
) -> tuple[Array, Array]:
    """Row and column of each connection of these rows, row by row."""
    most = int(degrees.max(initial=0))
    found: list[tuple[Array, Array]] = []
    left = rows
    draws = most + int(1.5 * most * most / max(columns, 1) + 4 * np.sqrt(most)) + 8
    # A row that wants many of its places, or finds few that may be, is looked at as a whole.
    while len(left) and draws <= max(columns // 2, 4 * most):
        size = max(1, _AT_ONCE // draws)
        again: list[Array] = []
        for start in range(0, len(left), size):
            part = left[start : start + size]
            wanted = degrees[part - rows[0]]
            row, column, done = _first_drawn(pairs, part, wanted, columns, draws, by_target, multapses)
            found.append((row, column))
            again.append(part[~done])
        left, draws = np.concatenate(again), 2 * draws
    for one in left:
        degree = int(degrees[one - rows[0]])
        places = np.arange(columns)
        same = np.full(columns, one)
        places = places[pairs.allowed(*((same, places) if by_target else (places, same)))]
        if degree > len(places) and not (multapses and len(places)):
            raise refuse(degree, len(places))
        numbers = pairs.numbers((np.array(one), np.array(_ROW)), max(columns, degree))
        if multapses:
            chosen = places[np.floor(numbers[:degree] * len(places)).astype(np.int64)]
        else:
            chosen = places[np.argsort(numbers[places], kind="stable")[:degree]]
        found.append((np.full(degree, one), chosen))
    row, column = (np.concatenate([np.empty(0, np.int64), *side]) for side in zip(*found, strict=True))
    return row, column


def _first_drawn(
    pairs: ManyPairs, rows: Array, degrees: Array, columns: int, draws: int, by_target: bool, multapses: bool
) -> tuple[Array, Array, Array]:
    """Of so many draws a row the first (different) ones that may be, for the rows that have enough of them; and which these are."""
    u = pairs.numbers((rows, np.full(len(rows), _PICK)), draws)
    drawn = np.floor(u * columns).astype(np.int64)
    first = np.ones(drawn.shape, bool)
    if not multapses:
        order = np.argsort(drawn, axis=1, kind="stable")
        ranked = np.take_along_axis(drawn, order, 1)
        np.put_along_axis(first, order[:, 1:], ranked[:, 1:] != ranked[:, :-1], 1)
    if pairs.own is not None or pairs.where is not None:
        row, column = np.repeat(rows, draws), drawn.reshape(-1)
        first &= pairs.allowed(*((row, column) if by_target else (column, row))).reshape(first.shape)
    rank = np.cumsum(first, axis=1)
    done = rank[:, -1] >= degrees
    kept = first & (rank <= degrees[:, np.newaxis]) & done[:, np.newaxis]
    return np.repeat(rows[done], degrees[done]), drawn[kept], done


def fixed_total(pairs: ManyPairs, wanted: int, multapses: bool, refuse: Callable[[int, int], SpecError]) -> Pairs:
    """So many pairs, without `multapses` different ones. Raises: what `refuse` makes of too many; SpecError CS700."""
    possible = pairs.possible
    if wanted > possible and not (multapses and possible):
        raise refuse(wanted, possible)
    if not multapses and 2 * wanted > possible:
        message = f"`fixed_total` of more than half of {possible} pairs is not supported yet"
        raise pairs.stop("CS700", message, "`bernoulli` and fixed degrees are")
    codes = np.empty(wanted, np.int64)
    have, first = 0, 0
    while have < wanted:
        missing, filled = wanted - have, have
        for start in range(0, missing, _AT_ONCE):
            draws = min(_AT_ONCE, missing - start)
            u = pairs.numbers((np.array(_PICK),), draws, first)
            pre, post = np.divmod(np.floor(u * pairs.pairs).astype(np.int64), pairs.targets)
            kept = pairs.allowed(post, pre)
            drawn = (pre[kept] << 32) | post[kept]
            codes[filled : filled + len(drawn)] = drawn
            filled += len(drawn)
            first += draws
        have = filled if multapses else _different(codes, filled)
        if have < wanted and first > _MOST_TRIES * (wanted + _AT_ONCE):
            message = f"drawing among the few of {pairs.pairs} pairs that `where` leaves is not supported yet"
            raise pairs.stop("CS700", message)
    return _unpacked(codes)


def _different(codes: Array, count: int) -> int:
    """Sorts the first `count` and moves the different ones to the front; gives how many there are."""
    head = codes[:count]
    head.sort()
    have, before = 0, -1
    for start in range(0, count, _AT_ONCE):
        part = head[start : start + _AT_ONCE].copy()
        new = np.empty(len(part), bool)
        new[0], new[1:] = part[0] != before, part[1:] != part[:-1]
        before = int(part[-1])
        kept = part[new]
        head[have : have + len(kept)] = kept
        have += len(kept)
    return have


def with_repetition(rows: Iterator[tuple[Array, Array]], total: int, by_target: bool) -> Pairs:
    """Edges whose targets (or sources) and other ends come piece by piece, in the order source, target."""
    codes, start = np.empty(total, np.int64), 0
    for row, column in rows:
        pre, post = (column, row) if by_target else (row, column)
        codes[start : start + len(row)] = (pre.astype(np.int64) << 32) | post
        start += len(row)
    return _unpacked(codes[:start])


# Order


def in_order(post: Array, pre: Array) -> Pairs:
    """Edges in the order source, target."""
    codes = np.left_shift(pre, 32, dtype=np.int64)
    codes |= post
    return _unpacked(codes)


def _unpacked(codes: Array) -> Pairs:
    """Targets and sources of `source*2^32 + target`, sorted by that. The codes are overwritten: 12 bytes an edge, then 8."""
    codes.sort()
    count = len(codes)
    words = codes.view(np.int32)  # least significant half first
    low, high = (0, 1) if np.little_endian else (1, 0)
    post = words[low::2].copy()
    for start in range(0, count, _AT_ONCE):
        stop = min(start + _AT_ONCE, count)
        words[start:stop] = words[2 * start + high : 2 * stop : 2].copy()
    if codes.base is not None:
        return post, words[:count].copy()
    del words
    codes.resize((count + 1) // 2, refcheck=False)
    return post, codes.view(np.int32)[:count]
