"""File formats: what they give, which way round, and what they say of a wrong file."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cortexspec_connectome.formats import CAVE, FIELD, NWB, read_field, write_field
from cortexspec_connectome.formats.cave import field_columns

import cortexspec as cs
from cortexspec.diagnostics import SpecError

DATA = Path(__file__).parents[3] / "specs" / "microns_rnn" / "microns"
NAMES = ("4_7_2", "5_3_2", "5_3_4", "5_6_8", "6_6_2")


# The common format.


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_field_has_positions_in_micrometres_and_synapses_the_right_way_round(name: str) -> None:
    path = DATA / f"field_{name}.npz"
    assert FIELD.reads(path)
    positions, synapses = FIELD.read(path, "positions"), FIELD.read(path, "synapses")
    assert positions.unit == "um" and np.all(np.ptp(positions.array, axis=0) < 1500)
    stored = read_field(path).stored
    for source, target, count in zip(*(stored[f"edge_{one}"] for one in ("source", "target", "synapses")), strict=True):
        assert synapses.array[target, source] == count
    assert synapses.array.sum() == stored["edge_synapses"].sum() and "[target, source]" in synapses.note


def good(cells: int = 6) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    pairs = np.eye(cells) * 0.9 + 0.1
    return {
        "position_voxel": np.stack([draw.integers(0, top, cells) for top in (200_000, 25_000, 12_000)], axis=1),
        "edge_source": np.array([0, 1, 1]), "edge_target": np.array([1, 2, 5]), "edge_synapses": np.array([1, 2, 1]),
        "corr": pairs, "sttc": pairs, "event_frame": np.arange(4 * cells), "event_offset": np.arange(cells + 1) * 4,
        "frame_rate_hz": 6.3009,
    }  # fmt: skip


def test_ones_own_field_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    write_field(path, good())
    assert FIELD.names(path) == ("positions", "synapses", "corr", "sttc", "rates")
    assert FIELD.read(path, "synapses").array[5, 1] == 1 and FIELD.read(path, "corr").array[0, 1] == pytest.approx(0.1)
    with pytest.raises(KeyError):
        FIELD.read(path, "synapse")


def test_matrices_that_are_not_stored_come_from_the_events(tmp_path: Path) -> None:
    stored = dict(read_field(DATA / "field_5_3_4.npz").stored)
    corr = stored.pop("corr")
    np.savez(tmp_path / "f.npz", **stored)
    assert "corr" in FIELD.names(tmp_path / "f.npz")
    assert np.allclose(FIELD.read(tmp_path / "f.npz", "corr").array, corr, atol=1e-13)


def changed(**columns: Any) -> dict[str, Any]:
    found = {**good(), **columns}
    return {name: column for name, column in found.items() if column is not None}


NAN = np.where(np.eye(6, 3) > 0, np.nan, 5000 * np.random.default_rng(0).random((6, 3)))


@pytest.mark.parametrize(
    ("columns", "key", "said"),
    [
        (changed(position_voxel=None), "positions", "no column `position_voxel`; it has `edge_source`"),
        (changed(edge_target=None), "synapses", "no column `edge_target`"),
        (changed(edge_target=np.array([1, 2])), "synapses", "`edge_source` has 3 rows, `edge_target` has 2"),
        (changed(edge_target=np.array([1, 2, 6])), "synapses", "`edge_target` is 6 in row 2, but there are 6 cells"),
        (changed(edge_synapses=np.array([1, 0, 1])), "synapses", "`edge_synapses` is 0 in row 1"),
        (changed(corr=np.eye(5)), "corr", "`corr` is 5 x 5, but there are 6 cells"),
        (changed(corr=np.triu(np.ones((6, 6)))), "corr", "`corr` is not symmetric"),
        (changed(position_voxel=np.zeros((6, 2))), "positions", "`position_voxel` is 6 x 2"),
        (changed(position_voxel=NAN), "positions", "`position_voxel` is nan in row 0"),
        (changed(position_voxel=good()["position_voxel"] * 40.0), "positions", "extend over"),
        (changed(event_offset=np.arange(6) * 4, corr=None), "corr", "`event_offset` has 6 numbers"),
        (changed(event_frame=np.arange(24)[::-1], corr=None), "corr", "the events of cell 0"),
        (changed(precision=None), "precision", "no column `precision`"),
    ],
)
def test_a_wrong_field_names_column_and_row(tmp_path: Path, columns: dict[str, Any], key: str, said: str) -> None:
    np.savez(tmp_path / "f.npz", **columns)
    with pytest.raises(ValueError) as caught:
        FIELD.read(tmp_path / "f.npz", key)
    assert said in str(caught.value), caught.value


def test_micrometres_that_are_said_to_be_voxels_are_found_out(tmp_path: Path) -> None:
    found = read_field(DATA / "field_5_3_4.npz")
    np.savez(tmp_path / "f.npz", **{**found.stored, "position_voxel": found.positions})
    with pytest.raises(ValueError, match="are the numbers in the unit"):
        FIELD.read(tmp_path / "f.npz", "positions")
    np.savez(tmp_path / "g.npz", position_um=found.positions)
    assert np.array_equal(FIELD.read(tmp_path / "g.npz", "positions").array, found.positions)


def test_a_wrong_field_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row 2"):
        write_field(tmp_path / "f.npz", changed(edge_target=np.array([1, 2, 6])))
    assert not (tmp_path / "f.npz").exists()


# CAVE tables.

CELLS = """id,session,scan_idx,field,unit_id,target_id,pt_root_id,pt_position,residual,score
1,5,3,4,11,901,864691135275203557,[100000 80000 20000],3.1,10.2
2,5,3,4,12,902,864691135275203558,[101000 80500 21000],3.1,10.2
3,5,3,4,13,903,864691135275203559,[150000 81000 22000],3.1,10.2
4,6,6,2,11,904,864691135275203560,[160000 82000 23000],3.1,10.2
"""
SYNAPSES = """id,pre_pt_root_id,post_pt_root_id,size
7,864691135275203557,864691135275203559,100
8,864691135275203557,864691135275203559,120
9,864691135275203558,864691135275203557,90
10,864691135275203558,5,90
"""


def cave(folder: Path, cells: str = CELLS, synapses: str = SYNAPSES) -> Path:
    (folder / "cells.csv").write_text(cells)
    (folder / "synapses.csv").write_text(synapses)
    return folder / "cells.csv"


def test_cave_tables_give_positions_and_the_synapses_between_their_cells(tmp_path: Path) -> None:
    path = cave(tmp_path)
    assert CAVE.reads(path) and CAVE.names(path)[:2] == ("positions", "synapses")
    assert CAVE.read(path, "positions").array[0].tolist() == [400, 320, 800]
    expected = np.zeros((4, 4))
    expected[2, 0], expected[0, 1] = 2, 1  # roots that differ in the last of 18 digits are told apart
    assert np.array_equal(CAVE.read(path, "synapses").array, expected)
    (tmp_path / "synapses.csv").unlink()
    assert "synapses" not in CAVE.names(path)


def test_positions_in_three_columns_are_the_same(tmp_path: Path) -> None:
    lines = [line.replace("pt_position", "pt_position_x,pt_position_y,pt_position_z") for line in CELLS.splitlines()]
    text = "\n".join(
        line.replace("[", "").replace("]", "").replace("000 8", "000,8").replace("500 2", "500,2") for line in lines
    )
    text = text.replace("80000 2", "80000,2").replace("81000 2", "81000,2").replace("82000 2", "82000,2")
    expected = CAVE.read(cave(tmp_path), "positions").array
    assert np.array_equal(CAVE.read(cave(tmp_path, text), "positions").array, expected)


def test_one_field_of_the_tables_becomes_the_common_format(tmp_path: Path) -> None:
    path = cave(tmp_path)
    write_field(tmp_path / "field.npz", field_columns(path, tmp_path / "synapses.csv", 5, 3, 4))
    found = read_field(tmp_path / "field.npz")
    assert found.cells == 3 and found.synapses[2, 0] == 2 and found.stored["target_id"].tolist() == [901, 902, 903]
    with pytest.raises(ValueError, match="no row"):
        field_columns(path, tmp_path / "synapses.csv", 9)


@pytest.mark.parametrize(
    ("cells", "synapses", "key", "said"),
    [
        (CELLS.replace("[101000 80500 21000]", "nan"), SYNAPSES, "positions", "`pt_position` is `nan` in row 1"),
        (CELLS.replace("864691135275203558,", ","), SYNAPSES, "synapses", "`pt_root_id` is `nan` in row 1"),
        (CELLS.replace("3558,[", "3557,["), SYNAPSES, "synapses", "of several cells (rows 0, 1)"),
        (CELLS, SYNAPSES.replace("post_pt", "post"), "synapses", "no column `post_pt_root_id`"),
        (CELLS.replace(",10.2\n2,", "\n2,"), SYNAPSES, "positions", "line 2 has 9 columns"),
    ],
)
def test_a_wrong_table_names_column_and_row(tmp_path: Path, cells: str, synapses: str, key: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        CAVE.read(cave(tmp_path, cells, synapses), key)
    assert said in str(caught.value), caught.value


# NWB.


def nwb(path: Path, planes: tuple[str, ...] = ("4",), **changed: Any) -> Path:
    draw = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for plane in planes:
            table = file.create_group(f"processing/ophys/ImageSegmentation/PlaneSegmentation{plane}")
            columns: dict[str, Any] = {"id": np.arange(100, 105)}
            for name, top in (("x", 200_000), ("y", 25_000), ("z", 12_000)):
                columns[f"pt_{name}_position"] = draw.integers(0, top, 5).astype(float)
                columns[f"pt_{name}_position"][1] = np.nan
            for name, column in {**columns, **changed}.items():
                if column is not None:
                    table[name] = column
            series = file.create_group(f"processing/ophys/Fluorescence/RoiResponseSeries{plane}")
            series["data"], series["timestamps"] = draw.random((20, 5)), np.arange(20) / 6.3
    return path


def test_nwb_gives_the_regions_that_were_matched(tmp_path: Path) -> None:
    path = nwb(tmp_path / "one.nwb")
    assert NWB.reads(path) and "positions" in NWB.names(path)
    assert NWB.read(path, "positions").array.shape == (4, 3) and NWB.read(path, "positions").unit == "um"
    assert NWB.read(path, "unit_id").array.tolist() == [100, 102, 103, 104]
    assert NWB.read(path, "fluorescence").array.shape == (20, 4)
    two = nwb(tmp_path / "two.nwb", ("1", "2"))
    assert NWB.names(two)[0] == "1/positions" and NWB.read(two, "2/positions").array.shape == (4, 3)
    for name in ("positions", "3/positions", "2/places"):
        with pytest.raises(KeyError):
            NWB.read(two, name)


@pytest.mark.parametrize(
    ("columns", "key", "said"),
    [
        ({"pt_z_position": None}, "positions", "`PlaneSegmentation4` has no column `pt_z_position`"),
        ({"pt_x_position": np.full(5, np.nan)}, "positions", "no region of `PlaneSegmentation4` has a position"),
        ({"pt_z_position": np.arange(5) * 1e6}, "positions", "extend over"),
        ({}, "nucleus_id", "no column `nucleus_id`"),
    ],
)
def test_a_wrong_nwb_file_names_table_and_column(tmp_path: Path, columns: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        NWB.read(nwb(tmp_path / "one.nwb", **columns), key)
    assert said in str(caught.value), caught.value


def test_a_file_that_is_no_nwb_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.nwb").write_text("hello")
    with pytest.raises((ValueError, OSError)):
        NWB.read(tmp_path / "x.nwb", "positions")
    with h5py.File(tmp_path / "y.nwb", "w") as file:
        file["a"] = 1
    with pytest.raises(ValueError, match="no `processing/ophys/ImageSegmentation`"):
        NWB.read(tmp_path / "y.nwb", "positions")


# In a circuit.

TEXT = """
use connectome

