"""Plain array files by name, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from cortexspec.contracts.data_file import DataFileEntry
from cortexspec.library import data_files
from cortexspec.library.data_files import WHOLE


def format_of(path: Path) -> DataFileEntry:
    (found,) = [entry for entry in data_files.values() if entry.reads(path)]
    return found


def test_an_npz_has_its_names_and_no_unit(tmp_path: Path) -> None:
    path = tmp_path / "field.npz"
    np.savez(path, corr=np.eye(3), order=np.arange(3))
    entry = format_of(path)
    assert entry.names(path) == ("corr", "order")
    assert entry.read(path, "corr").unit is None
    np.testing.assert_array_equal(entry.read(path, "corr").array, np.eye(3))
    with pytest.raises(KeyError):
        entry.read(path, "cor")


def test_an_npy_is_one_array(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    assert format_of(path).names(path) == (WHOLE,)
    assert format_of(path).read(path, WHOLE).array.shape == (2, 3)


def test_a_table_is_read_whole_or_by_column(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("x, y\n1,2\n3,4.5\n", encoding="utf-8")
    entry = format_of(path)
    assert entry.names(path) == (WHOLE, "x", "y")
    np.testing.assert_array_equal(entry.read(path, WHOLE).array, [[1, 2], [3, 4.5]])
    np.testing.assert_array_equal(entry.read(path, "y").array, [2, 4.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3\n", "line 2 has 1 columns"),
        ("x,y\n1,2\n\n3,four\n", "line 4, column 2: `four`"),
        ("x,y\n", "no rows"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        format_of(path).read(path, WHOLE)


def test_pickled_objects_and_broken_files_are_refused(tmp_path: Path) -> None:
    pickled, cut = tmp_path / "pickled.npz", tmp_path / "cut.npz"
    np.savez(pickled, a=np.array([{"b": 1}], dtype=object))
    cut.write_bytes(pickled.read_bytes()[:40])
    for path in (pickled, cut):
        with pytest.raises(ValueError):
            format_of(path).read(path, "a")
