"""Synthetic events: the rates and correlations that they are made for, and that every file says what they are."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_connectome import events
from cortexspec_connectome.__main__ import main
from cortexspec_connectome.formats import FIELD, read_field, write_field
from cortexspec_connectome.synthetic import (
    FRAME_RATE_HZ,
    TARGETS,
    Drive,
    by_distance,
    columns_like,
    fitted,
    synthetic,
)

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session

DATA = Path(__file__).parents[3] / "specs" / "microns_rnn" / "microns"
TEXT = """
use connectome

neuron unit {
  input u = 0
  state h = 0
  h <- relu(u)
  output h
}

circuit rnn(n: int = 20) {
  population hidden[n] : unit
  connect rec: hidden -> hidden { weight = data("made.npz", "corr") }
}

experiment all of rnn {
  simulate { duration = 2; dt = 1 }
  measure largest = max(rec.weight)
}
"""
FIELD_6_6_2 = read_field(DATA / "field_6_6_2.npz")


def test_the_targets_are_those_of_the_real_field() -> None:
    assert by_distance(FIELD_6_6_2.positions, FIELD_6_6_2.stored["corr"]) == pytest.approx(TARGETS, abs=1e-4)


def test_correlations_fall_with_distance_as_they_should_and_rates_are_as_they_should_be() -> None:
    """156 of the 312 cells, all frames. The rest is chance: pairs that share a cell share its noise."""
    positions = FIELD_6_6_2.positions[::2]
    made = synthetic(positions, seed=1)
    found = events.correlation(made.trains)
    assert by_distance(positions, found) == pytest.approx(TARGETS, abs=0.006)
    pairs = found[np.triu_indices(len(positions), 1)]
    assert pairs.mean() == pytest.approx(0.020, abs=0.003)
    rates = np.diff(made.offsets) / 40_000 * FRAME_RATE_HZ
    assert rates.mean() == pytest.approx(0.45, abs=4 * 0.16 / np.sqrt(156))
    assert rates.std() == pytest.approx(0.16, abs=0.04)
    assert rates.min() > 0.09 and rates.max() < 1.6


def test_a_common_drive_is_fitted_where_distant_cells_correlate() -> None:
    assert fitted(FIELD_6_6_2.positions[::4]).shared == 0
    drive = fitted(FIELD_6_6_2.positions[::4], tuple(target + 0.03 for target in TARGETS))
    assert drive.shared > 0 and drive.opposed == 0


def test_the_same_seed_gives_the_same_events_and_a_frame_has_one_at_most() -> None:
    positions = FIELD_6_6_2.positions[:20]
    one, same, other = (synthetic(positions, seed, 500) for seed in (1, 1, 2))
    assert np.array_equal(one.frames, same.frames) and not np.array_equal(one.offsets, other.offsets)
    assert all(np.all(np.diff(train) > 0.5 / FRAME_RATE_HZ) for train in one.trains)


def test_fluorescence_follows_an_event() -> None:
    made = synthetic(FIELD_6_6_2.positions[:20], 1, 2000, traces=True, noise=0.0)
    assert made.fluorescence is not None and made.fluorescence.shape == (2000, 20)
    first = int(made.frames[0])  # of cell 0
    trace = made.fluorescence[: first + 2, 0]
    assert not trace[:first].any()
    step = 1 / FRAME_RATE_HZ
    if made.frames[1] > first + 1:
        assert trace[first + 1] == pytest.approx(np.exp(-step / 0.6) - np.exp(-step / 0.07), rel=1e-5)


def test_every_file_says_that_it_is_synthetic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made.npz"
    assert main(["synthetic", str(DATA / "field_5_3_4.npz"), str(out), "--frames", "3000", "--seed", "5"]) == 0
    assert "synthetic" in capsys.readouterr().out
    found = read_field(out)
    assert str(found.stored["source"]).startswith("synthetic") and found.cells == 70
    assert "precision" not in found.stored  # nothing that was measured of the cells' activity is left
    assert np.array_equal(found.synapses, read_field(DATA / "field_5_3_4.npz").synapses)
    for name in ("positions", "synapses", "corr", "sttc", "rates"):
        assert FIELD.read(out, name).source.startswith("synthetic")
    assert main(["synthetic", str(tmp_path / "none.npz"), str(out)]) == 1
    assert "none.npz" in capsys.readouterr().err


def test_a_result_that_reads_it_says_so(tmp_path: Path) -> None:
    made = synthetic(FIELD_6_6_2.positions[:20], seed=1, frames=3000)
    write_field(tmp_path / "made.npz", columns_like({"position_um": FIELD_6_6_2.positions[:20]}, made))
    (tmp_path / "model.cortex").write_text(TEXT, encoding="utf-8")
    session = Session.open(Choice(tmp_path / "model.cortex", backend="interpreter"), CellKey("all", "base", ()), 1)
    result = session.result()
    assert float(result.measures["largest"]) == pytest.approx(1)
    assert "`made.npz`: synthetic" in result.note


def test_too_few_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="two cells"):
        synthetic(np.zeros((1, 3)), 1)
    assert Drive(1.0).shared == 0
