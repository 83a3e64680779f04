"""specs/infoflux, small: its smoke profile from text to verdicts."""

from pathlib import Path

import numpy as np
import pytest

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.reproduce import Table, reproduce
from cortexspec.experiments.session import AUTO, Choice

SPEC = Path(__file__).parents[2] / "specs" / "infoflux" / "model.cortex"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return reproduce(Choice(SPEC, AUTO), profile="smoke", store=tmp_path_factory.mktemp("results"), workers=0)


def test_the_smoke_profile_judges_its_claims(table: Table) -> None:
    words = {row.claim.text: row.verdict.word for rows in table.rows.values() for row in rows}
    assert set(table.rows) == {"embedding_smoke", "de_embedding_smoke"} and not table.not_run
    assert words["midpoint biases beat embedding"] == "holds" and words["the recorded drive is the same run"] == "holds"
    assert set(words.values()) <= {"holds", "undecided"}  # three networks with short runs decide little


def test_a_replay_is_the_embedded_run(table: Table) -> None:
    embedded, replayed = (
        table.measure(CellKey("de_embedding_smoke", variant, ()), "f") for variant in ("base", "replayed")
    )
    np.testing.assert_allclose(replayed, embedded, rtol=1e-6)
