"""Tables of the CAVE service as .csv files, column names as there: the coregistration of functional units, and synapses beside it.

Coregistration (`coregistration_manual_v4`): session, scan_idx, field, unit_id, target_id (the nucleus), pt_root_id, and the position in
voxels of 4 x 4 x 40 nm, as pt_position ("[x y z]") or pt_position_x, _y, _z. Synapses (`synapses_pni_2`): pre_pt_root_id, post_pt_root_id.
A root changes with proofreading, so both tables must be of one version; the nucleus is what stays.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cortexspec.contracts.data_file import DataFileEntry, NamedArray
from cortexspec_connectome.formats.checks import VOXEL_UM, Array, positions_um, synapse_matrix

_KEY = ("session", "scan_idx", "field")
_PARTS = ("pt_position_x", "pt_position_y", "pt_position_z")
_SYNAPSES = "synapses.csv"
Table = Mapping[str, list[str]]


def read_table(path: Path) -> Table:
    """The columns of a .csv file with a first row of names, as text. Raises: ValueError with the line that is wrong."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    if len(lines) < 2:
        raise ValueError("it has no rows under the names of its columns")
    header = [name.strip() for name in lines[0][1]]
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} columns, the first has {len(header)}")
    return {name: [row[place].strip() for _, row in lines[1:]] for place, name in enumerate(header)}


def whole_numbers(table: Table, name: str) -> Array:
    """A column of ids, in 64 bits: a root does not fit into a floating-point number. Raises: ValueError with column and row."""
    made: list[int] = []
    for row, text in enumerate(_column(table, name)):
        if not re.fullmatch(r"-?\d+(\.0*)?", text):
            raise ValueError(f"`{name}` is `{text or 'nan'}` in row {row}, a whole number is wanted")
        made.append(int(text.partition(".")[0]))
    return np.array(made, np.int64)


def positions_of(table: Table) -> Array:
    """[row, 3] in micrometres. Raises: ValueError with column and row."""
    if "pt_position" not in table and _PARTS[0] in table:
        return positions_um(
            np.stack([_numbers(table, name) for name in _PARTS], axis=1), "pt_position_x, _y, _z", VOXEL_UM
        )
    rows: list[list[float]] = []
    for row, text in enumerate(_column(table, "pt_position")):
        found = re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", text)
        if len(found) != 3:
            raise ValueError(f"`pt_position` is `{text or 'nan'}` in row {row}, three numbers are wanted")
        rows.append([float(one) for one in found])
    return positions_um(np.array(rows), "pt_position", VOXEL_UM)


def synapses_of(cells: Table, synapses: Table) -> Array:
    """Numbers of synapses [target, source] between the cells, in the order of their table; a row of `synapses` is one synapse.

    Raises: ValueError where two cells have one root: their synapses cannot be told apart.
    """
    roots = whole_numbers(cells, "pt_root_id")
    twice = [root for root, count in Counter(roots.tolist()).items() if count > 1 and root != 0]
    if twice:
        rows = ", ".join(str(row) for row in np.flatnonzero(roots == twice[0]))
        raise ValueError(
            f"`pt_root_id` {twice[0]} is that of several cells (rows {rows}): leave one, or choose one field"
        )
    place = {root: row for row, root in enumerate(roots.tolist()) if root != 0}
    before, after = whole_numbers(synapses, "pre_pt_root_id"), whole_numbers(synapses, "post_pt_root_id")
    ends = [
        (place[i], place[j]) for i, j in zip(before.tolist(), after.tolist(), strict=True) if i in place and j in place
    ]
    sources, targets = np.array(ends, int).reshape(-1, 2).T
    names = ("pre_pt_root_id", "post_pt_root_id", "synapses")
    return synapse_matrix(sources, targets, np.ones(len(sources)), len(roots), names)


def field_columns(
    cells: str | Path,
    synapses: str | Path,
    session: int | None = None,
    scan: int | None = None,
    field: int | None = None,
) -> dict[str, Array]:
    """One imaging field of both tables as columns of the common format, for `write_field`. Raises: ValueError, OSError."""
    table = read_table(Path(cells))
    keep = np.ones(len(next(iter(table.values()))), bool)
    for name, wanted in zip(_KEY, (session, scan, field), strict=True):
        if wanted is not None:
            keep &= whole_numbers(table, name) == wanted
    if not keep.any():
        raise ValueError(f"no row of `{cells}` has session {session}, scan_idx {scan} and field {field}")
    chosen = {name: [text for text, kept in zip(column, keep, strict=True) if kept] for name, column in table.items()}
    targets, sources = np.nonzero(matrix := synapses_of(chosen, read_table(Path(synapses))))
    ids = {"unit_id": "unit_id", "root_id": "pt_root_id", "target_id": "target_id"}
    return {
        "position_um": positions_of(chosen),
        **{key: whole_numbers(chosen, name) for key, name in ids.items()},
        "edge_source": sources,
        "edge_target": targets,
        "edge_synapses": matrix[targets, sources].astype(np.int64),
    }


def _column(table: Table, name: str) -> list[str]:
    if name not in table:
        raise ValueError(f"it has no column `{name}`; it has {', '.join(f'`{one}`' for one in table)}")
    return table[name]


def _numbers(table: Table, name: str) -> Array:
    made: list[float] = []
    for row, text in enumerate(_column(table, name)):
        try:
            made.append(float(text))
        except ValueError:
            raise ValueError(f"`{name}` is `{text or 'nan'}` in row {row}, a number is wanted") from None
    return np.array(made)


def _reads(path: Path) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = {name.strip() for name in file.readline().split(",")}
    except (OSError, UnicodeDecodeError):
        return False
    return "pt_root_id" in header and ("pt_position" in header or _PARTS[0] in header)


def _names(path: Path) -> tuple[str, ...]:
    numbers = [name for name in ("unit_id", "target_id", *_KEY) if name in read_table(path)]
    return ("positions", *(["synapses"] if path.with_name(_SYNAPSES).is_file() else []), *numbers)


def _read(path: Path, name: str) -> NamedArray:
    table = read_table(path)
    if name == "positions":
        return NamedArray(positions_of(table), "um", "places of cell bodies, x, y, z")
    if name == "synapses":
        beside = path.with_name(_SYNAPSES)
        if not beside.is_file():
            raise ValueError(f"the table of synapses `{_SYNAPSES}` is not beside it")
        try:
            return NamedArray(synapses_of(table, read_table(beside)), "1", "numbers of synapses [target, source]")
        except ValueError as error:
            raise ValueError(f"{error} (with `{_SYNAPSES}` beside it)") from None
    if name in ("unit_id", "target_id", *_KEY):
        return NamedArray(whole_numbers(table, name), "1", "as in the table")
    raise KeyError(name)


CAVE = DataFileEntry(
    "cave", _reads, _names, _read, f"a coregistration table of CAVE (.csv), its synapses in `{_SYNAPSES}` beside it"
)
