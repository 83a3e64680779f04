"""Functional imaging in NWB files (HDF5), as DANDI 000402 lays it out: matched cell bodies, and raw fluorescence.

Processing module `ophys`: `ImageSegmentation/PlaneSegmentationK` has a row a region with the columns pt_x_position,
pt_y_position, pt_z_position (voxels of 4 x 4 x 40 nm, not a number where a region was not matched to the electron microscopy),
pt_root_id, and in later files nucleus_id; `Fluorescence/RoiResponseSeriesK` has `data` [frame, region] and `timestamps` in
seconds. There is no deconvolved activity, so there are no event trains. Names are "K/positions" and the like, or "positions"
where there is one field K. Only matched regions are read, in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.contracts.data_file import DataFileEntry, NamedArray
from cortexspec_connectome.formats.checks import VOXEL_UM, Array, positions_um

_SEGMENTATION = "processing/ophys/ImageSegmentation"
_FLUORESCENCE = "processing/ophys/Fluorescence"
_POSITIONS = ("pt_x_position", "pt_y_position", "pt_z_position")
_NAMES = ("positions", "unit_id", "nucleus_id", "fluorescence", "times")


def read_nwb(path: str | Path, name: str, plane: str = "") -> NamedArray:
    """One of `positions`, `unit_id`, `nucleus_id`, `fluorescence` [frame, cell], `times`, of the field `plane` (or the only one).

    Raises: ValueError, OSError for what the file has not; KeyError for a name or a field that is not there.
    """
    with _opened(Path(path)) as file:
        known = _planes(file)
        if not plane and len(known) != 1:
            raise KeyError(name)
        plane = plane or known[0]
        if plane not in known or name not in _NAMES:
            raise KeyError(f"{plane}/{name}")
        table = file[f"{_SEGMENTATION}/PlaneSegmentation{plane}"]
        where = f"PlaneSegmentation{plane}"
        coordinates = np.stack([_column(table, one, where) for one in _POSITIONS], axis=1).astype(float)
        matched = ~np.isnan(coordinates).any(axis=1)
        if not matched.any():
            raise ValueError(f"no region of `{where}` has a position")
        match name:
            case "positions":
                note = f"places of cell bodies, x, y, z: {matched.sum()} of {len(matched)} regions, the matched ones"
                return NamedArray(positions_um(coordinates[matched], "pt_x_position, ...", VOXEL_UM), "um", note)
            case "unit_id" | "nucleus_id":
                column = "id" if name == "unit_id" else name
                return NamedArray(_column(table, column, where)[matched], "1", "as in the file, of the matched regions")
            case _:
                return _trace(file, name, plane, matched)


def _trace(file: Any, name: str, plane: str, matched: Array) -> NamedArray:
    series = file.get(f"{_FLUORESCENCE}/RoiResponseSeries{plane}")
    if series is None:
        raise ValueError(f"it has no `Fluorescence/RoiResponseSeries{plane}`")
    if name == "times":
        return NamedArray(_column(series, "timestamps", f"RoiResponseSeries{plane}"), "s", "when each frame was taken")
    data = _column(series, "data", f"RoiResponseSeries{plane}")
    if data.ndim != 2 or data.shape[1] != len(matched):
        shape = " x ".join(map(str, data.shape))
        raise ValueError(
            f"`RoiResponseSeries{plane}` is {shape}, but `PlaneSegmentation{plane}` has {len(matched)} regions"
        )
    return NamedArray(data[:, matched], "1", "raw fluorescence [frame, cell]: no deconvolved activity")


def _column(group: Any, name: str, where: str) -> Array:
    if name not in group:
        raise ValueError(f"`{where}` has no column `{name}`; it has {', '.join(f'`{one}`' for one in group)}")
    return np.asarray(group[name])


def _planes(file: Any) -> list[str]:
    group = file.get(_SEGMENTATION)
    found = [re.fullmatch(r"PlaneSegmentation(\w*)", name) for name in (group or ())]
    return sorted(one[1] for one in found if one is not None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Raises: ValueError, OSError."""
    import h5py

    with h5py.File(path, "r") as file:
        if _SEGMENTATION not in file:
            raise ValueError(f"it has no `{_SEGMENTATION}`")
        yield file


def _reads(path: Path) -> bool:
    return path.suffix.lower() == ".nwb"


def _names(path: Path) -> tuple[str, ...]:
    with _opened(path) as file:
        planes = _planes(file)
    return tuple(_NAMES if len(planes) == 1 else (f"{plane}/{name}" for plane in planes for name in _NAMES))


def _read(path: Path, name: str) -> NamedArray:
    plane, _, own = name.rpartition("/")
    return read_nwb(path, own, plane)


NWB = DataFileEntry("nwb", _reads, _names, _read, "functional imaging in NWB: positions, fluorescence")
