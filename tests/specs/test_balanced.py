"""specs/balanced, small: its smoke profile from text to verdicts, and the theory's numbers of the page."""

from pathlib import Path

import pytest

from cortexspec.experiments.reproduce import Table, reproduce
from cortexspec.experiments.session import AUTO, Choice

SPEC = Path(__file__).parents[2] / "specs" / "balanced" / "model.cortex"


def words(table: Table) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rows in table.rows.values():
        for row in rows:
            found.setdefault(row.claim.text, set()).add(row.verdict.word)
    return found


def test_the_smoke_profile_runs_the_network_and_its_theory(tmp_path: Path) -> None:
    table = reproduce(Choice(SPEC, AUTO), profile="smoke", store=tmp_path, workers=0)
    assert not table.not_run
    found = words(table)
    assert found["irregular"] == {"holds"}
    assert found["mean rate"] <= {"holds", "undecided"}  # three networks of a second decide little


@pytest.mark.parametrize("experiment", ["limit", "kernels", "contrasts", "existence", "invariance", "excitability"])
def test_orderings_that_the_theory_alone_decides(experiment: str, tmp_path: Path) -> None:
    table = reproduce(Choice(SPEC, AUTO), experiments=(experiment,), store=tmp_path, workers=0)
    assert all(found == {"holds"} for found in words(table).values())
