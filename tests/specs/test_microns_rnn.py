"""specs/microns_rnn, small: its smoke profile from text to verdicts; and that every cell of its experiments is a circuit."""

from pathlib import Path

import numpy as np
import pytest

from cortexspec.experiments.claim import BASE, CellKey
from cortexspec.experiments.reproduce import reproduce
from cortexspec.experiments.session import AUTO, Choice, Session, read_experiments

pytest.importorskip("cortexspec_connectome")
pytest.importorskip("cortexspec_tasks")
SPEC = Path(__file__).parents[2] / "specs" / "microns_rnn" / "model.cortex"


def test_the_smoke_profile_holds_its_claims(tmp_path: Path) -> None:
    table = reproduce(Choice(SPEC, AUTO), profile="smoke", store=tmp_path, workers=0)
    assert {row.claim.text: row.verdict.word for row in table.rows["smoke"]} == {
        "the biological start learns": "holds",
        "without its diagonal it does not": "holds",
    }
    learned = table.measure(CellKey("smoke", "bio_real_emd", ()), "self_weight")
    assert np.all(learned > 0.3)


def test_the_eleven_variants_are_cells_of_the_design() -> None:
    """A variant and the place of the 3 x 3 x 3 grid with the same switches are one cell: they share a result."""
    read = read_experiments(Choice(SPEC, AUTO))
    starts = {"random": "W_random", "bio": "W_bio", "permuted": "W_permuted"}
    eleven = [name for name in read["go_nogo"].grid.variants if name.split("_")[0] in starts and "cells" not in name]
    assert len(eleven) == 10  # and the base
    design = {
        Session.address(Choice(SPEC, AUTO), CellKey("design_full", BASE, point), 1)
        for point in read["design_full"].grid.points()
    }
    assert len(design) == 21
    shared = {Session.address(Choice(SPEC, AUTO), CellKey("go_nogo", name, ()), 1) for name in (BASE, *eleven)}
    assert len(shared) == 11 and shared <= design