neuron unit {
  input u = 0
  state h = 0
  h <- relu(u)
  output h
}

circuit rnn(n: int = 70) {
  population hidden[n] : unit
  attribute hidden.soma[3] : UNIT = data("field.npz", "positions")
  let C = data("field.npz", "KEY")
  connect rec: hidden -> hidden { weight = C*0.01 trainable }
}
"""


def compiled(folder: Path, unit: str = "um", key: str = "synapses", n: int = 70, **columns: Any) -> cs.Simulation:
    stored = {**read_field(DATA / "field_5_3_4.npz").stored, **columns}
    np.savez(folder / "field.npz", **stored)
    text = TEXT.replace("UNIT", unit).replace("KEY", key).replace("70", str(n))
    (folder / "model.cortex").write_text(text, encoding="utf-8")
    return cs.compile(folder / "model.cortex", "rnn", dt=1, duration=2, backend="interpreter")


def test_a_circuit_reads_them(tmp_path: Path) -> None:
    simulation = compiled(tmp_path)
    assert np.allclose(simulation.parameters()["rec.weight"], 0.01 * read_field(tmp_path / "field.npz").synapses)


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"unit": "mV"}, "CS401", "positions"),
        ({"n": 60}, "CS501", "field.npz"),
        ({"key": "synapse"}, "CS906", "synapses"),
        ({"corr": np.full((70, 70), np.nan), "key": "corr"}, "CS907", "row 0, column 0"),
        ({"edge_target": np.full(13, 70)}, "CS911", "`edge_target` is 70 in row 0"),
    ],
)
def test_what_does_not_fit_is_told_with_file_and_column(
    tmp_path: Path, changed: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(tmp_path, **changed)
    found = caught.value.diagnostics[0]
    assert found.code == code and said in f"{found.message} {found.label} {found.help}", found
