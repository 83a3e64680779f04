"""What the columns of all formats are judged by. Each mistake is a ValueError that names the column and the row, counted from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# A voxel of the MICrONS volume, x, y, z in micrometres.
VOXEL_UM = (0.004, 0.004, 0.040)
# Cell bodies are wider than this, and no piece of cortex that was imaged and then sectioned is larger.
_NEAREST_UM, _LARGEST_UM = 3.0, 10_000.0


def positions_um(coordinates: Array, column: str, scale: Sequence[float] = (1.0, 1.0, 1.0)) -> Array:
    """Places of cell bodies [cell, 3] in micrometres, from numbers of which `scale` are micrometres.

    Raises: ValueError for a shape, a gap, or numbers that cannot be what they are said to be.
    """
    if coordinates.ndim != 2 or coordinates.shape[1] != 3:
        shape = " x ".join(map(str, coordinates.shape))
        raise ValueError(f"`{column}` is {shape}, a row a cell with x, y and z is wanted")
    require_finite(coordinates, column)
    places = coordinates.astype(float) * np.asarray(scale)
    require_micrometres(places, column)
    return places


def require_micrometres(places: Array, column: str) -> None:
    """Raises: ValueError for places so near or so far from each other that they are in another unit."""
    if len(places) < 2:
        return
    largest = float((places.max(axis=0) - places.min(axis=0)).max())
    nearest = float(np.median(_nearest(places)))
    if largest > _LARGEST_UM or nearest < _NEAREST_UM:
        what = (
            f"extend over {largest:,.4g} µm" if largest > _LARGEST_UM else f"have their neighbours at {nearest:.2g} µm"
        )
        raise ValueError(
            f"the {len(places)} cells of `{column}` {what}, which cell bodies cannot: are the numbers in the unit that they should be in? "
            "`position_voxel` and `pt_position` are voxels of 4 x 4 x 40 nm, `position_um` micrometres"
        )


def _nearest(places: Array) -> Array:
    """Of each cell (of 500 at most), how far the next one is; cells at the very same place count once."""
    places = np.unique(places, axis=0)
    some = places[:: max(1, len(places) // 500)]
    distance = np.linalg.norm(some[:, np.newaxis] - places[np.newaxis], axis=2)
    return np.where(distance > 0, distance, np.inf).min(axis=1)


def require_finite(column: Array, name: str) -> None:
    """Raises: ValueError at the first number that is none."""
    wrong = np.argwhere(~np.isfinite(column)) if column.dtype.kind == "f" else np.empty((0, 1), int)
    if len(wrong):
        row = int(wrong[0][0])
        others = f", and {len(wrong) - 1} more such values" if len(wrong) > 1 else ""
        raise ValueError(f"`{name}` is {column[tuple(wrong[0])]} in row {row}{others}")


def synapse_matrix(sources: Array, targets: Array, synapses: Array, cells: int, names: Sequence[str]) -> Array:
    """Numbers of synapses [target, source] from a list of connections, source to target: here, and nowhere else, it is turned.

    `names` are those of the three columns. Raises: ValueError for columns of different lengths, and for a row that is wrong.
    """
    for name, column in zip(names[1:], (targets, synapses), strict=True):
        if column.shape != sources.shape:
            raise ValueError(f"`{names[0]}` has {len(sources)} rows, `{name}` has {len(column)}")
    for name, column in zip(names[:2], (sources, targets), strict=True):
        outside = np.flatnonzero((column < 0) | (column >= cells))
        if len(outside):
            row = int(outside[0])
            raise ValueError(f"`{name}` is {column[row]} in row {row}, but there are {cells} cells, counted from 0")
    empty = np.flatnonzero(~(np.asarray(synapses) >= 1))
    if len(empty):
        raise ValueError(
            f"`{names[2]}` is {synapses[empty[0]]} in row {empty[0]}: a connection has at least one synapse"
        )
    found = np.zeros((cells, cells))
    np.add.at(found, (targets.astype(int), sources.astype(int)), synapses)
    return found


def pair_matrix(matrix: Array, name: str, cells: int | None) -> Array:
    """A symmetric matrix of pairs [cell, cell]. Raises: ValueError for another size, or one that is not symmetric."""
    size = matrix.shape[0] if cells is None and matrix.ndim == 2 else cells
    if matrix.shape != (size, size):
        shape = " x ".join(map(str, matrix.shape))
        raise ValueError(f"`{name}` is {shape}, but there are {size} cells")
    gap = np.abs(matrix - matrix.T)
    if not np.nanmax(gap, initial=0.0) <= 1e-6 * max(1.0, float(np.nanmax(np.abs(matrix), initial=0.0))):
        row, column = np.unravel_index(int(np.nanargmax(gap)), gap.shape)
        one, other = matrix[row, column], matrix[column, row]
        raise ValueError(
            f"`{name}` is not symmetric: {one:.6g} at row {row}, column {column}, but {other:.6g} the other way round"
        )
    return matrix


def trains(frames: Array, offsets: Array, rate_hz: float, cells: int | None = None) -> list[Array]:
    """Event times in seconds, an array a cell, from frames one cell after the other. Raises: ValueError."""
    if cells is not None and len(offsets) != cells + 1:
        raise ValueError(
            f"`event_offset` has {len(offsets)} numbers, but there are {cells} cells, which make {cells + 1}"
        )
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(frames):
        raise ValueError(f"`event_offset` does not go from 0 to the {len(frames)} of `event_frame`")
    shorter = np.flatnonzero(np.diff(offsets) < 0)
    if len(shorter):
        raise ValueError(f"`event_offset` falls after row {shorter[0]}")
    if not rate_hz > 0:
        raise ValueError(f"`frame_rate_hz` is {rate_hz:g}")
    times = [part / rate_hz for part in np.split(frames, offsets[1:-1])]
    for cell, train in enumerate(times):
        if np.any(np.diff(train) < 0) or (len(train) and train[0] < 0):
            raise ValueError(f"the events of cell {cell} in `event_frame` are not in the order of time")
    return times
