"""The common format: one imaging field as plain arrays in a .npz file, with the keys of specs/microns_rnn/microns/README.md.

What is stored are connections as a list and positions in voxels; what is read are `positions` in micrometres and `synapses`
[target, source].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from cortexspec.contracts.data_file import DataFileEntry, NamedArray
from cortexspec_connectome import events
from cortexspec_connectome.formats.checks import VOXEL_UM, Array, pair_matrix, positions_um, synapse_matrix, trains

# Any of them tells that a .npz file is of this format.
_SIGNS = ("position_voxel", "position_um", "edge_source", "event_frame")
_EDGES = ("edge_source", "edge_target", "edge_synapses")
_MATRICES: Mapping[str, str] = {
    "corr": "Pearson's correlation of event counts in bins of 0.2 s, symmetric",
    "sttc": "spike time tiling coefficient, half-window 0.1 s, symmetric",
    "precision": "sparse inverse covariance of event counts (graphical lasso), symmetric",
}


@dataclass(frozen=True)
class Field:
    """One imaging field: what its file stores, and what follows from it. Rows are cells, in the order of the file."""

    stored: Mapping[str, Array] = field(repr=False)

    @cached_property
    def cells(self) -> int | None:
        """None where no column has a row a cell."""
        for name in ("position_voxel", "position_um", "unit_id", "target_id"):
            if name in self.stored:
                return len(self.stored[name])
        return next((len(self.stored[name]) for name in _MATRICES if name in self.stored), None)

    @cached_property
    def positions(self) -> Array:
        """[cell, 3] in micrometres: x, y (cortical depth), z."""
        if "position_um" in self.stored:
            return positions_um(self.stored["position_um"], "position_um")
        return positions_um(self.column("position_voxel"), "position_voxel", VOXEL_UM)

    @cached_property
    def synapses(self) -> Array:
        """Numbers of synapses [target, source]."""
        sources, targets, numbers = (self.column(name) for name in _EDGES)
        if self.cells is None:
            raise ValueError("no column has a row a cell, so the number of cells is not known")
        return synapse_matrix(sources, targets, numbers, self.cells, _EDGES)

    @cached_property
    def trains(self) -> list[Array]:
        """Event times in seconds, an array a cell."""
        frames, offsets = self.column("event_frame"), self.column("event_offset")
        return trains(frames, offsets, float(self.column("frame_rate_hz")), self.cells)

    def matrix(self, name: str) -> Array:
        """`corr`, `sttc` or `precision`: as stored, the first two else from the events."""
        if name in self.stored:
            return pair_matrix(self.stored[name], name, self.cells)
        if name == "precision":
            raise ValueError("it has no column `precision`, and its penalty is not known")
        return events.correlation(self.trains) if name == "corr" else events.tiling_coefficient(self.trains)

    @property
    def rates(self) -> Array:
        """Events a second of each cell [cell]."""
        return np.array([len(train) for train in self.trains]) / events.record_of(self.trains)

    def column(self, name: str) -> Array:
        """Raises: ValueError where it is not stored."""
        if name not in self.stored:
            raise ValueError(f"it has no column `{name}`; it has {', '.join(f'`{one}`' for one in self.stored)}")
        return self.stored[name]


Read = Callable[[Field], NamedArray]


def _functional(name: str) -> Read:
    return lambda one: _named(one, one.matrix(name), "1", _MATRICES[name])


def _named(one: Field, array: Array, unit: str | None, note: str) -> NamedArray:
    """With what the file says of itself: synthetic data are told to be so wherever they are read."""
    return NamedArray(array, unit, note, str(one.stored["source"]) if "source" in one.stored else "")


_READ: Mapping[str, tuple[tuple[str, ...], Read]] = {
    "positions": (
        ("position_voxel", "position_um"),
        lambda one: _named(one, one.positions, "um", "places of cell bodies, x, y, z"),
    ),
    "synapses": (
        ("edge_source",),
        lambda one: _named(one, one.synapses, "1", "numbers of synapses [target, source]"),
    ),
    **{name: ((name,) if name == "precision" else (name, "event_frame"), _functional(name)) for name in _MATRICES},
    "rates": (("event_frame",), lambda one: _named(one, one.rates, "Hz", "mean rates of events")),
}
_HIDDEN = (
    "position_voxel",
    "position_um",
    "root_id",
    *_EDGES,
    "event_frame",
    "event_offset",
    "frame_rate_hz",
    "source",
)


def read_field(path: str | Path) -> Field:
    """A field from its .npz file; nothing in it is ever run. Raises: ValueError, OSError for a file that is no such archive."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Field({name: archive[name] for name in archive.files})
    except (BadZipFile, EOFError) as error:
        raise ValueError(f"it is no .npz archive: {error}") from None


def write_field(path: str | Path, columns: Mapping[str, Any]) -> None:
    """Writes columns under the names of the common format. What is not right is told before anything is written. Raises: ValueError."""
    made = Field({name: np.asarray(value) for name, value in columns.items()})
    for name, (signs, read) in _READ.items():
        if any(sign in made.stored for sign in signs) and (name in made.stored or name not in _MATRICES):
            read(made)
    np.savez_compressed(path, **made.stored)


def _reads(path: Path) -> bool:
    if path.suffix.lower() != ".npz":
        return False
    try:
        with ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (BadZipFile, OSError):
        return False
    return any(sign in names for sign in _SIGNS)


def _names(path: Path) -> tuple[str, ...]:
    stored = read_field(path).stored
    computed = [name for name, (signs, _) in _READ.items() if any(sign in stored for sign in signs)]
    return (*computed, *(name for name in stored if name not in (*_HIDDEN, *computed)))


def _read(path: Path, name: str) -> NamedArray:
    found = read_field(path)
    if name in _READ:
        return _READ[name][1](found)
    if name in found.stored and name not in _HIDDEN:
        return _named(found, found.stored[name], None, "as stored")
    raise KeyError(name)


def rows_of(columns: Mapping[str, Sequence[Any]], keep: Array) -> dict[str, Array]:
    """The rows of columns that are kept."""
    return {name: np.asarray(column)[keep] for name, column in columns.items()}


FIELD = DataFileEntry(
    "microns", _reads, _names, _read, "one imaging field: positions, synapses, functional matrices, event trains"
)
