"""Joint histograms of words at several times, gathered chunk by chunk: a run of any length keeps only its table."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import coo_array

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec_binary.measures.words import words

Array = np.ndarray[Any, Any]
ROOM = 1 << 30  # bytes that one measure may take
_COUNT = 8  # bytes of a count
_BLOCK = 1 << 15  # words that are joined at a time: they stay in a processor's cache
_SMALL = np.uint16  # of a counter of one chunk: four times as many of them stay in the cache as of those of the table
_FULL = 4  # cells a word up to which a chunk has a table of its own


def require_room(cells: int, what: str, help: str, *, room: int = ROOM) -> None:
    """Raises: SpecError CS931 where a table of so many counts would not fit, before any of it is made."""
    if cells * _COUNT > room:
        message = f"{what} takes {_shown(cells * _COUNT)}, and a measure may take {_shown(room)}"
        raise SpecError([Diagnostic("CS931", message, help=help)])


class JointCounts:
    """How often each combination of words occurred: the word of part k is read `lags[k]` steps after the present one.

    Flux counts parts (X, Y) at lags (0, 1); transfer entropy (X, Y, Y) at lags (0, 0, 1); an entropy one part.
    Words are read only where all of them exist: a run of T states gives T - max(lags) transitions, however it is cut
    into chunks. Runs are never joined: no transition leads from the end of one to the start of another.

    Shapes: table int64 [runs, 2^n_0, 2^n_1, ...], or without the first axis where runs are pooled as they are counted.
    Raises: SpecError CS931 where the table would not fit in `room` bytes.
    """

    def __init__(
        self, sizes: Sequence[int], lags: Sequence[int], runs: int = 1, *, pooled: bool = False, room: int = ROOM
    ):
        if len(sizes) != len(lags) or min(lags) < 0:
            raise ValueError("each part has a size and a lag, 0 or later")
        self.sizes, self.lags, self.runs, self.pooled = tuple(sizes), tuple(lags), runs, pooled
        self.shape = (() if pooled else (runs,)) + tuple(1 << size for size in self.sizes)
        neurons = " + ".join(str(size) for size in self.sizes)
        several = f" for each of {runs} runs" if runs > 1 and not pooled else ""
        help = "fewer neurons a group, random groups or pairwise measures" + (", or pooled counts" if several else "")
        require_room(prod(self.shape), f"a joint histogram of {neurons} binary neurons{several}", help, room=room)
        self.table: Array = np.zeros(self.shape, np.int64)
        self._kept: tuple[Array, ...] = tuple(np.zeros((runs, 0), np.int64) for _ in self.sizes)

    @property
    def transitions(self) -> Array:
        """T of each run, or of all together."""
        return self.table.sum(axis=tuple(range(-len(self.sizes), 0)))

    def update(self, *parts: Array) -> JointCounts:
        """Counts what a chunk adds; gives itself. Chunks come in the order of time.

        Shapes: each part [runs, steps, n_k], all with the same steps.
        """
        known = {id(part): words(part) for part in parts}  # the same states are often several parts
        return self.update_words(*(known[id(part)] for part in parts))

    def update_words(self, *parts: Array) -> JointCounts:
        """The same with the words of each part [runs, steps]."""
        latest = max(self.lags)
        ends = [np.concatenate([kept, part[:, :latest]], axis=1) for kept, part in zip(self._kept, parts, strict=True)]
        self._count(ends)
        self._count(parts)
        rest = parts if parts[0].shape[1] >= latest else ends
        self._kept = tuple(one[:, max(one.shape[1] - latest, 0) :].copy() for one in rest)
        return self

    def _count(self, parts: Sequence[Array]) -> None:
        """Counts the transitions within these steps."""
        steps = parts[0].shape[1] - max(self.lags)
        if steps <= 0:
            return
        seen = [one[:, lag : lag + steps] for one, lag in zip(parts, self.lags, strict=True)]
        flat = self.table.reshape(-1)
        kind = np.int32 if flat.size <= 1 << 31 else np.int64
        size = max(_BLOCK // self.runs, 1)
        if len(seen) > 1 and size * self.runs < flat.size <= _FULL * seen[0].size:
            flat += self._of_chunk(seen, kind)
            return
        for first in range(0, steps, size):
            joint = self._joint([one[:, first : first + size] for one in seen], kind).ravel(order="K")
            if joint.size < flat.size:  # a table that is much larger than the block is not gone through for it
                np.add.at(flat, joint, 1)
            else:
                flat += np.bincount(joint, minlength=flat.size)

    def _of_chunk(self, seen: Sequence[Array], kind: type[np.integer[Any]]) -> Array:
        """The counts of a chunk alone, in the order of the table."""
        *before, last = seen
        rows = self._joint(before, kind) if len(before) > 1 or not self.pooled else before[0]
        columns = np.broadcast_to(last, rows.shape)
        along = (1, 0) if rows.strides[0] < rows.strides[1] else (0, 1)
        places = tuple(np.ravel(one.transpose(along)).astype(kind, copy=False) for one in (rows, columns))
        shape = (prod(self.shape[:-1]), self.shape[-1])

        def counted(dtype: type[np.integer[Any]]) -> Array:
            return coo_array((np.ones(rows.size, dtype), places), shape=shape).toarray().reshape(-1)

        found = counted(_SMALL)
        # A counter that runs over takes 2^16 from the sum of all.
        return found if found.sum(dtype=np.int64) == rows.size else counted(np.int64)

    def _joint(self, seen: Sequence[Array], kind: type[np.integer[Any]]) -> Array:
        """The place of each combination in the table over the first parts [runs, steps], as the words lie in memory."""
        joint = seen[0].astype(kind)
        if not self.pooled:
            joint |= np.arange(self.runs, dtype=kind)[:, None] << self.sizes[0]
        for word, size in zip(seen[1:], self.sizes[1:], strict=False):
            joint <<= size
            joint |= word.astype(kind, copy=False)
        return joint


def _shown(size: int) -> str:
    """A size in bytes as people say it."""
    number, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:.3g} {units[0]}"
