"""Plain array files: .npz, .npy and .csv. None of them knows a unit; nothing in them is ever run (no pickled objects)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from cortexspec.contracts.data_file import Array, DataFileEntry, NamedArray

WHOLE = "array"  # what the one array of a file without names is called


def _ends_in(suffix: str) -> Any:
    def reads(path: Path) -> bool:
        return path.suffix.lower() == suffix

    return reads


def _npz_names(path: Path) -> tuple[str, ...]:
    with _archive(path) as archive:
        return tuple(archive.files)


def _npz_array(path: Path, name: str) -> NamedArray:
    with _archive(path) as archive:
        if name not in archive.files:
            raise KeyError(name)
        return NamedArray(archive[name])


def _archive(path: Path) -> Any:
    """Raises: ValueError, OSError."""
    from zipfile import BadZipFile

    try:
        found: Any = np.load(path, allow_pickle=False)
    except (BadZipFile, EOFError) as error:
        raise ValueError(str(error)) from None
    if not hasattr(found, "files"):
        raise ValueError("it has one array without a name, as a .npy file has")
    return found


def _one_name(path: Path) -> tuple[str, ...]:
    return (WHOLE,)


def _npy_array(path: Path, name: str) -> NamedArray:
    if name != WHOLE:
        raise KeyError(name)
    try:
        return NamedArray(cast(Array, np.load(path, allow_pickle=False)))
    except EOFError as error:
        raise ValueError(str(error)) from None


def _csv_names(path: Path) -> tuple[str, ...]:
    """The whole table, and each column where the first row names them."""
    header, _ = _table(path)
    return (WHOLE, *header)


def _csv_array(path: Path, name: str) -> NamedArray:
    header, rows = _table(path)
    if name == WHOLE:
        return NamedArray(rows)
    if name not in header:
        raise KeyError(name)
    return NamedArray(rows[:, header.index(name)])


def _table(path: Path) -> tuple[tuple[str, ...], Array]:
    """The names of the columns, or none, and the numbers [row, column]. Raises: ValueError with the line that is wrong."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    header: tuple[str, ...] = ()
    if lines and not all(_is_number(cell) for cell in lines[0][1]):
        header = tuple(cell.strip() for cell in lines[0][1])
        lines = lines[1:]
    if not lines:
        raise ValueError("it has no rows of numbers")
    width = len(header) or len(lines[0][1])
    return header, np.array([_numbers(number, row, width) for number, row in lines])


def _numbers(number: int, row: Sequence[str], width: int) -> list[float]:
    if len(row) != width:
        raise ValueError(f"line {number} has {len(row)} columns, the first has {width}")
    for place, cell in enumerate(row, 1):
        if not _is_number(cell):
            raise ValueError(f"line {number}, column {place}: `{cell.strip()}` is no number")
    return [float(cell) for cell in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


DATA_FILES: tuple[DataFileEntry, ...] = (
    DataFileEntry("npz", _ends_in(".npz"), _npz_names, _npz_array, "NumPy arrays by name"),
    DataFileEntry("npy", _ends_in(".npy"), _one_name, _npy_array, f"one NumPy array, called `{WHOLE}`"),
    DataFileEntry(
        "csv", _ends_in(".csv"), _csv_names, _csv_array, f"a table of numbers: `{WHOLE}`, or a column by name"
    ),
)
__all__ = ["DATA_FILES", "WHOLE"]
