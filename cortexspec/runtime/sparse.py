"""Which drawn projections are summed from a table of what each target has, or by events, and what the program reads for that.

A dense product multiplies every pair, mostly by zero; a table reads only what is connected, but one row after the other. The
bounds are measured, see docs/decisions/0043. Where spikes are sent, only the connections of those sources that fired are read: 0051, 0065.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cortexspec.analysis.model import Model, Projection
from cortexspec.ir.op import Array
from cortexspec.lowering.delays import delays_each
from cortexspec.lowering.edges import source_path
from cortexspec.lowering.trains import sends_spikes
from cortexspec.lowering.wiring import DENSE_LIMIT, has_table
from cortexspec.runtime.wiring import neurons_of

FEWEST_PAIRS = 200**2  # below, a product is over before its table is read
DENSEST = 0.25  # share of the pairs that the table has room for
# The same where weights or what comes before them are trained: the derivative of a read row is an added one, which is slow.
DENSEST_TRAINED = 0.045
MOST_BY_EVENTS = 0.5  # share of the pairs; a product of more of them reads each anyway
# Connections with a delay each are no product, however few pairs there are; with fewer of them one addition an edge is as fast.
FEWEST_LATE = 2000
_AT_ONCE = 8  # slots that engines read together


@dataclass(frozen=True, slots=True)
class Table:
    """`slots` a target, and the place `slot*targets + target` of each connection [edge]."""

    slots: int
    places: Array

    def sizes(self, path: str) -> dict[str, int]:
        return {f"{path}.slots": self.slots}

    def buffers(self, path: str) -> dict[str, Array]:
        return {f"{path}.slot": self.places}


@dataclass(frozen=True, slots=True)
class Events:
    """Where the connections of each source begin [source + 1]; the last entry is the number of connections."""

    starts: Array

    def sizes(self, path: str) -> dict[str, int]:
        return {f"{path}.rows": len(self.starts)}

    def buffers(self, path: str) -> dict[str, Array]:
        return {f"{path}.starts": self.starts}


def tables(
    model: Model, sizes: Mapping[str, int], buffers: Mapping[str, Array], trained: bool = False
) -> dict[str, Table | Events]:
    """By the path of its projection, each layout that is worth it. `buffers` has the connections, `trained` whether there are gradients."""
    found: dict[str, Table | Events] = {}
    for projection in model.projections:
        if not has_table(model, projection):
            continue
        targets, sources = (_count(model, path, sizes) for path in (projection.target, source_path(projection)))
        if sends_spikes(model, projection):
            pre = np.asarray(buffers[f"{projection.path}.pre"])
            sparse = targets * sources >= FEWEST_PAIRS and len(pre) <= MOST_BY_EVENTS * targets * sources
            if sparse or (len(pre) >= FEWEST_LATE and delays_each(model, projection)):
                counts = np.bincount(pre, minlength=sources)
                found[projection.path] = Events(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))
            continue
        table = _table(projection, targets, buffers)
        densest = DENSEST_TRAINED if trained and targets * sources <= DENSE_LIMIT else DENSEST
        if targets * sources >= FEWEST_PAIRS and table.slots <= densest * sources:
            found[projection.path] = table
    return found


def _count(model: Model, path: str, sizes: Mapping[str, int]) -> int:
    return sum(stretch.size for stretch in neurons_of(model, path, sizes))


def _table(projection: Projection, targets: int, buffers: Mapping[str, Array]) -> Table:
    post = np.asarray(buffers[f"{projection.path}.post"])
    degrees = np.bincount(post, minlength=targets)
    slots = max(-(-int(degrees.max(initial=0)) // _AT_ONCE) * _AT_ONCE, _AT_ONCE)
    order = np.argsort(post, kind="stable")
    starts = np.cumsum(degrees) - degrees
    slot = np.empty(len(post), np.int64)
    slot[order] = np.arange(len(post)) - starts[post[order]]
    return Table(slots, slot * targets + post)
