"""Arrays of data files in circuits: what does not fit is told before anything runs, with the file, the array and the place."""

from pathlib import Path

import numpy as np
import pytest

import cortexspec
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.runtime.check import check_file

SPEC = """
neuron unit {{
  input u
  state h = 0
  h <- relu(u)
  output h
}}

circuit rnn(n: int = 4, file: text = "field.npz") {{
  population hidden[n] : unit
  attribute hidden.soma[3] : {unit} = data(file, "positions")
  let M[hidden, hidden] = {matrix}
  connect rec: hidden -> hidden {{ weight = minmax(data(file, "corr"))*M }}
}}
"""


def positions(rows: int = 4) -> np.ndarray:
    return np.arange(rows * 3.0).reshape(rows, 3)


def matrix(rows: int = 4, columns: int = 4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, columns))


def written(folder: Path, matrix: str = 'data(file, "corr")', unit: str = "um", **arrays: np.ndarray) -> Path:
    np.savez(folder / "field.npz", **arrays)
    path = folder / "model.cortex"
    path.write_text(SPEC.format(matrix=matrix, unit=unit), encoding="utf-8")
    return path


def mistake(path: Path) -> Diagnostic:
    found = [one for one in check_file(path).diagnostics if one.severity == "error"]
    assert found, "nothing is wrong"
    assert found[0].span is not None
    return found[0]


def test_the_arrays_of_a_file_are_what_they_are_in_a_run(tmp_path: Path) -> None:
    corr = matrix()
    path = written(tmp_path, positions=positions(), corr=corr)
    assert check_file(path).fine
    simulation = cortexspec.compile(path, dt=1, duration=1, dtype="float64")
    scaled = (corr - corr.min()) / (corr.max() - corr.min())
    weight = simulation.parameters().get("rec.weight")
    if weight is None:
        weight = simulation.buffers()["data.field.corr"]
        np.testing.assert_array_equal(np.sort(weight.ravel()), np.sort(corr.ravel()))
    else:
        np.testing.assert_allclose(weight, scaled * corr)


def test_the_unit_of_a_declaration_says_in_what_plain_numbers_are(tmp_path: Path) -> None:
    path = written(tmp_path, unit="mm", positions=positions(), corr=matrix())
    soma = cortexspec.compile(path, dt=1, duration=1, dtype="float64").buffers()["hidden.soma"]
    np.testing.assert_allclose(np.sort(np.asarray(soma).ravel()), np.arange(12) * 1000.0)


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"positions": positions(), "corr": matrix(5, 5)}, "CS501", ["`corr` of `field.npz`", "5 rows and 5 columns"]),
        (
            {"positions": positions(5), "corr": matrix()},
            "CS501",
            ["`positions` of `field.npz`", "5 rows and 3 columns"],
        ),
        ({"positions": positions().T, "corr": matrix()}, "CS501", ["3 rows and 4 columns", "transpose"]),
        ({"positions": positions()}, "CS906", ["no array `corr`", "`positions`"]),
        ({"positions": positions(), "cor": matrix()}, "CS906", ["did you mean `cor`"]),
    ],
)
def test_what_does_not_fit_is_told_with_the_file(
    tmp_path: Path, arrays: dict[str, np.ndarray], code: str, said: list[str]
) -> None:
    found = mistake(written(tmp_path, **arrays))
    text = f"{found.message} {found.help}"
    assert found.code == code, text
    for words in said:
        assert words in text, text


def test_a_gap_is_told_with_its_row_and_column(tmp_path: Path) -> None:
    corr = matrix()
    corr[2, 1] = corr[3, 0] = np.nan
    found = mistake(written(tmp_path, positions=positions(), corr=corr))
    assert found.code == "CS907"
    assert found.message == "`corr` of `field.npz` is nan at row 2, column 1, and 1 more such values"


def test_a_file_that_is_not_there_or_outside_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, positions=positions(), corr=matrix())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("field.npz", "absent.npz"), encoding="utf-8")
    assert mistake(path).code == "CS901"
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "model.cortex").write_text(text.replace('"field.npz"', '"../field.npz"'), encoding="utf-8")
    assert "outside" in mistake(inside / "model.cortex").message


def test_an_array_of_another_unit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cortexspec import library
    from cortexspec.contracts.data_file import DataFileEntry, NamedArray

    arrays = {"positions": NamedArray(positions(), "ms", "when each cell was seen"), "corr": NamedArray(matrix())}
    entry = DataFileEntry(
        "cells", lambda path: path.suffix == ".npz", lambda path: tuple(arrays), lambda path, key: arrays[key]
    )
    monkeypatch.setattr(library, "data_files", {"cells": entry})
    found = mistake(written(tmp_path, x=positions()))
    assert (found.code, found.message) == ("CS401", "`positions` of `field.npz` is in ms, but it is declared in um")
    arrays["positions"] = NamedArray(positions(), "nm")
    path = written(tmp_path, x=positions())
    soma = cortexspec.compile(path, dt=1, duration=1, dtype="float64").buffers()["hidden.soma"]
    np.testing.assert_allclose(np.asarray(soma).max(), 0.011)


def test_a_text_without_a_folder_says_so(tmp_path: Path) -> None:
    spec = cortexspec.parse(SPEC.format(matrix='data(file, "corr")', unit="um"))
    with pytest.raises(SpecError) as caught:
        cortexspec.compile(spec, dt=1, duration=1)
    assert caught.value.diagnostics[0].code == "CS901"
